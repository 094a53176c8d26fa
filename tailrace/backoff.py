"""How often something failed to how long to wait before the next try. No I/O."""


def delay(failures: int, jitter: float, *, first: float = 0.1, most: float = 30.0) -> float:
    """Seconds to wait after ``failures`` failures in a row (1 or more), doubled each time, at the most ``most``.

    ``jitter`` is a random number in [0, 1): the result lies between half of the full delay and all of it, so that many
    clients that failed together do not come back together.
    """
    full = min(most, first * 2.0 ** min(failures - 1, 30))
    return full * (0.5 + jitter / 2)
