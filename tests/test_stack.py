"""The stack: started once, found again, mended after a crash, and clear about what it lacks."""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, UnknownTopicOrPartitionError
from click.testing import CliRunner
from conftest import MakeTopic, create_topic

from tailrace import settings
from tailrace.cli.stack import stack as command
from tailrace.errors import StackFailed
from tailrace.stack import Name, Stack, State, jars, machine, process
from tailrace.stack.record import Record, load, save

_DAY = r"\d{4}-\d\d-\d\d"


def _request(stack: Stack, method: str, path: str, body: object = None) -> dict[str, object]:
    connection = http.client.HTTPConnection(stack.elasticsearch_url.removeprefix("http://"), timeout=30)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


async def _topics(bootstrap_servers: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        return list(await admin.list_topics())
    finally:
        await admin.close()


def _states(stack: Stack) -> dict[Name, State]:
    return {one.name: one.state for one in stack.status()}


def _first_line(stack: Stack, name: str) -> str:
    with stack.log(name).open() as log:
        return log.readline().rstrip("\n")


@pytest.mark.edge
def test_up_again_starts_nothing(stack: Stack) -> None:
    """A second `up` finds both servers as they are and says so."""
    before = stack.status()
    again = Stack(stack.folder).up()
    assert again.started == []
    assert [one.pid for one in stack.status()] == [one.pid for one in before]
    answer = CliRunner().invoke(command, ["up", "--dir", str(stack.folder)])
    assert answer.exit_code == 0
    assert answer.stdout.startswith("Both run already.")


@pytest.mark.edge
def test_settings_file_is_ready_to_use(stack: Stack) -> None:
    """The `tailrace.toml` that `up` writes loads, and names these servers."""
    ready = settings.load(stack.folder / "tailrace.toml")
    assert ready.kafka.bootstrap_servers == [stack.bootstrap_servers]
    assert ready.elasticsearch.hosts == [stack.elasticsearch_url]


@pytest.mark.edge
def test_logs_have_the_layout_their_servers_are_known_for(stack: Stack) -> None:
    """The demo ships these files as Kafka's and Elasticsearch's own logs."""
    assert re.fullmatch(rf"\[{_DAY} [\d:,]+\] INFO .* \([\w.$]+\)", _first_line(stack, "kafka"))
    assert re.fullmatch(
        rf"\[{_DAY}T[\d:,]+\]\[INFO \]\[o\.e\.\S+ +\] \[stack\] .*", _first_line(stack, "elasticsearch")
    )


@pytest.mark.edge
def test_another_port_is_refused_while_it_runs(stack: Stack) -> None:
    """A running server is never silently left on another port than the one asked for."""
    with pytest.raises(StackFailed, match="Kafka already runs with port"):
        Stack(stack.folder).up(kafka_port=machine.free_port())


@pytest.mark.edge
def test_status_tells_both_servers(stack: Stack) -> None:
    """`status --json` has state, process, port and memory of each."""
    answer = CliRunner().invoke(command, ["status", "--json", "--dir", str(stack.folder)])
    servers = {one["name"]: one for one in json.loads(answer.stdout)}
    assert set(servers) == {"kafka", "elasticsearch"}
    assert all(one["state"] == "running" and one["resident_mib"] > 100 for one in servers.values())
    assert stack.bootstrap_servers == f"127.0.0.1:{servers['kafka']['port']}"
    assert "running" in CliRunner().invoke(command, ["status", "--dir", str(stack.folder)]).stdout


@pytest.mark.edge
def test_topics_are_made_on_purpose(stack: Stack, make_topic: MakeTopic, names: str) -> None:
    """A made topic has its partitions and settings; one that nobody made is an error, and asking does not make it."""
    assert make_topic(names, 2, max_message_bytes="1000") == names

    async def look() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap_servers)
        producer = AIOKafkaProducer(bootstrap_servers=stack.bootstrap_servers, request_timeout_ms=1000)
        await admin.start()
        await producer.start()
        try:
            (made,) = await admin.describe_topics([names])
            assert len(made["partitions"]) == 2
            with pytest.raises(MessageSizeTooLargeError):
                await producer.send_and_wait(names, bytes(2000))
            with pytest.raises((UnknownTopicOrPartitionError, KafkaTimeoutError)):
                await producer.send_and_wait(f"{names}-unmade", b"x")
            assert f"{names}-unmade" not in await admin.list_topics()
        finally:
            await producer.stop()
            await admin.close()

    asyncio.run(look())


@pytest.mark.crash
def test_a_killed_server_is_started_again_with_its_data(breakable_stack: Stack, names: str) -> None:
    """After `kill -9`, `status` says so and `up` brings the server back, on its port, with what it had stored."""
    _request(breakable_stack, "PUT", f"/{names}/_doc/1", {"kept": True})
    before = {one.name: one for one in breakable_stack.status()}
    os.kill(before[Name.ELASTICSEARCH].pid, signal.SIGKILL)
    assert process.gone(load(breakable_stack.folder / "stack.json").children[Name.ELASTICSEARCH], 10)
    assert _states(breakable_stack) == {Name.KAFKA: State.RUNNING, Name.ELASTICSEARCH: State.DIED}

    assert breakable_stack.up().started == [Name.ELASTICSEARCH]
    after = {one.name: one for one in breakable_stack.status()}
    assert after[Name.KAFKA].pid == before[Name.KAFKA].pid
    assert after[Name.ELASTICSEARCH].port == before[Name.ELASTICSEARCH].port
    found = _request(breakable_stack, "GET", f"/{names}/_doc/1")
    assert found.get("_source") == {"kept": True}, found


@pytest.mark.crash
def test_one_server_stops_and_pauses_alone(breakable_stack: Stack, names: str) -> None:
    """What outage tests need: stop, crash and start one, make one hang and go on, and the other never notices."""
    kafka = breakable_stack.bootstrap_servers
    asyncio.run(create_topic(kafka, names))
    assert breakable_stack.stop("kafka")
    assert not breakable_stack.stop("kafka")
    assert _states(breakable_stack) == {Name.KAFKA: State.STOPPED, Name.ELASTICSEARCH: State.RUNNING}
    breakable_stack.start("kafka")
    assert breakable_stack.bootstrap_servers == kafka
    assert names in asyncio.run(_topics(kafka))
    breakable_stack.kill("kafka")
    assert _states(breakable_stack)[Name.KAFKA] is State.DIED
    breakable_stack.start("kafka")
    assert names in asyncio.run(_topics(kafka))
    breakable_stack.pause("kafka")
    assert _states(breakable_stack) == {Name.KAFKA: State.PAUSED, Name.ELASTICSEARCH: State.RUNNING}
    breakable_stack.resume("kafka")
    assert _states(breakable_stack)[Name.KAFKA] is State.RUNNING


def test_down_is_idempotent(tmp_path: Path) -> None:
    """Stopping what does not run, or was never there, is no error and makes nothing."""
    never = Stack(tmp_path / "never")
    assert never.down() == never.down(wipe=True) == []
    assert not never.folder.exists()
    answer = CliRunner().invoke(command, ["down", "--dir", str(tmp_path / "never")])
    assert answer.stdout.startswith(f"There is no stack in {tmp_path / 'never'}; ")


def test_down_never_signals_a_stranger(tmp_path: Path) -> None:
    """A recorded pid that now is another process (started at another time, or another command) is left alone."""
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
        mine = process.spawn(["/bin/sleep", "60"], "60", tmp_path / "console.log")
        try:
            assert process.alive(mine)
            for child in (
                process.Child(pid=stranger.pid, started=mine.started + 1_000_000, mark="60"),
                process.Child(pid=mine.pid, started=mine.started, mark="-Dtailrace.stack=elsewhere"),
            ):
                record = Record(kafka_port=1, elasticsearch_port=2, children={Name.KAFKA: child})
                save(record, tmp_path / "stack.json")
                assert Stack(tmp_path).down() == []
            assert process.alive(mine)
            assert stranger.poll() is None
        finally:
            assert process.end(mine, 10)
            stranger.kill()


def test_process_outlives_its_starter(tmp_path: Path) -> None:
    """A server survives the end of the command that started it, and the hang-up of its terminal."""
    code = (
        "import sys; from pathlib import Path; import msgspec; from tailrace.stack import process\n"
        "child = process.spawn(['/bin/sleep', '61'], '61', Path(sys.argv[1]))\n"
        "print(msgspec.json.encode(child).decode())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "console.log")],
        capture_output=True,
        check=True,
        start_new_session=True,
    )
    child = msgspec.json.decode(said.stdout, type=process.Child)
    try:
        assert process.alive(child)
        assert os.getsid(child.pid) == child.pid
    finally:
        process.end(child, 10)


def test_paused_process_is_told_and_ended(tmp_path: Path) -> None:
    """A hanging server still comes down in order: SIGTERM reaches it once it goes on."""
    child = process.spawn(["/bin/sleep", "62"], "62", tmp_path / "console.log")
    process.send(child, signal.SIGSTOP)
    assert process.becomes_paused(child, 10)
    assert process.alive(child)
    assert process.end(child, 10)
    assert not process.alive(child)


def test_port_taken_is_one_clear_error(tmp_path: Path) -> None:
    """The error names the server, the port and the option that gives another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StackFailed, match=rf"Elasticsearch cannot listen on port {port} .*--elasticsearch-port"):
            Stack(tmp_path).up(elasticsearch_port=port)
    assert all(one.state is State.STOPPED for one in Stack(tmp_path).status())


def test_no_java_no_compiler_no_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each missing tool is named, in the order they are needed, with what to install."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(StackFailed, match=r"^no Java was found: install .*JAVA_HOME$"):
        Stack(tmp_path / "stack").up()
    _program(tmp_path / "bin" / "java", "echo 'openjdk version \"11.0.2\"' >&2")
    with pytest.raises(StackFailed, match=r"is Java 11 and the servers want 17 or newer"):
        Stack(tmp_path / "stack").up()
    _program(tmp_path / "bin" / "java", "echo 'openjdk version \"17.0.15\"' >&2")
    with pytest.raises(StackFailed, match="javac, is not"):
        Stack(tmp_path / "stack").up()
    _program(tmp_path / "home" / "bin" / "javac", "exit 0")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    with pytest.raises(StackFailed, match=r"Maven \(mvn\) was not found"):
        Stack(tmp_path / "stack").up()
    _program(tmp_path / "bin" / "mvn", "echo no network; exit 1")
    with pytest.raises(StackFailed, match=r"Maven could not download kafka; .*\nno network$"):
        Stack(tmp_path / "stack").up()
    left = [file.name for file in jars.cache().iterdir()]
    assert [name for name in left if not name.endswith(".lock")] == []


def test_too_little_memory_is_said_before_anything_starts(tmp_path: Path) -> None:
    """A machine that cannot hold them is told so, instead of being driven into its swap."""
    with pytest.raises(StackFailed, match=r"too little memory for Kafka and Elasticsearch: \d+ MiB wanted"):
        Stack(tmp_path).up(heap_mib=1 << 24)


def test_a_server_that_ends_shows_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server said last is in the error, and `status` calls it dead."""
    _fake_home(tmp_path, monkeypatch)
    _program(
        tmp_path / "bin" / "java",
        """case "$*" in
        *-version*) echo 'openjdk version "17.0.1"' >&2;;
        *StorageTool*) ;;
        *) echo the disk is made of cheese; exit 3;;
        esac""",
    )
    with pytest.raises(StackFailed, match=r"(?s)Kafka ended while it started.*made of cheese"):
        Stack(tmp_path / "stack").up()
    assert _states(Stack(tmp_path / "stack"))[Name.KAFKA] is State.DIED


def test_wipe_leaves_what_is_not_ours(tmp_path: Path) -> None:
    """`down --wipe` takes the stack's data and untouched settings, never a file of yours or settings you changed."""
    stack = Stack(tmp_path)
    for name in ("kafka/data/x", "logs/kafka.log", "notes.txt", "tailrace.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    assert stack.down(wipe=True) == []
    assert (tmp_path / "kafka/data/x").exists()
    save(Record(kafka_port=1, elasticsearch_port=2), tmp_path / "stack.json")
    stack.down(wipe=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["notes.txt", "tailrace.toml"]


def _program(file: Path, script: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def _fake_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setenv("JAVA_HOME", "")
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    (jars.cache() / jars.version()).mkdir(parents=True)
