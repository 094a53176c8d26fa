"""What both halves ask of Kafka's clients."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaTimeoutError, NodeNotReadyError

from tailrace import kafka


class Young:
    """A broker that was just started, as the admin client shows it: it does not answer, then names no controller."""

    def __init__(self, answers: list[int | None], hears_at: int) -> None:
        self.answers = answers
        self.hears_at = hears_at
        self.updates = 0
        self._client = SimpleNamespace(cluster=SimpleNamespace(controller=None), force_metadata_update=self.update)

    async def describe_cluster(self) -> dict[str, int]:
        """The next answer; the last for ever."""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise NodeNotReadyError
        return {"controller_id": answer}

    async def update(self) -> None:
        """The client hears of the controller at the last of so many."""
        self.updates += 1
        if self.updates == self.hears_at:
            self._client.cluster.controller = object()


def test_a_broker_that_was_just_started_is_waited_for() -> None:
    """Until it names a controller, and the client has heard of it."""
    young = Young([None, -1, -1, 1], hears_at=2)
    assert asyncio.run(kafka.cluster_of(young)) == {"controller_id": 1}  # type: ignore[arg-type]
    assert young.updates == 2


@pytest.mark.parametrize(
    ("answer", "error"), [(-1, KafkaTimeoutError), (None, NodeNotReadyError), (1, KafkaTimeoutError)]
)
def test_it_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, answer: int | None, error: type[Exception]
) -> None:
    """What the client said last is the reason."""
    monkeypatch.setattr("tailrace.kafka._CONTROLLER_SECONDS", 0.1)
    with pytest.raises(error):
        asyncio.run(kafka.cluster_of(Young([answer], hears_at=0)))  # type: ignore[arg-type]
