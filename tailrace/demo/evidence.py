"""Files, Elasticsearch and dead letters to the account of every file."""

from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from aiokafka import ConsumerRecord
from elasticsearch import AsyncElasticsearch

from tailrace import record
from tailrace.audit.chain import Kept
from tailrace.audit.stored import Stored
from tailrace.audit.topics import kept_in
from tailrace.demo.cast import Member
from tailrace.demo.positions import Place, Position, place
from tailrace.demo.proof import Account, examine


async def accounts(
    cast: list[Member],
    known: dict[Place, Position],
    client: AsyncElasticsearch,
    letters: list[ConsumerRecord[bytes, bytes]],
    progress: Callable[[Path], None],
) -> list[Account]:
    """The account of each file on disk, all generations of it.

    A file of the fleet counts to its end. A log that others go on writing counts to where the shipper had got when it
    was stopped, which is the end of a line. ``progress`` is called with each file before it is examined.
    """
    buried = [letter for letter in map(_buried, letters) if letter is not None]
    found = []
    for member in cast:
        for path in member.files():
            progress(path)
            seen = known.get(place(path))
            source = seen.source if seen else ""
            content = path.read_bytes()
            if not member.is_ours:
                content = content[: seen.position if seen else 0]
            found.append(
                examine(
                    content,
                    await stored(client, member.stream, source) if source else [],
                    [one for one in buried if one.record_id.startswith(f"{source}:")],
                    service=member.name,
                    path=str(path),
                    source=source,
                )
            )
    return found


async def stored(client: AsyncElasticsearch, stream: str, source: str) -> list[Kept]:
    """Every document of a source in all backing indices of its stream, in the order of its offsets.

    Ids, offsets and sizes are what the index holds.
    """
    kept: list[Kept] = []
    async with aclosing(Stored(client, [stream]).chain(source, 0, None)) as found:
        async for page in found:
            kept += page
    return kept


def _buried(letter: ConsumerRecord[bytes, bytes]) -> Kept | None:
    """A dead letter as the record it was; None if our shipper did not make it."""
    header = next((record.parse_header(value) for name, value in letter.headers if name == record.HEADER), None)
    if header is None:
        return None
    # Cut to fit, its place in the chain is not known, and told as a break.
    return kept_in(header.record_id, letter.value or b"") or Kept(header.record_id, 0, 0, 0)
