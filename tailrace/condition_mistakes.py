"""What the library says of a condition that it cannot compile, to a place and a sentence with the next step. No I/O."""

import difflib
import re

from tailrace.condition_words import FUNCTIONS, ROOTS, words_of

_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_COMPARED = re.compile(r"(?:[=!<>]=|[<>]|\bin|[\[,])\s*$")
_OTHER_LANGUAGES = {"and": "&&", "or": "||", "not": "!"}
_HALF = {"=": "==", "===": "==", "&": "&&", "|": "||", "<>": "!=", "!==": "!="}
_SIGHTS = {
    "@timestamp": "@timestamp cannot be asked for: what is decided must be the same when a line is read again",
    "missing ')'": "a ) is missing here",
    "'<EOF>'": "something is missing here",
    **dict.fromkeys("\u201c\u201d\u201e\u2018\u2019", "write straight quotes"),
}
"""By what stands there or what the library says of it."""
_OURS = ("agent", "data_stream", "ecs", "host", "tailrace")
_SHORT = {"level": "log.level", "logger": "log.logger", "msg": "message", "status": "http.response.status_code"}


def explained(text: str, said: str) -> tuple[int, str]:
    """The library's first complaint: where, and in short words what to do."""
    found = _ERROR.search(said)
    if not found:
        return 0, said.partition("\n")[0]
    before = sum(len(line) for line in text.splitlines(keepends=True)[: int(found[1]) - 1])
    place = min(before + int(found[2]) - 1, len(text))
    reason = found[3].partition(" (in container")[0].partition(" expecting ")[0].removesuffix(" [INVALID_ARGUMENT]")
    if unknown := re.search(r"undeclared reference to '(.*)'", reason):
        return _unknown(text, place, unknown[1])
    return _unreadable(text, place, reason) if "Syntax error" in reason else (place, reason)


def _unknown(text: str, place: int, name: str) -> tuple[int, str]:
    """A name that is none, of a function or of a field: the library points at its dot, or behind it."""
    root = name.partition(".")[0]
    before = text[:place].rstrip()
    place = next((len(before) - len(one) for one in (name, root) if before.endswith(one)), place)
    called = text[place + len(name) :].lstrip().startswith("(")
    if sign := _OTHER_LANGUAGES.get(name.lower()):
        return place, f"write {sign} for {name}"
    if _COMPARED.search(text[:place]) and not called:
        return place, f'there is no field {name}; put text in quotes, as "{name}"'
    if root in _OURS and not called:
        return place, f"{root} is written by the shipper and cannot be asked for"
    if full := _SHORT.get(name):
        return place, f"there is no field {name}; write {full}, or labels.{name} for a label"
    near = difflib.get_close_matches(name.lower(), {one.lower(): one for one in (*FUNCTIONS, *ROOTS)}, n=1, cutoff=0.7)
    if near:
        return place, f"there is no field or function {name}; the nearest is {_spelt(near[0])}"
    rest = "" if called else f"; what is no field of ECS is a label, labels.{name}"
    return place, f"there is no {'function' if called else 'field or function'} {name}{rest}"


def _unreadable(text: str, place: int, reason: str) -> tuple[int, str]:
    """Something at which the grammar ends: often the operator of another language, just before or there."""
    if operator := _operator(text, place):
        return operator
    for what, sentence in _SIGHTS.items():
        if text.startswith(what, place) or what in reason:
            return place, sentence
    if text.startswith(('"', "'"), place) and "token recognition" in reason:
        return place, "the quote that begins here is not closed"
    odd = re.search(r"(?:input|at:) '(.*)'", reason)
    return place, f"{odd[1].strip()!r} is not expected here" if odd else reason.removeprefix("Syntax error: ")


def _operator(text: str, place: int) -> tuple[int, str] | None:
    for word in words_of(text):
        sign = _OTHER_LANGUAGES.get(word.group().lower())
        if sign and word.start() <= place <= word.end() + 1 and not text[: word.start()].rstrip().endswith("."):
            return word.start(), f"write {sign} for {word.group()}"
    for odd in re.finditer(r"[=!<>&|]+", text):
        if odd.start() <= place < odd.end() and odd.group() in _HALF:
            return odd.start(), f"write {_HALF[odd.group()]} for {odd.group()}"
    return None


def _spelt(name: str) -> str:
    return next(one for one in (*FUNCTIONS, *ROOTS) if one.lower() == name)
