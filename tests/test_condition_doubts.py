"""Conditions that can be compiled and are hardly meant: what is said of them, and of which nothing is."""

import pytest

from tailrace.cli.check_filters import KINDS
from tailrace.condition_doubts import doubts


@pytest.mark.parametrize(
    ("text", "said", "next_step"),
    [
        ('log.levle == "a"', "no line fills a field log.levle", "did you mean log.level?"),
        ("http.response.status == 5", "no line fills a field http.response.status", "http.response.status_code?"),
        ("message == 5", "message is text and never == 5", "put it in quotes"),
        ("5 < message", "message is text and never > 5", "put it in quotes"),
        ("source.port == '80'", "source.port is a number and never == '80'", "without quotes"),
        ('http.response.status_code in ["500", "503"]', 'is a number and never in ["500", "503"]', "without quotes"),
        ("labels.n > 5", "labels.n is text and never > 5", "ask for numeric_labels.n, where numbers are"),
        ('numeric_labels.ms > "5"', 'numeric_labels.ms is a number and never > "5"', "without quotes"),
        ("message", "message is neither true nor false, so this never holds", 'write message != ""'),
        ('message == "a" && !user.id', "user.id is neither true nor false", "write has(user.id)"),
    ],
)
def test_what_is_hardly_meant_is_said_with_what_to_write(text: str, said: str, next_step: str) -> None:
    """Once, for each condition."""
    (doubt,) = doubts(text, KINDS)
    assert said in doubt.text
    assert next_step in doubt.next_step


@pytest.mark.parametrize(
    "text",
    [
        'log.level in ["warn", "error"]',
        "http.response.status_code >= 500 && numeric_labels.ms > 2.5",
        "size(message) == 5 || message.size() == 5",
        '1 + 5 == numeric_labels.n && labels["a.b"] == "5"',
        '"live" in tags && tags == 5',
        "has(user.id) && !has(error.stack_trace) && has(error)",
        "http.response.status_code in [500, 503]",
        'string(http.response.status_code) == "5" + "00"',
        'kubernetes.pod.ip == "10.0.0.1" && labels.levle == "x"',
        "message != 5 && source.ip == '10.0.0.1' && log.offset == 0",
    ],
)
def test_what_may_be_meant_is_left_alone(text: str) -> None:
    """A warning that is wrong teaches people to skip them."""
    assert list(doubts(text, KINDS)) == []
