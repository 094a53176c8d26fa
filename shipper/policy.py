"""The settings of an input and what is known of a file to what is done with it. No I/O."""

_IDLE_SECONDS = 1.0
_MOST_IDLE_SECONDS = 10.0
_IDLE_LOOKS = 500
"""Files that do not grow are looked at so many times a second, all together, if there are many of them."""


def idle_seconds(files: int) -> float:
    """How long a file that does not grow waits for its next look, when so many are followed."""
    return min(_MOST_IDLE_SECONDS, max(_IDLE_SECONDS, files / _IDLE_LOOKS))
