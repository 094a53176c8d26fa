"""A pattern that a person wrote to a compiled one that never needs more than linear time (RE2). No I/O."""

from typing import Any

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


class BadPattern(ValueError):
    """A pattern that cannot be compiled: the reason, and in ``place`` the first character that is at fault."""

    def __init__(self, pattern: str, place: int, reason: str) -> None:
        super().__init__(reason)
        self.pattern = pattern
        self.place = place

    def pointed(self, indent: str = "  ") -> str:
        """The pattern with a caret under the place, for a person: two lines to stand below the reason."""
        shown = "".join(char if char.isprintable() else " " for char in self.pattern)
        return f"{indent}{shown}\n{indent}{' ' * self.place}^"


def pattern_of(text: str) -> Any:  # noqa: ANN401 - the library has no types
    """Compile a pattern in RE2's syntax; it matches ``str`` and ``bytes`` (as UTF-8) alike.

    Raises:
        BadPattern: it is wrong, or needs what RE2 leaves out: look-around and back-references.
    """
    try:
        return re2.compile(text, _OPTIONS)
    except re2.error as error:
        said = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        reason, _, fragment = said.partition(": ")
        # An unclosed group is told with all of the pattern; the one that is open is then the last one opened.
        place = text.rfind("(") if reason == "missing )" else text.find(fragment) if fragment else 0
        if reason == "unexpected )":
            place = text.rfind(")")
        if reason == "invalid perl operator":
            reason = "look-around is not supported"
        raise BadPattern(text, max(0, place), reason) from error
