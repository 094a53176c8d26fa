"""``tailrace index``: an indexer."""

import gc

import click

from tailrace import daemon
from tailrace.cli.options import config_option
from tailrace.settings import Settings


@click.command(
    epilog="""\b
Examples:
  tailrace index --config /etc/tailrace/tailrace.toml
  tailrace index --once -c tailrace.toml    store what is in Kafka now, and exit
"""
)
@click.option("--once", is_flag=True, help="Store what is in the topics now, commit it, and exit.")
@config_option
def index(settings: Settings, once: bool) -> int:
    """Load the records of Kafka into Elasticsearch, each exactly once."""
    from indexer.service import index as run_indexer  # noqa: PLC0415 - loaded only by the command that needs it

    # Records are no cycles: with the usual thresholds a fifth of the time went into looking for some among them.
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    return daemon.run(lambda life: run_indexer(settings, life, once=once), settings.log)
