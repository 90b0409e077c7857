"""``python -m infra.runtime.healthcheck``: exits with 0 if the process of this container is ready, else with 1.

An image has no curl. The standard library alone is loaded: an engine asks every few seconds.
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping

TIMEOUT_S = 5.0


def problem(environment: Mapping[str, str]) -> str | None:
    """Why ``/readyz`` on ``CONNECTORS_HEALTH_PORT`` of this machine does not answer 200; None: it does."""
    port = environment.get("CONNECTORS_HEALTH_PORT", "")
    if not port.isdigit():
        return f"CONNECTORS_HEALTH_PORT is {port!r}: set the port that the service answers on"
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"no answer on port {port}: {error!r}"
    finally:
        connection.close()
    return None if response.status == http.client.OK else f"not ready: {body}"


if __name__ == "__main__":
    found = problem(os.environ)
    if found:
        print(found, file=sys.stderr)
    sys.exit(1 if found else 0)
