from collections.abc import Sequence

INTERFACE: int

class Record:
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...

def scan(batch: bytes, start: int, count: int, /) -> tuple[bytes, int]: ...
def records(
    batch: bytes,
    starts: bytes,
    first: int,
    end: int,
    base: int,
    numbered: bool,
    first_stamp: int,
    stamp: int,
    /,
) -> list[Record]: ...
def plain(
    records: list[Record],
    known: dict[bytes, bytes],
    own_ids: bool,
    /,
) -> tuple[list[Record], list[bytes], list[bytes], list[Record]]: ...
def body(
    stretches: list[tuple[bytes, bytes, int, int, int, int, int]],
    known: dict[bytes, bytes],
    own_ids: bool,
    /,
) -> bytes | None: ...
