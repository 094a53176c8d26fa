"""What ``tailrace audit --json`` prints, and what of it a host repairs. No I/O."""

import msgspec

from tailrace.audit.chain import Range
from tailrace.causes import NO_JSON
from tailrace.errors import MendPlan

VERSION = 1


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of one source that are missing."""

    source: str
    host: str
    path: str = ""
    missing: list[Range] = []
    missing_bytes: int = 0
    missing_record_bytes: int = 0
    """As of ``Verdict``, of all that the audit found."""

    @property
    def least_record_bytes(self) -> int:
        """At least so many of the missing bytes were in records; 0 where nobody can tell, as of a part of a plan."""
        is_all = sum(one.size for one in self.missing) == self.missing_bytes
        return self.missing_record_bytes if is_all else 0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An audit as far as a repair needs it; ``version`` is that of its form."""

    version: int
    time: str = ""
    sources: list[Loss] = []


def losses(text: bytes) -> list[Loss]:
    """What a plan says is missing, of the sources of all hosts.

    Raises:
        MendPlan: it is no plan, or one of another version.
    """
    try:
        plan = msgspec.json.decode(text, type=Plan)
    except NO_JSON as error:
        raise MendPlan(f"This is no plan ({error}); make one with `tailrace audit --json > plan.json`.") from error
    if plan.version != VERSION:
        raise MendPlan(f"This plan is of form {plan.version}, and we know {VERSION}; make it with this tailrace.")
    return [one for one in plan.sources if one.missing]
