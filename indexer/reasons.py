"""Why a record went to the dead letters. No I/O."""

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
    FAILURE_STORE = "failure_store"
