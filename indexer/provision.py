"""Settings and shipped files to topics, templates and dashboards that are there: idempotent, with a diff."""

import contextlib
from typing import Protocol

from indexer import provision_elastic, provision_kafka, provision_kibana
from indexer.changes import Change
from indexer.plan_templates import PREFIX
from tailrace.settings import Settings


class _Place(Protocol):
    """One server that setup looks after."""

    async def plan(self) -> list[Change]:
        """Say what would change; changes nothing."""

    async def apply(self, changes: list[Change], done: list[Change]) -> None:
        """Carry out what was planned, and add each change to ``done`` as it is; changes that keep need nothing."""


async def provision(
    settings: Settings, *, dry_run: bool, prefix: str = PREFIX, done: list[Change] | None = None
) -> list[Change]:
    """Compare what is there with what the settings want, and unless ``dry_run`` make it so; returns all compared.

    Everything is looked at before anything is changed, so a server that is away leaves the others untouched. A second
    run finds nothing to do. ``prefix`` stands for ``tailrace`` in the names of templates. ``done`` gets each
    change that was carried out: all that can be told of them when this ends in an error.

    Raises:
        ReachKafka, ReachElasticsearch, ReachKibana: it does not answer, or refuses us; the text has the next step.
        FixSettings: a certificate or a secret cannot be read.
    """
    async with contextlib.AsyncExitStack() as stack:
        places: list[_Place] = [
            await stack.enter_async_context(provision_kafka.connect(settings)),
            await stack.enter_async_context(provision_elastic.connect(settings, prefix)),
        ]
        if settings.kibana.url:
            places.append(await stack.enter_async_context(provision_kibana.connect(settings.kibana)))
        plans = [await place.plan() for place in places]
        if not dry_run:
            for place, changes in zip(places, plans, strict=True):
                await place.apply(changes, [] if done is None else done)
    return [change for changes in plans for change in changes]
