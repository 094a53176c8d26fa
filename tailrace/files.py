"""A name to a file that ships with the product: dashboards, templates, units, the stack's Java side."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shared(name: str) -> Path:
    """The path of a shipped file or folder, for example ``deploy/systemd``.

    In a wheel these live under ``tailrace/share/``; in a checkout (or an editable install) at its top.
    """
    installed = _PACKAGE / "share" / name
    return installed if installed.exists() else _PACKAGE.parent / name
