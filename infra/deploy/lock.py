"""``python -m infra.deploy.lock``: pins what each service's image installs. ``make lock`` calls it; it needs uv.

``locks/<service>.txt`` has the hashes of every package, ``locks/build.txt`` those of what builds our own. All are
cut from one resolution, ``locks/constraints.txt``: a library has one version in all images. What is pinned there
stays as it is while it fits pyproject.toml; delete a line to take a newer version.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from contracts.errors import ConnectorsError, Permanent
from contracts.services import AGENTS, Service
from infra.runtime.toolchain.process import Argument, find_uv, registry_env, run_tool

ROOT = Path(__file__).parents[2]
LOCKS = Path(__file__).parent / "locks"
CONSTRAINTS = LOCKS / "constraints.txt"
BUILD = LOCKS / "build.txt"
OLDEST_PYTHON = "3.11"
SOURCE_ONLY = {"nkeys": "setuptools"}
"""Packages that come without a wheel, and what builds them; the Dockerfile names them, too."""

_TIMEOUT_S = 300.0

WITH_MODEL = frozenset(AGENTS) - {Service.TESTER}
"""Who may be given the key of a model where services run in containers. The tester runs other people's code: it has
neither key nor SDK, and reaches nothing but the bus."""


def lock_of(service: Service) -> Path:
    """The file that the image of ``service`` is installed from."""
    return LOCKS / f"{service.value}.txt"


def extras_of(service: Service) -> tuple[str, ...]:
    """The extras of pyproject.toml that are in the image of ``service``."""
    everybody = (service.value, "tracing")
    return (*everybody, "claude") if service in WITH_MODEL else everybody


def write() -> None:
    """Resolve once, then write the lock of every service and of the build.

    Raises:
        Permanent: there is no uv.
        Transient: the registry did not answer, or pyproject.toml cannot be satisfied.
    """
    project = ROOT / "pyproject.toml"
    extras = sorted({extra for service in Service for extra in extras_of(service)})
    backends = [
        *tomllib.loads(project.read_text(encoding="utf-8"))["build-system"]["requires"],
        *SOURCE_ONLY.values(),
    ]
    wanted = LOCKS / "build.in"
    wanted.write_text("".join(f"{backend}\n" for backend in backends), encoding="utf-8")
    try:
        _compile([project, wanted, *_extra(extras)], CONSTRAINTS)
        wheels: list[Argument] = ["--only-binary", ":all:", *(f"--no-binary={name}" for name in SOURCE_ONLY)]
        hashed = ["--generate-hashes", *wheels, "--constraint", CONSTRAINTS]
        for service in Service:
            _compile([project, *_extra(extras_of(service)), *hashed], lock_of(service))
        _compile([wanted, *hashed], BUILD)
    finally:
        wanted.unlink()


def _extra(extras: Iterable[str]) -> list[Argument]:
    return [argument for extra in extras for argument in ("--extra", extra)]


def _compile(arguments: list[Argument], output: Path) -> None:
    uv = find_uv()
    if uv is None:
        raise Permanent("there is no uv, which pins what images install: pip install uv, or pipx install uv")
    universal: list[Argument] = ["--universal", "--python-version", OLDEST_PYTHON, "--no-annotate", "--quiet"]
    header: list[Argument] = ["--custom-compile-command", "make lock"]
    command: list[Argument] = [uv, "pip", "compile", *universal, *header, *arguments, "--output-file", output]
    run_tool(command, env=registry_env(), what=f"pinning {output.name}", timeout_s=_TIMEOUT_S)


def main() -> int:
    try:
        write()
    except ConnectorsError as error:
        print(f"lock: {error}", file=sys.stderr)
        return 1
    print(f"lock: {len(Service)} services and the build are pinned in {LOCKS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
