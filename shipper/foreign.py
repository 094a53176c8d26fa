"""Formats of other packages, loaded; and what went wrong in them to the log, each once."""

from collections.abc import Iterable

import structlog

from shipper.formats.foreign import FAULTS, KNOWN
from tailrace import plugins
from tailrace.errors import FixSettings
from tailrace.formats import GROUP, ChunkFormat
from tailrace.settings import FORMATS, Input

_told: set[str] = set()


def bring(inputs: Iterable[Input]) -> None:
    """Load the formats that inputs name and we do not have.

    Raises:
        FixSettings: one is not installed, cannot be loaded, or is none.
    """
    for name in {name for entry in inputs for name in (entry.format, entry.inner)} - {*FORMATS, *KNOWN}:
        found = plugins.load(GROUP, name)
        if isinstance(found, type) or not (isinstance(found, ChunkFormat) or callable(found)):
            package = plugins.package_of(GROUP, name)
            raise FixSettings(
                f"{name} of {package} is no format: it is neither a function of a line nor an object with "
                "chunk(lines); see docs/plugins.md."
            )
        KNOWN[name] = found


def tell_faults() -> None:
    """Log the first fault of each format that had one; how often is counted by the flag ``plugin``."""
    for name in FAULTS.keys() - _told:
        _told.add(name)
        package = plugins.package_of(GROUP, name)
        structlog.get_logger().warning(
            "a format of another package failed; its lines are shipped as text, flagged plugin",
            format=name,
            package=package,
            fault=FAULTS[name],
        )
