"""``tailrace check``: are the settings right, and does everything they name answer."""

import asyncio
import os
from collections import Counter
from pathlib import Path

import click
import msgspec

from tailrace.cli import check_host, check_settings
from tailrace.cli.finding import Finding, Mark
from tailrace.cli.options import SETTINGS_FILE, config_option, json_option
from tailrace.cli.programs import to_json
from tailrace.daemon import set_up_log
from tailrace.settings import Settings
from tailrace.show import neutral

_READS_ALL = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (capabilities(7)), either of which opens every file to read."""
_SIGNS = {Mark.OK: ("✓", "green"), Mark.LOOK: ("!", "yellow"), Mark.WRONG: ("✗", "red")}

_EPILOG = """\b
Examples:
  tailrace check                          the settings, the files they match, the folders they need
  tailrace check --connect                also Kafka, Elasticsearch and, if it is set, Kibana
  sudo -u tailrace tailrace check         what the service's user may read
  tailrace check --json | jq '.findings[] | select(.mark != "ok")'

\b
Exit codes: 0 nothing is wrong (! is no error), 1 something is (✗), 2 a mistake in the settings file.
"""


class _Report(msgspec.Struct, frozen=True):
    settings_file: str
    ok: bool
    findings: list[Finding]


@click.command(epilog=_EPILOG)
@config_option
@click.option("--connect", is_flag=True, help="Ask the servers too; writes nothing to them.")
@json_option
@click.pass_context
def check(context: click.Context, settings: Settings, *, connect: bool, as_json: bool) -> None:
    """Say whether the settings are right and everything they name answers.

    Each line is ✓ (well), ! (look at it) or ✗ (will not work), with the next step.
    """
    set_up_log(settings.log)
    file = context.meta.get(SETTINGS_FILE, "")
    found = list(check_settings.findings(settings))
    of_settings = len(found)
    if connect:
        from tailrace.cli import check_servers  # noqa: PLC0415 - the clients take half a second to load

        found += asyncio.run(check_servers.findings(settings))
        found += check_host.connected(settings)
    report = _Report(file, all(one.mark is not Mark.WRONG for one in found), found)
    if as_json:
        click.echo(to_json(report))
    else:
        _show(report, of_settings)
    context.exit(0 if report.ok else 1)


def _show(report: _Report, of_settings: int) -> None:
    """The first ``of_settings`` findings are of the settings, the others of what they name."""
    connect = of_settings < len(report.findings)
    click.echo(f"Settings of {report.settings_file}{_power()}")
    width = max(len(one.subject) for one in report.findings)
    steps = Counter(one.next_step for one in report.findings)
    for number, one in enumerate(report.findings):
        if number == of_settings:
            click.echo("What answers")
        sign, colour = _SIGNS[one.mark]
        click.echo(f"{click.style(sign, fg=colour)} {one.subject.ljust(width)}  {neutral(one.text)}")
        if one.next_step and steps[one.next_step] == 1:
            click.echo(" " * (width + 4) + click.style(f"→ {one.next_step}", dim=True))
    for step, count in steps.items():
        if step and count > 1:
            click.echo(click.style(f"→ for {count} of these: {step}", dim=True))
    wrong = sum(one.mark is Mark.WRONG for one in report.findings)
    looks = sum(one.mark is Mark.LOOK for one in report.findings)
    if wrong:
        click.secho(f"{wrong} wrong, {looks} to look at.", fg="red")
    else:
        rest = "" if connect else " Next: tailrace check --connect"
        click.secho(f"Nothing wrong, {looks} to look at.{rest}", fg="green")


def _power() -> str:
    """Whether we may read every file: root may have lost that, and others may have it."""
    root = os.geteuid() == 0
    try:
        held = next(
            int(line.split()[1], 16)
            for line in Path("/proc/self/status").read_text("ascii").splitlines()
            if line.startswith("CapEff:")
        )
    except (OSError, StopIteration):
        held = _READS_ALL if root else 0
    if held & _READS_ALL:
        return f" (as {'root' if root else f'user {os.geteuid()}'}, who may read everything)"
    return " (as root, without the power to read everything)" * root
