"""What the settings say of an input's filters, each one rule. No I/O."""

import msgspec

VERBS = ("drop", "keep", "sample", "throttle", "rename", "set", "remove", "route", "redact")
"""What a filter may do; each filter does one of them."""


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``sample``: keep a share of the records."""

    rate: float
    """More than 0 and less than 1."""
    by: list[str] = msgspec.field(default_factory=lambda: ["trace.id"])
    """Records with the same value of the first of these fields that they have are kept together, on every host."""
    keep_errors: bool = True
    """Keep every record of level error or worse, or with an error."""


class Throttle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``throttle``: keep at most so many records of a key in each window of the records' own time."""

    most: int
    per_seconds: float = 60.0
    by: list[str] = []
    """The fields whose values make the key; without one, all records of a file share the limit."""


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``route``: send records to another data stream or topic; what is empty stays the input's, or the shipper's."""

    dataset: str = ""
    namespace: str = ""
    topic: str = ""
    """Made by ``tailrace setup``; the indexers read it if it is among ``indexer.topics``."""


class Redact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``redact``: replace what must not leave the host, wherever in a record it stands."""

    kinds: list[str] = []
    """Of the built-in ones: email, card, ipv4, ipv6, jwt, bearer, cloud_key, password."""
    patterns: list[str] = []
    """Of one's own (RE2); with a group only what the first group matches is replaced."""
    label: str = "redacted"
    """What stands in place of what a pattern of one's own found, in brackets; the kinds have their names."""
    hash_key_file: str = ""
    """A file with a secret key: the label also gets a keyed hash, so that equal values can be told to be equal."""


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[[shipper.inputs.filters]]``: one rule; the rules of an input are applied in order."""

    name: str = ""
    """What the rule is called in metrics and in the ledger; empty means what it does and its number, ``drop-1``."""
    when: str = ""
    """A condition (CEL) on the record's fields; the rule is for those for which it holds."""
    drop: bool = False
    keep: bool = False
    """Drop all for which the condition does not hold."""
    sample: Sample | None = None
    throttle: Throttle | None = None
    rename: dict[str, str] = {}
    """Field to its new name."""
    set: dict[str, str | int | float | bool] = {}
    """Field to a constant."""
    remove: list[str] = []
    route: Route | None = None
    redact: Redact | None = None

    @property
    def verbs(self) -> list[str]:
        """What it does: one of ``VERBS`` if it is right."""
        return [verb for verb in VERBS if getattr(self, verb)]


def names_of(filters: list[Filter]) -> list[str]:
    """What the rules of an input are called, by their own names or by what they do."""
    return [one.name or f"{'-'.join(one.verbs)}-{number}" for number, one in enumerate(filters, 1)]
