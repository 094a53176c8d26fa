"""A service tells systemd how it is, ends when asked, and fails in sentences: real sockets, signals, processes."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from tailrace import __version__, daemon
from tailrace.cli import cli
from tailrace.daemon import Life
from tailrace.errors import ReachKafka, RunSetup, TailraceError
from tailrace.settings import Log

DEADLINE_SECONDS = 30.0


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket at which systemd would listen, named in the environment."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        address = tmp_path / "notify"
        listening.bind(str(address))
        listening.settimeout(DEADLINE_SECONDS)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        yield listening


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """``run`` configures the logs of the whole process."""
    import logging

    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def child(source: str, **environment: str) -> subprocess.Popen[str]:
    """A service as a process of its own; ``source`` defines ``async def service(life)``."""
    begin = "import asyncio, sys\nfrom tailrace import daemon, settings"
    whole = f"{begin}\n{source}\nsys.exit(daemon.run(service, settings.Log()))"
    return subprocess.Popen(
        [sys.executable, "-c", whole],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_systemd_hears_ready_stopping_and_the_status(systemd: socket.socket) -> None:
    """READY=1 with a status, a later status, and STOPPING=1 at SIGTERM, in this order."""

    async def service(life: Life) -> None:
        life.ready("following 3 files")
        life.notify("STATUS=still well")
        os.kill(os.getpid(), signal.SIGTERM)
        assert await life.pause(DEADLINE_SECONDS)

    assert daemon.run(service, Log()) == 0
    heard = [systemd.recv(4096).decode() for _ in range(3)]
    assert heard == ["READY=1\nSTATUS=following 3 files", "STATUS=still well", "STOPPING=1"]


def test_the_watchdog_is_patted_from_the_event_loop(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times within WatchdogSec, and not while the loop hangs."""
    monkeypatch.setenv("WATCHDOG_USEC", "300000")

    async def service(_life: Life) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            assert await loop.run_in_executor(None, systemd.recv, 4096) == b"WATCHDOG=1"

    assert daemon.run(service, Log()) == 0


def test_without_a_watchdog_nobody_is_patted(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what systemd asked for."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)

    async def service(life: Life) -> None:
        await asyncio.sleep(0)
        life.ready("up")

    assert daemon.run(service, Log()) == 0
    assert systemd.recv(4096).startswith(b"READY=1")


def test_an_abstract_socket_is_an_address_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemd names it, with an @ for the NUL."""
    name = f"tailrace-test-{os.getpid()}"
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind("\0" + name)
        listening.settimeout(DEADLINE_SECONDS)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)

        async def service(life: Life) -> None:
            await asyncio.sleep(0)
            life.ready("up")

        assert daemon.run(service, Log()) == 0
        assert listening.recv(4096) == b"READY=1\nSTATUS=up"


def test_nobody_listening_is_no_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A service outside of systemd, or after systemd closed the socket, goes on."""

    async def service(life: Life) -> None:
        life.ready("up")
        assert not await life.pause(0.001)

    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert daemon.run(service, Log()) == 0
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert daemon.run(service, Log()) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_and_the_second_ends(number: signal.Signals) -> None:
    """A drain that takes too long for whoever is at the keyboard can be cut short; nothing is printed."""
    source = """
async def service(life):
    print("up", flush=True)
    await life.stop.wait()
    print("draining", flush=True)
    await asyncio.sleep(60)
"""
    with child(source) as running:
        assert running.stdout
        assert running.stdout.readline() == "up\n"
        running.send_signal(number)
        assert running.stdout.readline() == "draining\n"
        running.send_signal(number)
        _rest, errors = running.communicate(timeout=DEADLINE_SECONDS)
    assert running.returncode == 128 + number
    assert errors == ""


@pytest.mark.parametrize("error", [ReachKafka("away; start it"), RunSetup("no topic; run setup")])
def test_an_error_that_we_can_explain_reaches_the_command_line(error: TailraceError) -> None:
    """Itself, not in a group, also out of a task group: for people, the command line prints it as one sentence."""

    async def plainly(_life: Life) -> None:
        raise error

    async def in_a_group(_life: Life) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(plainly(_life))

    for service in (plainly, in_a_group):
        with pytest.raises(TailraceError) as caught:
            daemon.run(service, Log(format="console"))
        assert caught.value is error


def test_the_log_for_people_obeys_no_name_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """A file may be called anything, also what sets a terminal's title."""

    async def service(_life: Life) -> None:
        structlog.get_logger().warning("cannot read", path="/a\x1b]0;owned\x07", bytes=1)

    assert daemon.run(service, Log(format="console")) == 0
    said = capsys.readouterr().err
    assert "/a\\u001b]0;owned\\u0007" in said
    assert "\x1b]" not in said


def test_an_error_ends_a_log_for_programs_as_one_more_line_of_it() -> None:
    """No plain text in a stream of JSON; the exit code is the error's own."""
    source = """
from tailrace.errors import FixSettings
async def service(life):
    raise FixSettings("mend it")
"""
    with child(source) as running:
        _output, errors = running.communicate(timeout=DEADLINE_SECONDS)
    document = json.loads(errors)
    assert running.returncode == 2
    assert (document["message"], document["log.level"], document["error.type"]) == ("mend it", "error", "FixSettings")


def test_the_unexpected_is_logged_and_is_exit_code_1() -> None:
    """As one line of ECS JSON that says so, with the stack trace in it."""
    source = """
async def service(life):
    raise ZeroDivisionError("oh")
"""
    with child(source) as running:
        _output, errors = running.communicate(timeout=DEADLINE_SECONDS)
    document = json.loads(errors)
    assert running.returncode == 1
    assert (document["log.level"], document["service.name"]) == ("error", "tailrace")
    assert "ZeroDivisionError: oh" in json.dumps(document)
    assert document["message"].endswith("this is a bug")


def test_lines_of_libraries_come_out_in_our_form() -> None:
    """A warning of a library is ECS JSON on stderr, with its logger's name."""
    source = """
import logging
async def service(life):
    logging.getLogger("some.library").warning("careful: %s", 7)
"""
    with child(source) as running:
        _output, errors = running.communicate(timeout=DEADLINE_SECONDS)
    document = json.loads(errors)
    assert (document["message"], document["log.logger"]) == ("careful: 7", "some.library")
    assert document["@timestamp"].endswith("Z")


@pytest.mark.parametrize("command", ["ship", "index"])
def test_a_service_says_first_what_runs_where(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version, host, settings file, topics and servers, in one line: what one asks when a log is all there is."""
    file = tmp_path / "tailrace.toml"
    file.write_text(
        """
        [host]
        name = "web-1"
        [kafka]
        bootstrap_servers = ["k1:9092", "k2:9092"]
        [log]
        format = "json"
        [[shipper.inputs]]
        paths = ["/x"]
        dataset = "x"
        filters = [{ route = { topic = "loud" } }]
        """
    )

    async def nothing(*_arguments: object, once: bool) -> None:
        assert not once

    monkeypatch.setattr("shipper.agent.ship", nothing)
    monkeypatch.setattr("indexer.service.index", nothing)
    said = CliRunner().invoke(cli, [command, "-c", str(file)]).stderr
    (line,) = [json.loads(line) for line in said.splitlines()]
    about = {"service.version": __version__, "host.name": "web-1", "settings": str(file), "servers": "k1:9092, k2:9092"}
    about |= {"ship": {"topic": "tailrace.logs, loud", "inputs": 1}, "index": {"topics": ["tailrace.logs"]}}[command]
    assert line["message"] == "starting"
    assert about.items() <= line.items()
