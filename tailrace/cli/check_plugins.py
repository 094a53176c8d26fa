"""What installed packages bring to findings: each is named, and loaded if an input names it."""

from collections.abc import Iterator

from shipper.foreign import bring
from tailrace import plugins
from tailrace.cli.finding import Finding, ok, wrong
from tailrace.errors import FixSettings
from tailrace.formats import GROUP
from tailrace.settings import FORMATS, Settings

_SUBJECT = "formats"


def findings(settings: Settings) -> Iterator[Finding]:
    """The formats of other packages; one that an input names must be there and work."""
    inputs = settings.shipper.inputs
    named = {name for entry in inputs for name in (entry.format, entry.inner)}
    for name in plugins.names_of(GROUP):
        package = plugins.package_of(GROUP, name)
        if name in FORMATS:
            yield wrong(_SUBJECT, f"{name} of {package} is the name of one of ours, which is used", "rename it there")
        elif name not in named:
            yield ok(_SUBJECT, f"{name} of {package}, which no input names")
        else:
            yield _loaded(settings, name, package)


def _loaded(settings: Settings, name: str, package: str) -> Finding:
    try:
        bring(entry for entry in settings.shipper.inputs if name in (entry.format, entry.inner))
    except FixSettings as error:
        return wrong(_SUBJECT, str(error), "install one that works, or name another format")
    return ok(_SUBJECT, f"{name} of {package}")
