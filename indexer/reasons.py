"""Why a record went to the dead letters. No I/O."""

import difflib
import enum


class Reason(enum.Enum):
    """The word for it; its value is the metric's label and the letter's ``tailrace.reason``."""

    HEADER = "header"
    STREAM = "stream"
    JSON = "json"
    TIME = "time"
    MAPPING = "mapping"
    TOO_LARGE = "too_large"
    RESET = "reset"
    REFUSED = "refused"
    FAILURE_STORE = "failure_store"


def misspelt(condition: str) -> str:
    """What is wrong with a condition as ``reason=mapping`` that asks for a reason that is none; else nothing."""
    name, _, reason = (part.strip() for part in condition.partition("="))
    known = [one.value for one in Reason]
    if name not in ("reason", "reason!") or not reason or reason in known:
        return ""
    near = difflib.get_close_matches(reason, known, n=1)
    advice = f"did you mean {near[0]}? " if near else ""
    return f"{reason!r} is no reason; {advice}known are {', '.join(known)}."
