"""Services and the server as processes: start order, signals, crashes, health, what they leave behind."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from contracts.events import ResearchCompleted
from contracts.services import Service
from infra.runtime.bus import Bus, connect
from infra.runtime.bus_users import ADMIN
from infra.runtime.nats_server import NatsServer
from infra.runtime.provision import provision
from infra.runtime.service import Runtime, serving
from infra.runtime.settings import BusSettings
from tests.support.nats import fact_of, submit
from tests.support.process import ROOT, tiny_agent, until


async def test_sigterm_gives_the_task_back_at_once_and_another_process_does_it(
    bus: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    async with tiny_agent(tmp_path, nats_server, CONNECTORS_ACK_WAIT_S="60") as first:
        pipeline = await submit(bus)
        await until((tmp_path / "started").exists)
        assert await first.stop() == 0
    (tmp_path / "release").touch()
    async with tiny_agent(tmp_path, nats_server, CONNECTORS_ACK_WAIT_S="60") as second:
        await second.says("ready")
        await fact_of(bus, pipeline, ResearchCompleted, timeout_s=3)
        assert await second.stop() == 0
    assert not any((tmp_path / "workspaces").iterdir())


async def test_killed_process_loses_its_task_to_another_after_ack_wait(
    bus: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    async with tiny_agent(tmp_path, nats_server, CONNECTORS_ACK_WAIT_S="1") as first:
        pipeline = await submit(bus)
        await until((tmp_path / "started").exists)
        first.process.kill()
    (tmp_path / "release").touch()
    async with tiny_agent(tmp_path, nats_server, CONNECTORS_ACK_WAIT_S="1"):
        await fact_of(bus, pipeline, ResearchCompleted)


async def test_process_keeps_long_work_by_its_heartbeats(bus: Bus, nats_server: NatsServer, tmp_path: Path) -> None:
    async with tiny_agent(tmp_path, nats_server, CONNECTORS_ACK_WAIT_S="1") as agent:
        pipeline = await submit(bus)
        await until((tmp_path / "started").exists)
        await asyncio.sleep(3)
        (tmp_path / "release").touch()
        await fact_of(bus, pipeline, ResearchCompleted)
        delivered = (await bus.js.consumer_info("EVENTS", "research")).delivered
        assert delivered is not None
        assert delivered.consumer_seq == 1
        assert await agent.stop() == 0


async def test_service_waits_for_a_bus_that_is_not_there_yet(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    await server.stop()  # the port and the passwords are known now
    (tmp_path / "release").touch()
    async with tiny_agent(tmp_path, server) as agent:
        await asyncio.sleep(2.5)
        assert agent.process.returncode is None
        assert "ready" not in agent.log.replace("not ready", "")
        async with server.running():
            await agent.says("the log is not there yet: the event store makes it")
            async with connect(server.settings(ADMIN), ADMIN) as bus:
                await provision(bus.js, Service.EVENT_STORE, server.settings(ADMIN))
                await agent.says(": ready")
                await fact_of(bus, await submit(bus), ResearchCompleted)
            assert await agent.stop() == 0


async def test_sigterm_while_waiting_for_the_bus_ends_cleanly(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    await server.stop()
    async with tiny_agent(tmp_path, server) as agent:
        await agent.says("bus:")
        assert await agent.stop() == 0
        assert "Traceback" not in agent.log


async def test_wrong_password_is_a_clear_error(nats_server: NatsServer, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-password")
    async with tiny_agent(tmp_path, nats_server, CONNECTORS_NATS_PASSWORD_FILE=str(wrong)) as agent:
        assert await asyncio.wait_for(agent.process.wait(), 10) == 1
        assert "authorization violation" in agent.log.lower()
        assert "Traceback" not in agent.log
        assert "not-the-password" not in agent.log


async def test_service_leaves_when_its_log_is_replaced(
    bus: Bus, nats_server: NatsServer, bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.runtime.connection._WATCH_S", 0.05)

    async def setup(runtime: Runtime) -> None:
        runtime.listen("live.*.progress", ignore)

    async with serving(Service.ROUTER, setup, nats_server.settings(Service.ROUTER, bus_settings)) as runtime:
        await asyncio.sleep(0.5)
        config = (await bus.js.stream_info("EVENTS")).config
        await bus.js.delete_stream("EVENTS")
        await bus.js.add_stream(config)
        await asyncio.wait_for(runtime.stopping.wait(), 5)
        assert runtime.failed


async def test_job_that_fails_ends_its_service(
    bus: Bus, nats_server: NatsServer, bus_settings: BusSettings
) -> None:
    async def broken() -> None:
        raise RuntimeError("out of luck")

    async def setup(runtime: Runtime) -> None:
        runtime.spawn(broken(), "broken")

    async with serving(Service.ROUTER, setup, nats_server.settings(Service.ROUTER, bus_settings)) as runtime:
        await asyncio.wait_for(runtime.stopping.wait(), 5)
        assert runtime.failed


async def test_job_that_loses_its_cancellation_does_not_hold_up_the_end(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    async def deaf() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    async def setup(runtime: Runtime) -> None:
        runtime.spawn(deaf(), "deaf")

    loop = asyncio.get_running_loop()
    async with serving(Service.ROUTER, setup, nats_server.settings(Service.ROUTER, bus_settings)):
        began = loop.time()
    assert loop.time() - began < 4


async def ignore(msg: object) -> None:
    return None


# --- the server itself ---------------------------------------------------------------------------


async def test_server_keeps_port_passwords_and_facts_over_a_crash(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    before = server.port
    async with connect(server.settings(ADMIN), ADMIN) as bus:
        await bus.js.add_stream(name="KEPT", subjects=["kept"])
        await bus.js.publish("kept", b"1")
    await server.kill()
    await server.start()
    assert server.port == before
    async with connect(server.settings(ADMIN), ADMIN) as bus:
        assert (await bus.js.get_msg("KEPT", 1)).data == b"1"
    await server.stop()
    assert server.pid is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
async def test_server_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from infra.runtime.nats_server import NatsServer\n"
        "async def main():\n"
        "    server = NatsServer(Path(sys.argv[1])); await server.start(); print(server.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path / "nats"), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    server = int(await asyncio.wait_for(parent.stdout.readline(), 15))
    assert Path(f"/proc/{server}").exists()
    parent.kill()
    await parent.wait()
    await until(lambda: not alive(server))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_server_that_cannot_start_says_why(tmp_path: Path, nats_server: NatsServer) -> None:
    taken = NatsServer(tmp_path / "other", port=nats_server.port)
    with pytest.raises(Exception, match=r"address already in use|ended"):
        await taken.start(timeout_s=3)
    await taken.stop()
