"""The filters of an input to its compiled rules, with the secret keys that stand in files."""

from pathlib import Path

from shipper.filters import rules_of
from shipper.filters.sieve import Rules
from tailrace.errors import FixSettings
from tailrace.filter_settings import Filter
from tailrace.patterns import BadPattern
from tailrace.settings import Input

_LEAST_BYTES = 16


def filter_rules(entry: Input) -> Rules | None:
    """The rules of an input; None if it has no filters.

    Raises:
        FixSettings: the file of a key cannot be read or holds too little, or a filter cannot be.
    """
    if not entry.filters:
        return None
    try:
        return rules_of(entry.filters, [_key(one) for one in entry.filters])
    except BadPattern as error:
        raise FixSettings(f"A filter of {entry.dataset} cannot be used: {error}.\n{error.pointed()}") from error


def _key(one: Filter) -> bytes:
    name = one.redact.hash_key_file if one.redact is not None else ""
    if not name:
        return b""
    try:
        key = Path(name).read_bytes().strip()
    except FileNotFoundError as error:
        raise FixSettings(
            f"There is no redact.hash_key_file = {name}; make it: `openssl rand -hex 32 > {name}`."
        ) from error
    except OSError as error:
        raise FixSettings(f"Cannot read redact.hash_key_file = {name}: {error.strerror}.") from error
    if len(key) < _LEAST_BYTES:
        raise FixSettings(
            f"The key in redact.hash_key_file = {name} has {len(key)} bytes, too few to be secret; "
            f"write {_LEAST_BYTES} or more into it, for example with `openssl rand -hex 32`."
        )
    return key
