"""``python -m tests.support.tiny_process``: says who it is, waits as long as it is told, ends as it is told."""

import json
import os
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    loaded = "infra.runtime.service" in sys.modules
    name = Path("/proc/self/comm").read_text().strip()
    who = {"pid": os.getpid(), "session": os.getsid(0), "name": name, "env": dict(os.environ), "loaded": loaded}
    print(json.dumps(who), flush=True)
    time.sleep(float(os.environ.get("TINY_WAIT_S", "0")))
    sys.exit(int(os.environ.get("TINY_CODE", "0")))
