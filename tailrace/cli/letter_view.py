"""Dead letters and groups of them to what is printed: tables and blocks for people, JSON for programs."""

import base64
import datetime
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from indexer.changes import Key, flatten
from tailrace.letter_groups import Group
from tailrace.letters import Letter, host, service
from tailrace.show import neutral
from tailrace.words import age

_PIPE_WIDTH = 240
_MOST_HEX = 64
_MOST_NAME = 32
_TITLES = {"error_type": "type"}


def console() -> Console:
    """Standard output: as wide as the terminal, and wide enough that nothing is cut in a file or a pipe."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, soft_wrap=False)


def iso(milliseconds: int) -> str:
    """A time for programs."""
    moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def group_json(group: Group) -> dict[str, Any]:
    """A group for programs."""
    times = {"first": iso(group.first), "last": iso(group.last)}
    return {**group.values, "letters": group.letters, **times, "example": group.example}


def group_table(groups: Sequence[Group], by: Sequence[str], now: float) -> RenderableType:
    """One row a group; times as ages."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("letters", justify="right", no_wrap=True)
    for name in by:
        table.add_column(_TITLES.get(name, name), no_wrap=name == "reason")
    table.add_column("first", justify="right", no_wrap=True)
    table.add_column("last", justify="right", no_wrap=True)
    for group in groups:
        values = [_cell(name, group.values[name]) for name in by]
        table.add_row(f"{group.letters:,}", *values, _ago(group.first, now), _ago(group.last, now))
    return table


def letter_json(letter: Letter) -> dict[str, Any]:
    """A letter for programs: its value as ``document`` if it is an object, else as ``value_base64``."""
    document = letter.document()
    settlement = letter.settlement
    return {
        "reason": letter.reason,
        "error": letter.error,
        "error_type": letter.error_type,
        "field": letter.field,
        "stream": letter.stream,
        "id": letter.record_id,
        "service": service(document),
        "host": host(document),
        "topic": letter.subject.topic,
        "partition": letter.subject.partition,
        "offset": letter.subject.offset,
        "time": iso(letter.time),
        "bytes": letter.length,
        "settled": settlement
        and {
            "how": settlement.how.value,
            "time": iso(settlement.time),
            "by": settlement.by,
            "note": settlement.note,
        },
        **(
            {"document": document}
            if document is not None
            else {"value_base64": base64.b64encode(letter.value).decode()}
        ),
    }


def letter_block(letter: Letter, now: float) -> RenderableType:
    """A letter for people: why, from where, and its fields, the offending ones marked."""
    text = Text()
    moment = datetime.datetime.fromtimestamp(letter.time / 1000).astimezone()
    text.append(letter.reason, style="bold red")
    for part in (letter.field, letter.stream):
        if part:
            text.append(f"  {neutral(part)}", style="bold")
    text.append(f"  {moment:%Y-%m-%d %H:%M:%S} ({_ago(letter.time, now)} ago)\n", style="dim")
    text.append(f"{neutral(str(letter.subject))}  {neutral(letter.record_id) or 'no id'}\n", style="dim")
    if letter.error:
        text.append(f"{neutral(letter.error)}\n", style="yellow")
    if letter.settlement:
        how, when, by, note = letter.settlement
        said = f": {neutral(note)}" if note else ""
        text.append(f"{how.value} {_ago(when, now)} ago by {neutral(by)}{said}\n", style="green")
    text.append_text(_content(letter))
    return text


def differences(keys: Iterable[Key]) -> Iterator[Text]:
    """What mends change, field by field."""
    for key in keys:
        for mark, style, value in (("-", "red", key.before), ("+", "green", key.after)):
            if value is not None:
                yield Text(f"  {mark} {neutral(key.name)}  {_shown(value)}", style=style)


def _content(letter: Letter) -> Text:
    document = letter.document()
    text = Text()
    if document is None:
        cut = f"the first {len(letter.value):,} of {letter.length:,} bytes: " if letter.is_cut else ""
        text.append(f"  {cut}{_raw(letter.value)}\n")
        return text
    leaves = flatten(document, with_empty=True)
    width = min(_MOST_NAME, max((len(neutral(name)) for name in leaves), default=0))
    for name, value in leaves.items():
        guilty = _is_at_fault(name, letter.field)
        mark, style = ("▶", "bold red") if guilty else (" ", "")
        text.append(f"{mark} {neutral(name).ljust(width)}  ", style=style or "cyan")
        text.append(f"{_shown(value)}\n", style=style)
    return text


def _is_at_fault(name: str, field: str) -> bool:
    """Whether a leaf is the field, lies in it, or (a list) holds it."""
    return bool(field) and (name == field or name.startswith(field + ".") or field.startswith(name + "."))


def _shown(value: object) -> str:
    return neutral(json.dumps(value, ensure_ascii=False))


def _raw(value: bytes) -> str:
    """Text as it is; of anything else its first bytes in hexadecimal."""
    try:
        return neutral(value[:400].decode())
    except UnicodeDecodeError:
        more = " …" if len(value) > _MOST_HEX else ""
        return value[:_MOST_HEX].hex(" ") + more


def _cell(name: str, value: str) -> Text:
    """A cell that is cut where the terminal is narrow: counts and times are not."""
    style = {"reason": "red", "field": "yellow"}.get(name, "") if value else "dim"
    return Text(neutral(value) or "-", style=style, no_wrap=True, overflow="ellipsis")


def _ago(milliseconds: int, now: float) -> str:
    return age(max(0.0, now - milliseconds / 1000))
