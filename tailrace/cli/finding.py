"""What a check found: one line with its mark, and the next step."""

import enum

import msgspec


class Mark(enum.Enum):
    """How a finding is meant: all is well, look at it, or it will not work."""

    OK = "ok"
    LOOK = "look"
    WRONG = "wrong"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at; ``next_step`` is empty where all is well."""

    mark: Mark
    subject: str
    """What was looked at: ``input 0``, ``kafka``, ``topic tailrace.logs``."""
    text: str
    next_step: str = ""


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(Mark.OK, subject, text)


def look(subject: str, text: str, next_step: str) -> Finding:
    """It works, and may not be what is meant."""
    return Finding(Mark.LOOK, subject, text, next_step)


def wrong(subject: str, text: str, next_step: str) -> Finding:
    """It will not work."""
    return Finding(Mark.WRONG, subject, text, next_step)
