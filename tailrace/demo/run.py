"""A stack that answers to the account of every file: start, let run, stop in order, compare."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from elasticsearch import AsyncElasticsearch

from tailrace import settings
from tailrace.demo import evidence, topics
from tailrace.demo.cast import NAMESPACE, Folder, members, settings_text
from tailrace.demo.children import Children, ReadItsLog
from tailrace.demo.latency import Percentiles, Sampler
from tailrace.demo.numbers import Numerals, scrape
from tailrace.demo.positions import Place, Position, place, positions
from tailrace.demo.proof import Account
from tailrace.demo.show import Show
from tailrace.stack import Running, Stack, machine
from tailrace.words import several

_READY_SECONDS = 60.0
_SHIP_SECONDS = 120.0
_STORE_SECONDS = 180.0
_CATCH_UP_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_WAIT_SECONDS = 0.2
_MACHINE_LOGS = Path("/var/log")


class Run:
    """One run of the demo; ``perform`` does all of it, and nothing of it runs any more afterwards."""

    def __init__(self, folder: Folder, stack: Stack, running: Running, show: Show) -> None:
        self._folder = folder
        self._show = show
        self._kafka = running.bootstrap_servers
        self._ports = (machine.free_port(), machine.free_port())
        self._cast = members(folder, stack.log("kafka").parent, _MACHINE_LOGS)
        self._ours = [member for member in self._cast if member.is_ours]
        self._children = Children()
        folder.make(self._ours)
        folder.settings.write_text(
            settings_text(folder, self._cast, self._kafka, running.elasticsearch_url, self._ports), "utf-8"
        )
        self.settings = settings.load(folder.settings)

    async def perform(self, client: AsyncElasticsearch, seconds: float) -> tuple[list[Account], Percentiles]:
        """What became of every file, and how long its lines took.

        Raises:
            ReadItsLog: a part of the demo ended by itself, or did not get done in time.
        """
        try:
            await self._set_up()
            letters = await topics.ends(self._kafka, self.settings.kafka.dead_letter_topic)
            async with Numerals(self._folder, self._cast, self._ports, client) as numerals:
                await self._start()
                times = await self._write(client, numerals, seconds)
            known = await self._finish()
            return await self._prove(client, known, letters), times
        finally:
            await self._children.stop_all()

    async def _set_up(self) -> None:
        with self._show.step("Setting up topics and templates") as say:
            await self._command("setup")
            await self._children.wait("setup")
            say("Topics and templates are as the settings say (tailrace setup)")

    async def _start(self) -> None:
        with self._show.step("Starting the agent and the indexer") as say:
            for name in ("ship", "index"):
                await self._command(name)
            await self._until(self._both_answer, _READY_SECONDS, "the agent and the indexer did not start")
            say("An agent (tailrace ship) and an indexer (tailrace index) run")
        with self._show.step("Reading the logs that are there already") as say:
            await self._catch_up()
            say("The logs that are there already (Kafka's, Elasticsearch's, dpkg's) are stored")

    async def _catch_up(self) -> None:
        """Let the others' logs pass first: a cold server takes its time over its first requests, the fleet's do not.

        Not for ever: whatever else the topic holds may be much.
        """
        goals = self._whole_lines()
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        while not self._are_shipped(goals) and time.monotonic() < deadline:
            await self._pause()
        goal = await topics.ends(self._kafka, self.settings.shipper.topic)
        while await self._left(goal) and time.monotonic() < deadline:
            await self._pause()

    async def _write(self, client: AsyncElasticsearch, numerals: Numerals, seconds: float) -> Percentiles:
        """Let the fleet write for so long while the numbers are shown."""
        async with Sampler(self._kafka, self.settings.shipper.topic, client, self._folder.run) as sampler:
            sampler.follow({member.stream for member in self._ours if member.is_timed})
            await self._start_fleet(seconds)
            numerals.begin()
            with self._show.live(seconds) as show:
                numbers = await numerals.take(sampler)
                while numbers.seconds < seconds:
                    show(numbers)
                    await asyncio.sleep(min(_LOOK_SECONDS, seconds - numbers.seconds))
                    self._children.check()
                    numbers = await numerals.take(sampler)
                show(numbers)
            return sampler.percentiles(recent=False)

    async def _start_fleet(self, seconds: float) -> None:
        for member in self._ours:
            files = (str(member.live), str(self._folder.counts(member.name)))
            rates = (str(member.per_second), str(seconds / (member.rotations + 0.5)))
            said = self._folder.said(member.name)
            await self._children.start(member.name, said, "tailrace.demo.fleet", member.name, *files, *rates)

        async def all_write() -> bool:
            return all(self._folder.counts(member.name).exists() for member in self._ours)

        await self._until(all_write, _READY_SECONDS, "the fleet did not begin")

    async def _finish(self) -> dict[Place, Position]:
        """Stop the fleet, wait for the agent, stop it, wait for the indexer, stop it: in the order of the flow."""
        with self._show.step("Stopping the fleet") as say:
            await self._children.stop(*(member.name for member in self._ours))
            goals = self._whole_lines()
            say("The fleet has stopped; waiting until all it wrote is in Kafka")

            async def shipped() -> bool:
                return self._are_shipped(goals)

            await self._until(shipped, _SHIP_SECONDS, "not all files were shipped")
            await self._children.stop("ship")
            say(f"All that is in {several(len(goals), 'file')} is in Kafka; the agent has stopped")
        with self._show.step("Waiting until all is in Elasticsearch") as say:
            goal = await topics.ends(self._kafka, self.settings.shipper.topic)

            async def stored() -> bool:
                left = await self._left(goal)
                say(f"Waiting until all is in Elasticsearch: {several(left, 'record')} left")
                return left == 0

            await self._until(stored, _STORE_SECONDS, "not all records were stored")
            await self._children.stop("index")
            say("All records are in Elasticsearch; the indexer has stopped")
        return positions(self._folder.state)

    async def _prove(
        self, client: AsyncElasticsearch, known: dict[Place, Position], since: topics.Ends
    ) -> list[Account]:
        with self._show.step("Comparing every line of every file with Elasticsearch") as say:
            await client.indices.refresh(index=f"logs-*-{NAMESPACE}", allow_no_indices=True)
            letters = await topics.added(self._kafka, self.settings.kafka.dead_letter_topic, since)
            found = await evidence.accounts(
                self._cast, known, client, letters, lambda path: say(f"Comparing every line of {path.name}")
            )
            say("Every line of every file was compared with Elasticsearch")
        return found

    async def _command(self, name: str) -> None:
        """Run a command of tailrace with this run's settings."""
        await self._children.start(
            name, self._folder.said(name), "tailrace", name, "--config", str(self._folder.settings)
        )

    async def _both_answer(self) -> bool:
        return all([await scrape(port) for port in self._ports])

    def _whole_lines(self) -> dict[Place, int]:
        """How many bytes of each file are whole lines now."""
        files = [path for member in self._cast for path in member.files()]
        return {place(path): path.read_bytes().rfind(b"\n") + 1 for path in files}

    def _are_shipped(self, goals: dict[Place, int]) -> bool:
        known = positions(self._folder.state)
        return all(where in known and known[where].position >= goal for where, goal in goals.items() if goal)

    async def _left(self, goal: topics.Ends) -> int:
        return await topics.behind(self._kafka, self.settings.indexer.group, goal)

    async def _pause(self) -> None:
        self._children.check()
        await asyncio.sleep(_WAIT_SECONDS)

    async def _until(self, done: Callable[[], Awaitable[bool]], seconds: float, otherwise: str) -> None:
        deadline = time.monotonic() + seconds
        while not await done():
            if time.monotonic() > deadline:
                raise ReadItsLog(f"After {seconds:g} s {otherwise}; what each part said is in {self._folder.path}.")
            await self._pause()
