"""``tailrace install``: the units, the settings file and the user of a host, without touching what is yours."""

import contextlib
import difflib
import grp
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import click
import msgspec

from tailrace.files import shared
from tailrace.words import several

_CONFIG = "/etc/tailrace/tailrace.toml"
_SETTINGS_MODE = 0o640
_SHIP, _INDEX = "tailrace-ship.service", "tailrace-index.service"
_UNITS = {"agent": (_SHIP,), "indexer": (_INDEX,), "all": (_SHIP, _INDEX)}

_EPILOG = """\b
Examples:
  sudo tailrace install --agent               a host whose logs are shipped
  sudo tailrace install --indexer --enable    a host that indexes, started at once
  tailrace install --dry-run                  what would be written
  tailrace install --root ./image             into an image or a package; starts nothing

\b
Exit codes: 0 done, 1 something cannot be written or started, 2 usage.
"""


class _File(msgspec.Struct, frozen=True):
    """A file to write; ``yours`` is True for one that is never overwritten."""

    path: Path
    text: str
    mode: int = 0o644
    yours: bool = False


@click.command(epilog=_EPILOG)
@click.option("--all", "part", flag_value="all", default="all", help="Shipper and indexer (the default).")
@click.option("--agent", "part", flag_value="agent", help="Only the shipper.")
@click.option("--indexer", "part", flag_value="indexer", help="Only the indexer.")
@click.option(
    "--root",
    "--prefix",
    type=click.Path(file_okay=False),
    default="/",
    metavar="DIR",
    help="Write below this folder, and start nothing.",
)
@click.option("--user", default="tailrace", show_default=True, metavar="NAME", help="Who the services run as.")
@click.option(
    "--executable", type=click.Path(), metavar="FILE", help="What the units run; else the tailrace that runs now."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be written.")
@click.option("--enable", is_flag=True, help="Start the services now and at every boot.")
def install(part: str, root: str, user: str, executable: str | None, *, dry_run: bool, enable: bool) -> None:
    """Write systemd units and a commented settings file.

    Safe to repeat: it shows what changes. Units are replaced (your changes belong into `systemctl edit`); a settings
    file that is there stays as it is.
    """
    command = executable or _running()
    here = Path(root).resolve() == Path("/")
    if enable and not here:
        raise click.UsageError("--enable starts services on this machine; it cannot go with --root.")
    files = _files(Path(root), _UNITS[part], user, command)
    changed = [file for file in files if _show(file)]
    if warning := _warning(command, user):
        click.secho(f"! {warning}", fg="yellow")
    if dry_run:
        click.echo(f"{len(changed)} of {several(len(files), 'file')} would be written.")
        return
    for file in changed:
        _write(file)
    if here:
        _settle(files, user)
        if enable:
            _run("systemctl", "enable", "--now", *_UNITS[part])
    click.echo(_next(_UNITS[part], user, enabled=enable, root=root, here=here))


def _files(root: Path, units: tuple[str, ...], user: str, command: str) -> list[_File]:
    values = {
        "EXECUTABLE": '"' + command.replace("%", "%%") + '"' if " " in command else command.replace("%", "%%"),
        "CONFIG": _CONFIG,
        "USER": user,
        "PROTECT_HOME": "read-only" if command.startswith(("/home/", "/root/")) else "yes",
    }
    systemd = shared("deploy/systemd")
    files = [_File(root / "etc/systemd/system" / name, _filled(systemd / name, values)) for name in units]
    users = _filled(systemd / "tailrace.sysusers.conf", values)
    if user != "root":
        files.append(_File(root / "etc/sysusers.d/tailrace.conf", users))
    example = shared("deploy/tailrace.example.toml").read_text("utf-8")
    files.append(_File(root / _CONFIG.lstrip("/"), example, _SETTINGS_MODE, yours=True))
    return files


def _filled(template: Path, values: dict[str, str]) -> str:
    text = template.read_text("utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _show(file: _File) -> bool:
    """Print what happens to one file; True if it will be written."""
    try:
        before = file.path.read_text("utf-8")
    except FileNotFoundError:
        click.secho(f"+ {file.path}", fg="green")
        return True
    except OSError as error:
        raise click.ClickException(f"Cannot read {file.path}: {error.strerror}; run it as root.") from error
    if before == file.text:
        click.echo(f"= {file.path}")
        return False
    if file.yours:
        click.echo(f"= {file.path} (yours, left as it is)")
        return False
    click.secho(f"~ {file.path}", fg="yellow")
    for line in difflib.unified_diff(before.splitlines(), file.text.splitlines(), "before", "after", lineterm="", n=1):
        click.secho(f"    {line}", fg={"+": "green", "-": "red"}.get(line[0]))
    return True


def _write(file: _File) -> None:
    """Write one file whole: what reads it meanwhile sees the old or the new."""
    fresh = file.path.with_name(f".{file.path.name}.new")
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, file.mode), "w", encoding="utf-8") as out:
            os.fchmod(out.fileno(), file.mode)
            out.write(file.text)
        fresh.replace(file.path)
    except OSError as error:
        raise click.ClickException(
            f"Cannot write {file.path}: {error.strerror}; run it as root, or with --root DIR."
        ) from error


def _settle(files: list[_File], user: str) -> None:
    """Make the user, let it read the settings, and tell systemd of the units."""
    users = next((file.path for file in files if file.path.name == "tailrace.conf"), None)
    if users and not _is_user(user) and shutil.which("systemd-sysusers"):
        _run("systemd-sysusers", str(users))
    with contextlib.suppress(KeyError):
        settings = files[-1].path
        if settings.stat().st_uid == 0 == os.geteuid():
            os.chown(settings, 0, grp.getgrnam(user).gr_gid)
    if Path("/run/systemd/system").is_dir():
        _run("systemctl", "daemon-reload")


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise click.ClickException(f"There is no {command[0]} here; is this a machine with systemd?") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().split("\n")[-1]
        raise click.ClickException(f"`{' '.join(command)}` failed: {said}") from error


def _running() -> str:
    """The absolute path of the ``tailrace`` that runs now; links stay, for they outlive an upgrade."""
    called = shutil.which(sys.argv[0])
    if called and Path(called).name == "tailrace":
        return str(Path(called).absolute())
    return str(Path(sys.executable).parent / "tailrace")


def _warning(command: str, user: str) -> str:
    """Why the services could not run this executable; empty if nothing speaks against it."""
    if command.startswith(("/tmp/", "/var/tmp/")):  # noqa: S108 - a comparison, no file is made
        return f"{command} is invisible to the services, which have a /tmp of their own; install it in /opt."
    if command.startswith(("/root/", "/home/")) and user != "root":
        return (
            f"{command} is in a home folder, which {user} may not be able to enter; better: "
            "python3 -m venv /opt/tailrace && /opt/tailrace/bin/pip install tailrace"
        )
    return ""


def _next(units: tuple[str, ...], user: str, *, enabled: bool, root: str, here: bool) -> str:
    if not here:
        return f"Next, on the machine that {root} becomes: systemd-sysusers && systemctl daemon-reload."
    steps = [
        f"edit {_CONFIG}",
        f"sudo -u {user} tailrace check --connect",
        "tailrace setup            (once for all hosts: topics, templates, dashboards)",
    ]
    if enabled:
        steps.append(f"systemctl restart {' '.join(units)}            (after each change of the settings)")
    else:
        steps.append(f"systemctl enable --now {' '.join(units)}")
    steps.append(f"journalctl -fu {units[0]}")
    if user != "root" and not _is_user(user):
        steps.insert(0, f"useradd --system --home-dir /var/lib/tailrace {user}")
    return "\n".join(["Next:", *(f"  {step}" for step in steps)])
