"""Asking whether ids are stored: no answer, and no odd answer, ever means absent."""

import asyncio
from typing import Any

import orjson
import pytest

from indexer.lookup import Unanswered, look_up
from indexer.transport import Answer, Transport

RESOLVED = orjson.dumps({"data_streams": [{"name": "s", "backing_indices": ["old", "new"]}]})
NO_INDEX = b'{"error":{"type":"index_not_found_exception","reason":"no such index [s]"}}'
NO_LOGIN = b'{"error":{"type":"security_exception","reason":"who are you?"}}'


class FakeTransport(Transport):
    """Gives prepared answers, in order, and remembers the paths."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.paths: list[str] = []

    async def request(self, _method: str, path: str, _body: bytes | None = None, **_how: Any) -> Answer:
        self.paths.append(path)
        return self.answers.pop(0)


def _docs(*docs: object) -> Answer:
    return Answer(200, orjson.dumps({"docs": docs}))


def test_the_newest_index_is_asked_first_and_only_the_rest_of_the_others() -> None:
    """What is found need not be looked for again."""
    found = _docs({"found": True}, {"found": False})
    transport = FakeTransport(Answer(200, RESOLVED), found, _docs({"found": True}))
    assert asyncio.run(look_up(transport, [("s", "a"), ("s", "b")])) == [True, True]
    assert [path.partition("?")[0] for path in transport.paths] == ["/_resolve/index/s", "/new/_mget", "/old/_mget"]


def test_a_stream_that_is_not_there_has_nothing() -> None:
    """Only Elasticsearch's own word for it counts."""
    assert asyncio.run(look_up(FakeTransport(Answer(404, NO_INDEX)), [("s", "a")])) == [False]


@pytest.mark.parametrize(
    "answers",
    [
        [Answer(0, b"timed out")],
        [Answer(404, b"<html>not found</html>")],
        [Answer(404, NO_LOGIN)],
        [Answer(401, NO_LOGIN)],
        [Answer(200, b"{}")],
        [Answer(200, b"nonsense")],
        [Answer(200, b'{"data_streams":[{"backing_indices":["\xff"]}]}')],
        [Answer(200, RESOLVED), Answer(200, b'{"docs":[{"error":{"reason":"\xff"}}]}')],
        [Answer(200, b'{"data_streams":[]}')],
        [Answer(200, RESOLVED), Answer(0, b"reset")],
        [Answer(200, RESOLVED), Answer(503, b"")],
        [Answer(200, RESOLVED), Answer(200, b"{}")],
        [Answer(200, RESOLVED), _docs()],
        [Answer(200, RESOLVED), _docs({"found": False}, {"found": False})],
        [Answer(200, RESOLVED), _docs({"error": {"type": "no_shard_available_action_exception"}})],
        [Answer(200, RESOLVED), _docs({"found": False}), _docs({"error": {"type": "index_not_found_exception"}})],
        [Answer(200, RESOLVED), _docs({"found": False}), Answer(404, NO_INDEX)],
    ],
)
def test_an_odd_answer_means_ask_again(answers: list[Answer]) -> None:
    """Taking any of these for absent would store a record twice."""
    assert isinstance(asyncio.run(look_up(FakeTransport(*answers), [("s", "a")])), Unanswered)
