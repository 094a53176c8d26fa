"""One file per kind of filter: a record to nothing, to another, or to another place. No I/O.

``rules_of`` compiles the filters of an input, once; ``sieve.py`` applies them to the records of one source. What is
done with a record follows from its line, from where it stands, and from what is remembered of the records before; that
is stored with the position. So a file that is read again gives the same records, and each has the same bytes before it.
"""

import itertools
from collections.abc import Sequence

from shipper.filters.drop import Drop
from shipper.filters.edit import Remove, Rename, Set, fits, paths_of
from shipper.filters.facts import Path
from shipper.filters.redact import Order, Redaction
from shipper.filters.rule import Action, Home, Rule
from shipper.filters.sample import Share
from shipper.filters.sieve import Rules
from shipper.filters.throttle import Limit
from tailrace.conditions import condition_of
from tailrace.errors import FixSettings
from tailrace.filter_settings import Filter, names_of


def rules_of(filters: Sequence[Filter], keys: Sequence[bytes]) -> Rules:
    """Compile the filters of an input; ``keys`` has for each the secret of its hashes, or nothing.

    Raises:
        FixSettings: a field cannot have the value that a filter sets.
        BadPattern: a condition or a pattern is wrong, which the settings have been asked for before.
    """
    named = [*zip(names_of([*filters]), filters, keys, strict=True)]
    rules: list[Rule] = []
    for together, group in itertools.groupby(named, lambda one: one[1].redact is not None and not one[1].when):
        if together:
            orders = [Order(name, one.redact, key) for name, one, key in group if one.redact is not None]
            rules.append(Rule(orders[0].rule, None, Redaction(orders)))
        else:
            rules += [_rule(*one) for one in group]
    return Rules(rules)


def _rule(name: str, one: Filter, key: bytes) -> Rule:
    """One rule; ``keep`` is a ``drop`` of all others."""
    condition = condition_of(one.when) if one.when else None
    return Rule(name, condition, _action(name, one, key), others=one.keep)


def _action(name: str, one: Filter, key: bytes) -> Action:
    action: Action = Drop()
    if one.sample is not None:
        action = Share(one.sample, _keys(one.sample.by))
    elif one.throttle is not None:
        action = Limit(one.throttle, _keys(one.throttle.by))
    elif one.redact is not None:
        action = Redaction([Order(name, one.redact, key)])
    elif one.route is not None:
        action = Home(one.route.dataset, one.route.namespace, one.route.topic)
    elif one.rename:
        action = Rename(one.rename)
    elif one.set:
        for field, value in one.set.items():
            if not fits(field, value):
                raise FixSettings(
                    f"A filter sets {field} to {value!r}, which that field cannot hold; see docs/filters.md."
                )
        action = Set(one.set)
    elif one.remove:
        action = Remove(one.remove)
    return action


def _keys(names: Sequence[str]) -> tuple[Path, ...]:
    return tuple(path for name in names for path in paths_of(name))
