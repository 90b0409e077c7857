"""What the benchmarks measure with: a run that fails, brings too little or never ends gives no figure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.contenders import airbyte_records
from tests.benchmarks.measure import Contender, WrongOutput, race, run_once
from tests.support.peers import Unavailable, peer


def contender(code: str) -> Contender:
    return Contender("one", (sys.executable, "-c", code), lambda output: output.read_bytes().count(b"R"))


def test_run_tells_time_and_memory_of_the_process_alone() -> None:
    held = bytearray(200 * 2**20)
    small = run_once(contender("import time; print('RR'); time.sleep(0.1)"), 2)
    large = run_once(contender("b = bytearray(60 * 2**20); import time; print('RR'); time.sleep(0.1)"), 2)
    assert len(held) / 2**20 > small.peak_mib > 1
    assert 50 < large.peak_mib - small.peak_mib < 70
    assert small.wall_s > 0.1 > small.cpu_s


@pytest.mark.parametrize("code", ["print('R')", "print('RR'); raise SystemExit(3)"])
def test_wrong_output_gives_no_figure(code: str) -> None:
    with pytest.raises(WrongOutput, match="of 2 records"):
        race([contender(code)], 2, 1)


def test_run_that_does_not_end_is_stopped() -> None:
    with pytest.raises(WrongOutput, match=r"not done after 0\.5 s"):
        run_once(contender("import time; time.sleep(60)"), 0, timeout_s=0.5)


def test_record_that_is_written_twice_counts_once(tmp_path: Path) -> None:
    output = tmp_path / "out"
    line = '{{"type":"RECORD","record":{{"stream":"{}","data":{{"id":{}}},"emitted_at":1}}}}\n'
    told = '{"type":"LOG","log":{"level":"INFO","message":"\\"RECORD\\""}}\n'
    output.write_text(told + "".join(line.format(*of) for of in (("a", 1), ("a", 2), ("a", 2), ("b", 1))))
    assert airbyte_records(output) == 3


def test_peer_that_no_registry_has_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTORS_CACHE_DIR", str(tmp_path / "cache"))
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "UV_NO_INDEX": "1"}.items():
        monkeypatch.setenv(name, value)
    pins = tmp_path / "nothing.txt"
    pins.write_text("connectors-peer-of-nobody==1.0\n")
    with pytest.raises(Unavailable, match="nothing could not be installed"):
        peer(pins)
    assert not [path for path in (tmp_path / "cache" / "peers").iterdir() if path.is_dir()]
