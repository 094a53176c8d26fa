"""``tailrace ship``: the agent."""

import click

from tailrace import daemon
from tailrace.cli.options import config_option
from tailrace.errors import FixSettings
from tailrace.settings import Settings


@click.command(
    epilog="""\b
Examples:
  tailrace ship --config /etc/tailrace/tailrace.toml
  tailrace ship --once -c tailrace.toml     ship what is there now, wait for Kafka, exit
"""
)
@click.option("--once", is_flag=True, help="Ship what is in the files now, wait until Kafka has it, and exit.")
@config_option
def ship(settings: Settings, once: bool) -> int:
    """Read the log files of the inputs and send every line to Kafka."""
    from shipper.agent import ship as run_agent  # noqa: PLC0415 - loaded only by the command that needs it

    if not settings.shipper.inputs:
        raise FixSettings("The settings name no files to ship; add a [[shipper.inputs]] with paths and a dataset.")
    return daemon.run(lambda life: run_agent(settings, life, once=once), settings.log)
