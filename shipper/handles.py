"""How many log files may be open at once."""

import resource

_LET_THROUGH = 64
"""Descriptors kept free for the registry, the brokers and the libraries."""


def raise_limit(wanted: int) -> int:
    """Let this process open as many files as it may; how many of them may be log files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else 1_048_576
    if soft < wanted + _LET_THROUGH:
        soft = min(most, wanted + _LET_THROUGH)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(wanted, soft - _LET_THROUGH))
