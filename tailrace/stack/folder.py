"""A state folder to a running Kafka and a running Elasticsearch, and back."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from tailrace.errors import StackFailed
from tailrace.stack import elasticsearch, jars, kafka, machine, process
from tailrace.stack.record import Name, Record, load, save

DEADLINE_SECONDS = 120.0
"""How long a server may take to answer after its start; a few seconds are usual."""
STOP_SECONDS = 30.0
"""How long a server may take to stop before it is killed."""
_POLL_SECONDS = 0.1
_OURS = ("kafka", "elasticsearch", "logs", "state", "stack.json", "tailrace.toml", "lock")


class State(StrEnum):
    """What a server is doing."""

    RUNNING = "running"
    SILENT = "not answering"
    PAUSED = "paused"
    DIED = "died"
    STOPPED = "stopped"


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One server, as ``status`` shows it."""

    name: Name
    state: State
    pid: int
    """0 if it does not run."""
    port: int
    """0 if it never ran."""
    resident_mib: int
    log: str


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A stack that answers."""

    folder: str
    bootstrap_servers: str
    elasticsearch_url: str
    settings_file: str
    """A ``tailrace.toml`` that names these servers."""
    started: list[Name]
    """What this very call started; empty if all of it ran already."""


class Stack:
    """One Kafka and one Elasticsearch that live in a folder, as processes that outlive their starter.

    Any process may open the same folder; calls that change something wait for each other. Not for production: no
    security, one node each, loopback only.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()

    @property
    def bootstrap_servers(self) -> str:
        """Where Kafka listens, as clients want it."""
        return f"127.0.0.1:{self._known().kafka_port}"

    @property
    def elasticsearch_url(self) -> str:
        """Where Elasticsearch listens, as clients want it."""
        return f"http://127.0.0.1:{self._known().elasticsearch_port}"

    def up(
        self,
        *,
        kafka_port: int = 0,
        elasticsearch_port: int = 0,
        partitions: int = 0,
        heap_mib: int = 0,
        progress: jars.Progress = lambda _text, _done, _total: None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> Running:
        """Start what does not run yet, and return when both answer; 0 means as before, else a free port or the default.

        A server that died is started again on its port with its data. Raises StackFailed.
        """
        wanted = {
            "kafka_port": kafka_port,
            "elasticsearch_port": elasticsearch_port,
            "partitions": partitions,
            "heap_mib": heap_mib,
        }
        with self._locked():
            record = self._settle({key: value for key, value in wanted.items() if value})
            missing = [name for name in Name if not self._alive(record, name)]
            if missing:
                machine.java_version(machine.java())
                self._check_room(record, missing)
                home = jars.home(progress)
                for done, name in enumerate(missing):
                    progress(f"starting {name.spoken}", done, len(missing) + len(Name))
                    record = self._spawn(record, name, home)
            for done, name in enumerate(Name):
                if missing:
                    progress(f"waiting for {name.spoken}", len(missing) + done, len(missing) + len(Name))
                self._wait(record, name, deadline_seconds)
            self._write_settings(record)
        return self._running(missing)

    def start(self, name: str, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        """Start one server on its port with its data, unless it runs, and wait until it answers."""
        one = Name(name)
        with self._locked():
            record = self._known()
            if not self._alive(record, one):
                self._check_room(record, [one])
                record = self._spawn(record, one, jars.home(lambda _text, _done, _total: None))
            self._wait(record, one, deadline_seconds)

    def stop(self, name: str) -> bool:
        """Stop one server cleanly, or by force if it takes too long; whether it ran."""
        one = Name(name)
        with self._locked():
            record = self._known()
            child = record.children.get(one)
            ran = child is not None and process.alive(child)
            if child is not None:
                process.end(child, STOP_SECONDS)
            save(record.with_child(one, None), self.folder / "stack.json")
        return ran

    def kill(self, name: str) -> None:
        """End one server by SIGKILL, as a crash would, and return when it is gone."""
        self._signal(name, signal.SIGKILL)
        process.gone(self._known().children[Name(name)], STOP_SECONDS)

    def pause(self, name: str) -> None:
        """Make one server hang (SIGSTOP): it holds its port and its connections and answers nothing."""
        self._signal(name, signal.SIGSTOP)
        process.becomes_paused(self._known().children[Name(name)], STOP_SECONDS)

    def resume(self, name: str) -> None:
        """Let a paused server go on."""
        self._signal(name, signal.SIGCONT)

    def down(self, *, wipe: bool = False) -> list[Name]:
        """Stop both; with ``wipe`` also remove what the stack keeps in its folder. Which ones ran."""
        if not self.folder.is_dir():
            return []
        with self._locked():
            record = load(self.folder / "stack.json")
            if record is None:
                return []
            ran = [name for name in Name if self._alive(record, name)]
            for name in ran:  # both stop at the same time
                process.send(record.children[name], signal.SIGTERM)
            for name in ran:
                process.end(record.children[name], STOP_SECONDS)
            save(msgspec.structs.replace(record, children={}), self.folder / "stack.json")
            if wipe:
                self._wipe(record)
        return ran

    def status(self) -> list[Server]:
        """What each server does now; asks the servers themselves, so a hanging one takes two seconds."""
        record = load(self.folder / "stack.json")
        return [self._look(record, name) for name in Name]

    def log(self, name: str) -> Path:
        """The log file of one server, in the layout that server is known for."""
        return self.folder / "logs" / f"{Name(name)}.log"

    def _known(self) -> Record:
        record = load(self.folder / "stack.json")
        if record is None:
            raise StackFailed(f"there is no stack in {self.folder}: start one with `tailrace stack up`")
        return record

    def _settle(self, wanted: dict[str, int]) -> Record:
        """The record to start with: what is known, what is wanted, and free ports for the rest."""
        record = load(self.folder / "stack.json")
        if record is None:
            record = Record(kafka_port=machine.free_port(), elasticsearch_port=machine.free_port())
        for key, value in wanted.items():
            name = Name.ELASTICSEARCH if key in {"elasticsearch_port", "heap_mib"} else Name.KAFKA
            if getattr(record, key) != value and self._alive(record, name):
                raise StackFailed(
                    f"{name.spoken} already runs with {key.removeprefix(f'{name}_')} {getattr(record, key)}:"
                    f" stop it first with `tailrace stack down`, or leave out what asks for {value}"
                )
        return msgspec.structs.replace(record, **wanted)

    def _check_room(self, record: Record, names: list[Name]) -> None:
        resident = {Name.KAFKA: kafka.RESIDENT_MIB, Name.ELASTICSEARCH: elasticsearch.resident_mib(record.heap_mib)}
        machine.require_memory(sum(resident[name] for name in names), " and ".join(name.spoken for name in names))
        for name in names:
            machine.require_free(record.port(name), name.spoken, f"--{name}-port")

    def _spawn(self, record: Record, name: Name, home: Path) -> Record:
        """Start one server, and note it at once, so that a `down` finds it even if we are ended now."""
        java = machine.java()
        version = machine.java_version(java)
        folder = self.folder / name
        mark = f"-Dtailrace.stack={folder}"
        self.log(name).parent.mkdir(exist_ok=True)
        if name is Name.KAFKA:
            kafka.configure(folder, self.log(name), record.kafka_port, machine.free_port(), record.partitions)
            kafka.format_once(java, home, folder)
            command = kafka.command(java, home, folder, mark)
        else:
            elasticsearch.configure(folder, self.log(name), record.elasticsearch_port)
            command = elasticsearch.command(java, version, home, folder, mark, *elasticsearch.heap(record.heap_mib))
        (folder / "console.log").unlink(missing_ok=True)
        started = record.with_child(name, process.spawn(command, mark, folder / "console.log"))
        save(started, self.folder / "stack.json")
        return started

    def _wait(self, record: Record, name: Name, deadline_seconds: float) -> None:
        until = time.monotonic() + deadline_seconds
        while not self._ready(record, name):
            if not self._alive(record, name):
                raise StackFailed(f"{name.spoken} ended while it started; its last words:\n{self._last_words(name)}")
            if time.monotonic() > until:
                raise StackFailed(
                    f"{name.spoken} runs but is not ready after {deadline_seconds:g} s:"
                    f" see {self.log(name)}, whose last words are:\n{self._last_words(name)}"
                )
            time.sleep(_POLL_SECONDS)

    def _last_words(self, name: Name) -> str:
        said = (machine.tail(file) for file in (self.log(name), self.folder / name / "console.log"))
        return "\n".join(text for text in said if text)

    def _ready(self, record: Record, name: Name) -> bool:
        if name is Name.KAFKA:
            return kafka.answers(record.kafka_port)
        return elasticsearch.health(record.elasticsearch_port) in {"green", "yellow"}

    def _alive(self, record: Record, name: Name) -> bool:
        child = record.children.get(name)
        return child is not None and process.alive(child)

    def _look(self, record: Record | None, name: Name) -> Server:
        child = record.children.get(name) if record else None
        runs = child is not None and process.alive(child)
        return Server(
            name=name,
            state=self._state(record, name),
            pid=child.pid if child is not None and runs else 0,
            port=record.port(name) if record else 0,
            resident_mib=process.resident_mib(child) if child is not None and runs else 0,
            log=str(self.log(name)),
        )

    def _state(self, record: Record | None, name: Name) -> State:
        if record is None or name not in record.children:
            return State.STOPPED
        child = record.children[name]
        if not process.alive(child):
            return State.DIED
        if process.paused(child):
            return State.PAUSED
        answers = kafka.answers(record.kafka_port) if name is Name.KAFKA else elasticsearch.health(record.port(name))
        return State.RUNNING if answers else State.SILENT

    def _signal(self, name: str, what: signal.Signals) -> None:
        child = self._known().children.get(Name(name))
        if child is None or not process.send(child, what):
            raise StackFailed(f"{Name(name).spoken} does not run: start it with `tailrace stack up`")

    def _running(self, started: list[Name]) -> Running:
        return Running(
            folder=str(self.folder),
            bootstrap_servers=self.bootstrap_servers,
            elasticsearch_url=self.elasticsearch_url,
            settings_file=str(self.folder / "tailrace.toml"),
            started=started,
        )

    def _write_settings(self, record: Record) -> None:
        """Write a ``tailrace.toml`` for these servers, unless someone has changed the one that is there."""
        file = self.folder / "tailrace.toml"
        if file.exists() and _digest(file.read_text()) != record.settings_digest:
            return
        text = _SETTINGS.format(
            kafka=record.kafka_port,
            elasticsearch=record.elasticsearch_port,
            state=json.dumps(str(self.folder / "state"), ensure_ascii=False),  # a basic string of TOML too
            logs=json.dumps(str(self.folder / "logs" / "*.log"), ensure_ascii=False),
        )
        file.write_text(text)
        save(msgspec.structs.replace(record, settings_digest=_digest(text)), self.folder / "stack.json")

    def _wipe(self, record: Record) -> None:
        for name in _OURS:
            file = self.folder / name
            if file.is_dir():
                shutil.rmtree(file)
            elif name != "tailrace.toml" or (file.exists() and _digest(file.read_text()) == record.settings_digest):
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # someone keeps other things in it
            self.folder.rmdir()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            opened = (self.folder / "lock").open("w")
        except OSError as error:
            raise StackFailed(
                f"{self.folder} cannot hold a stack ({error.strerror}): give another with --dir"
            ) from None
        with opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            yield


def default_folder() -> Path:
    """Where the stack lives if nobody says otherwise: ``$TAILRACE_STACK_DIR``, else ``.tailrace/stack`` here."""
    return Path(os.environ.get("TAILRACE_STACK_DIR") or ".tailrace/stack")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_SETTINGS = """\
# Written by `tailrace stack up`; once you change it, it is yours and is left alone.
[kafka]
bootstrap_servers = ["127.0.0.1:{kafka}"]

[elasticsearch]
hosts = ["http://127.0.0.1:{elasticsearch}"]
replicas = 0

[shipper]
state_dir = {state}

# The servers' own logs; put more files there, or name others.
[[shipper.inputs]]
paths = [{logs}]
dataset = "stack"
"""
