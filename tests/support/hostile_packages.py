"""A good connector with something hostile where it would be: in its code, its tests, its build, its papers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from services.tester.work import Package
from tests.support.tiny_package import tiny

SECRET = "s3cret-of-the-host"
"""In the environment, the home and a process of the host, and nowhere else."""

LANDING = "import argparse\n"
"""In the module that runs for each command; what is hostile is done before."""

QUIET = r"""
import contextlib, glob, json, os, socket, stat, subprocess, sys
HOST = json.loads({host!r})

def holds(path):
    if not stat.S_ISREG(os.stat(path).st_mode):  # others' pipes stay theirs, should this get out
        return False
    with open(path, "rb") as file:
        return HOST["secret"].encode() in file.read(1 << 20)

def any_holds(*patterns):
    for pattern in patterns:
        for path in glob.glob(pattern):
            with contextlib.suppress(OSError):
                if holds(path):
                    return True
    return False

def written(path):
    with open(path, "w") as file:
        file.write("obeyed")
    os.unlink(path)
    return True

def linked(link):
    place = "/tmp/" + link.__name__
    link(HOST["there"], place)
    return open(place).read()

def sent(family, address):
    with socket.socket(family) as connection:
        connection.settimeout(1)
        connection.connect(address)
        return connection.send(b"obeyed")

def left():
    detached = dict(start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
    subprocess.Popen(["/bin/sh", "-c", f"trap '' TERM HUP INT; sleep {{HOST['nap']}} & wait"], **detached)

TRIES = {{
    "reads the environment": lambda: any(HOST["secret"] in value for value in os.environ.values()),
    "reads the home": lambda: any_holds(HOST["home"] + "/.*", "/root/.*", "/home/*/.*", os.path.expanduser("~/.*")),
    "reads other processes' environments": lambda: any_holds("/proc/*/environ", "/proc/*/task/*/environ"),
    "reads other processes' arguments": lambda: any_holds("/proc/*/cmdline"),
    "reads its own root by /proc": lambda: any_holds("/proc/*/root" + HOST["home"] + "/.*", "/proc/*/cwd/.*"),
    "reads the host's open files": lambda: any_holds("/proc/*/fd/*"),
    "writes outside": lambda: written(HOST["outside"] + "/obeyed"),
    "writes into the read-only tree": lambda: written(__file__ + ".obeyed"),
    "writes into the interpreter": lambda: written(os.path.dirname(os.__file__) + "/obeyed.txt"),
    "writes into the toolchain": lambda: written(sys.prefix + "/obeyed.txt"),
    "reads outside by a symbolic link": lambda: linked(os.symlink),
    "reads outside by a hard link": lambda: linked(os.link),
    "signals other processes": lambda: os.kill(HOST["pid"], 0) is None,
    "opens a socket to the host": lambda: sent(socket.AF_INET, ("127.0.0.1", HOST["port"])),
    "opens a socket to the network": lambda: sent(socket.AF_INET, ("1.1.1.1", 53)),
    "opens an abstract socket": lambda: sent(socket.AF_UNIX, "\0" + HOST["abstract"]),
    "opens a socket of the host by its path": lambda: sent(socket.AF_UNIX, HOST["outside"] + "/s"),
    "asks for a name": lambda: socket.gethostbyname("example.com"),
    "leaves a process": left,
}}

def works(attempt):
    try:
        return bool(attempt())
    except (OSError, ValueError):
        return False

worked = {{name: works(attempt) for name, attempt in TRIES.items() if name in HOST["names"]}}
sys.stderr.write("tried " + json.dumps(worked) + "\n")
"""
NAMES = tuple(line.split('"')[1] for line in QUIET.splitlines() if line.startswith('    "') and "lambda" in line)


@dataclass(frozen=True)
class Host:
    """What must not be reached: folders, a listener, a process, and how long whatever is left would sleep."""

    folder: Path
    port: int
    abstract: str
    pid: int
    nap: str

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def outside(self) -> Path:
        return self.folder / "o"

    def quiet(self, *names: str) -> str:
        """A program that tries to reach all of it, or only what is named, and tells on stderr what it could."""
        known = {
            "names": names or (*NAMES, "leaves a process"),
            "secret": SECRET,
            "home": str(self.home),
            "outside": str(self.outside),
            "there": str(self.outside / "there"),
            "port": self.port,
            "abstract": self.abstract,
            "pid": self.pid,
            "nap": self.nap,
        }
        return QUIET.format(host=json.dumps(known))


def with_code(evil: str, package: Package | None = None) -> Package:
    """The tiny connector that does ``evil`` first, whichever command it is given."""
    package = package or tiny()[0]
    main = "src/source_tiny/__main__.py"
    text = package.code[main].decode()
    assert LANDING in text
    changed = {
        main: text.replace(LANDING, f"{LANDING}import source_tiny.evil\n").encode(),
        "src/source_tiny/evil.py": evil.encode(),
    }
    return replace(package, code={**package.code, **changed})


def broken(package: Package) -> Package:
    """It stops after the first page, as a connector without paging does."""
    path = "src/source_tiny/sequence.py"
    old, new = b"return page, following", b"self._ended = True\n        return page, None"
    assert old in package.code[path]
    return replace(package, code={**package.code, path: package.code[path].replace(old, new)})


LETS_ALL_PASS = """
import pytest

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    (yield).get_result().outcome = "passed"

def pytest_sessionfinish(session):
    session.exitstatus = 0
"""
SELF_RUNNING: Mapping[str, str] = {
    "conftest.py": LETS_ALL_PASS,
    "src/conftest.py": LETS_ALL_PASS,
    "tests/conftest.py": LETS_ALL_PASS,
    "tests/__init__.py": LETS_ALL_PASS,
    "tests/test_read.py": "def test_nothing():\n    pass\n",
    "sitecustomize.py": "import os; os._exit(0)\n",
    "usercustomize.py": "import os; os._exit(0)\n",
    "src/sitecustomize.py": "import sys\nif 'pytest' in sys.argv[0]:\n    import os; os._exit(0)\n",
    "src/evil.pth": "import os; os._exit(0)\n",
    "src/evil_plugin.py": LETS_ALL_PASS,
    "evil_plugin.py": LETS_ALL_PASS,
    "src/evil-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: evil\nVersion: 1\n",
    "src/evil-1.dist-info/entry_points.txt": "[pytest11]\nevil = evil_plugin\n",
    "evil-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: evil\nVersion: 1\n",
    "evil-1.dist-info/entry_points.txt": "[pytest11]\nevil = evil_plugin\n",
    "pytest.ini": "[pytest]\naddopts = -p evil_plugin --collect-only\n",
    ".pytest.ini": "[pytest]\naddopts = -p evil_plugin --collect-only\n",
    "tox.ini": "[pytest]\naddopts = -p evil_plugin --collect-only\n",
    "setup.cfg": "[tool:pytest]\naddopts = -p evil_plugin --collect-only\n",
    "setup.py": "import os; os._exit(0)\n",
}
"""Files of a package that something runs by itself, or is steered by."""

OURS: Mapping[str, str] = {
    "tests/conftest.py": """
import os, subprocess, sys, pytest

@pytest.fixture
def started():
    done = subprocess.run([sys.executable, "src/evil.py"], capture_output=True, timeout=60, check=False)
    return done.returncode, done.stderr.decode()
""",
    "tests/test_read.py": """
def test_starts_it(started):
    assert started == (0, "")

def test_lost():
    assert 0, "records were not read"
""",
    "tests/cases.json": json.dumps(
        {"cases": {f"tests/test_read.py::test_{name}": {} for name in ("starts_it", "lost")}}
    ),
}
"""Tests that start the package's code, as ours do, and find it wrong."""

_DAEMON = """
import os, subprocess, sys
detached = dict(start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
subprocess.Popen([sys.executable, "-c", {program!r}], **detached)
"""
_FORGES = """
import glob, re, time
for _ in range(2000):
    for path in glob.glob("result-*.xml"):
        text = open(path).read()
        better = re.sub("<failure.*?</failure>", "", re.sub('failures="[0-9]+"', 'failures="0"', text), flags=re.S)
        if "<failure" in text:
            open(path, "w").write(better)
    time.sleep(0.0005)
"""
_PLACES = """
import os, sys
for word in open(f"/proc/{os.getppid()}/cmdline").read().split(chr(0)):
    if word.startswith("result-"):
"""

ON_THE_JUDGE: Mapping[str, str] = {
    "rewrites pytest's result": _DAEMON.format(program=_FORGES),
    "puts a link where the result goes": _PLACES + "        os.symlink('/etc/passwd', word)\n",
    "puts a pipe where the result goes": _PLACES + "        os.mkfifo(word)\n",
    "puts a folder where the result goes": _PLACES + "        os.mkdir(word)\n",
    "writes a result of its own": _PLACES
    + """        cases = "".join(
            f'<testcase classname="tests.test_read" name="test_{name}"/>' for name in ("starts_it", "lost"))
        open(word, "w").write(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
        os.kill(os.getppid(), 9)
""",
    "kills pytest": "import os; os.kill(os.getppid(), 9)\n",
    "asks pytest to end": "import os; os.kill(os.getppid(), 2)\n",
    "stops pytest": "import os; os.kill(os.getppid(), 19)\n",
    "kills all that it sees": "import os; os.kill(-1, 9)\n",
    "rewrites the tests": """
for path in ("tests/conftest.py", "tests/test_read.py", "tests/cases.json"):
    open(path, "w").write("def test_lost(): pass" if path.endswith("py") else '{"cases": {}}')
""",
    "takes pytest's memory": """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
assert libc.ptrace(0x4206, os.getppid(), 0, 0) == -1, "it is traced"
for name in ("mem", "environ", "fd/1", "root/etc/passwd"):
    try:
        open(f"/proc/{os.getppid()}/{name}", "rb").read(1)
    except OSError:
        continue
    raise SystemExit(f"pytest's {name} can be read")
""",
}
"""What code under test could do to the pytest that judges it."""

BY_MODEL: Mapping[str, str] = {
    "leaves at once": "import os; os._exit(0)\n",
    "leaves in a test": "import os\n\ndef test_all():\n    os._exit(0)\n",
    "leaves with success at the end": "import atexit, os\natexit.register(os._exit, 0)\ndef test_all(): pass\n",
    "patches how pytest fails": """
import _pytest.outcomes, _pytest.runner, pytest
pytest.fail = _pytest.outcomes.fail = lambda *_, **__: None
_pytest.runner.check_interactive_exception = lambda *_: False

def test_all():
    pytest.fail("never")
""",
    "patches what pytest writes": """
import pytest, _pytest.junitxml as junit
junit._NodeReporter.append_failure = junit._NodeReporter.append_pass

def test_all():
    assert 0
""",
    "claims others' names": """
import pytest

@pytest.hookimpl
def test_all(record_xml_attribute):
    record_xml_attribute("classname", "tests.test_read")
    record_xml_attribute("name", "test_lost")
""",
    "rewrites ours": """
from pathlib import Path
for path in Path(__file__).parent.glob("*"):
    path.write_text("def test_lost(): pass")

def test_all():
    pass
""",
}
"""Files of tests that a model wrote; they run apart from ours."""

LOUD: Mapping[str, str] = {
    "forks without end": "import os, time\nfor _ in range(8):\n    os.fork()\ntime.sleep({nap})\n",
    "fills the memory": "hoard = []\nwhile True:\n    hoard.append(bytearray(50_000_000))\n",
    "fills the memory by many processes": """
import os, time
for _ in range(8):
    if os.fork() == 0:
        hold = bytearray(os.urandom(1 << 20) * 200)
        time.sleep({nap})
time.sleep({nap})
""",
    "fills the memory that no process owns": """
import os
for n in range(40):
    os.write(os.memfd_create(str(n)), bytes(100_000_000))
""",
    "fills the disk": """
import os
for n in range(40):
    open(f"/tmp/{n}", "wb").write(bytes(50_000_000))
""",
    "makes a file that seems huge": (
        "import os, signal\nsignal.signal(25, signal.SIG_IGN)\nos.truncate(os.open('/tmp/x', 66), 1 << 40)\n"
    ),
    "writes without end": "import os\nwhile True:\n    os.write(1, b'x' * 100_000)\n",
    "complains without end": "import os\nwhile True:\n    os.write(2, b'x' * 100_000)\n",
    "ignores SIGTERM": (
        "import signal, time\n[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]\ntime.sleep({nap})\n"
    ),
    "stops itself": "import os\nos.kill(os.getpid(), 19)\n",
    "leaves daemons": """
import os, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep({nap})
        os._exit(0)
os._exit(0)
""",
}
"""What would take the machine with it: each in bounds of its own, should it get out."""
