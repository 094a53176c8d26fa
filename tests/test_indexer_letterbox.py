"""A dead letter counts as there when Kafka has it, not when it is on its way."""

import asyncio
from typing import Any, ClassVar

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from fakes import FakePolled
from processes import in_loop

from indexer import letterbox
from indexer.documents import Refusal
from indexer.letterbox import Letterbox
from indexer.ownership import Origin
from indexer.reasons import Reason
from tailrace import letters
from tailrace.settings import Kafka


class Deaf:
    """A producer that takes each record, and never gets it acknowledged."""

    def __init__(self, **_how: object) -> None:
        pass

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def partitions_for(self, _topic: str) -> set[int]:
        return {0, 1, 2}

    async def send(self, *_record: object, **_how: object) -> "asyncio.Future[object]":
        sent: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        sent.set_exception(KafkaTimeoutError())
        return sent


class Narrow(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka is untyped
    """The client, in front of a broker that takes a megabyte; ``taken`` is what it acknowledged."""

    taken: ClassVar[list[tuple[bytes | None, bytes, dict[str, bytes]]]] = []

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        self._closed = True

    async def partitions_for(self, _topic: str) -> set[int]:
        return {0, 1, 2}

    async def send(
        self, _topic: str, value: bytes, key: bytes | None, number: int | None, *, headers: Any
    ) -> "asyncio.Future[object]":  # type: ignore[override]
        assert (number is None) == (key is not None)
        self._serialize(key, value, headers)
        sent: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        size = len(value) + len(key or b"") + sum(len(name) + len(said or b"") for name, said in headers)
        if size > 1_000_000:
            sent.set_exception(MessageSizeTooLargeError())
        else:
            self.taken.append((key, value, dict(headers)))
            sent.set_result(None)
        return sent


@pytest.mark.parametrize(
    "record",
    [
        FakePolled(b" " * 100_000_001),
        FakePolled(b"x", (("h", b"0" * 2_000_000),)),
        FakePolled(b"", (("h", b"0" * 2_000_000), ("t", b"1||logs-a-default|a:0"))),
        FakePolled(b"x" * 10, key=b"k" * 2_000_000),
        FakePolled(b"x" * 3_000_000, (("t", b"t" * 2_000_000),)),
    ],
    ids=["value", "headers", "without a value", "key", "header of ours"],
)
@in_loop
async def test_a_record_that_no_letter_holds_has_a_letter_without_it(
    record: FakePolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why, and where the record stands, and that it is not whole; others are not kept up by it."""
    monkeypatch.setattr(letterbox, "AIOKafkaProducer", Narrow)
    monkeypatch.setattr(Narrow, "taken", [])
    other = Refusal(FakePolled(b"other"), Origin("t", 1), Reason.JSON, "no JSON")
    big = Refusal(record, Origin("t", 0), Reason.JSON, "no JSON")
    box = Letterbox(Kafka(bootstrap_servers=["127.0.0.1:1"]))
    assert await box.send([other, big]) == ""
    await box.close()
    (_, first, _), (key, value, headers) = Narrow.taken
    assert first == b"other"
    read = letters.read(0, FakePolled(value, tuple(headers.items()), key))
    assert isinstance(read, letters.Letter)
    assert (read.subject.offset, read.reason, read.is_cut) == (0, "json", True)
    assert read.length == max(1, len(record.value or b""))
    assert ("t" in headers) == any(name == "t" and len(said) < 1000 for name, said in record.headers)


def test_what_kafka_did_not_acknowledge_is_no_letter_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusals stay with the indexer, which sends them again before it goes on."""
    monkeypatch.setattr(letterbox, "AIOKafkaProducer", Deaf)
    refusal = Refusal(FakePolled(b"x"), Origin("t", 0), Reason.JSON, "no JSON")
    box = Letterbox(Kafka(bootstrap_servers=["127.0.0.1:1"]))
    assert "KafkaTimeoutError" in asyncio.run(box.send([refusal]))
