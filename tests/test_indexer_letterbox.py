"""A dead letter counts as there when Kafka has it, not when it is on its way."""

import asyncio

import pytest
from aiokafka.errors import KafkaTimeoutError
from fakes import FakePolled

from indexer import letterbox
from indexer.documents import Refusal
from indexer.letterbox import Letterbox
from indexer.ownership import Origin
from indexer.reasons import Reason
from tailrace.settings import Kafka


class Deaf:
    """A producer that takes each record, and never gets it acknowledged."""

    def __init__(self, **_how: object) -> None:
        pass

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def send(self, *_record: object, **_how: object) -> "asyncio.Future[object]":
        sent: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        sent.set_exception(KafkaTimeoutError())
        return sent


def test_what_kafka_did_not_acknowledge_is_no_letter_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusals stay with the indexer, which sends them again before it goes on."""
    monkeypatch.setattr(letterbox, "AIOKafkaProducer", Deaf)
    refusal = Refusal(FakePolled(b"x"), Origin("t", 0), Reason.JSON, "no JSON")
    box = Letterbox(Kafka(bootstrap_servers=["127.0.0.1:1"]))
    assert "KafkaTimeoutError" in asyncio.run(box.send([refusal]))
