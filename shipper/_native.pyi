from collections.abc import Callable, Sequence

INTERFACE: int

def interleave(parts: Sequence[bytes | Sequence[bytes | None]], /) -> list[bytes]: ...
def offsets(lines: list[bytes], start: int, /) -> list[bytes]: ...
def sizes(lines: list[bytes], /) -> list[bytes]: ...
def headers(lines: list[bytes], start: int, repeats: int, fresh: bytes, again: bytes, /) -> list[bytes]: ...
def pack(
    records: list[tuple[bytes, bytes]] | tuple[bytearray, bytes, list[bytes | None]],
    first: int,
    number: int,
    delta: int,
    key: bytes,
    name: bytes,
    most: int,
    blob: bytearray,
    used: int,
    /,
) -> tuple[int, int, int]: ...
def shape(
    keys: tuple[bytes, ...], wants: bytes, pieces: tuple[bytes, ...], slots: tuple[int, ...], level: int, /
) -> object: ...
def sketch(
    steps: tuple[tuple[bytes, int, int, bytes, int, int], ...],
    parts: tuple[tuple[bytes, int, int, int, bytes, bytes, object, object], ...],
    /,
) -> object: ...
def draw(
    sketch: object, lines: list[bytes], offsets: list[bytes], sizes: list[bytes], read: bytes, /
) -> list[bytes | None]: ...
def rows(
    sketch: object,
    lines: list[bytes],
    together: bytes | memoryview,
    start: int,
    read: bytes,
    repeats: int,
    fresh: bytes,
    again: bytes,
    most: int,
    stand_ins: bool,
    /,
) -> tuple[bytearray, bytes, list[int]] | None: ...
def fill(
    lines: list[bytes],
    start: int,
    read: bytes,
    shapes: tuple[object, ...],
    seconds: set[bytes],
    is_second: Callable[[bytes], bool],
    levels: dict[bytes, bytes],
    is_level: Callable[[bytes], bool],
    /,
) -> list[bytes | None]: ...
