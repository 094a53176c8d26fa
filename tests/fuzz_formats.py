"""Every format and the joiner under atheris, which follows the branches of the code to find bytes that break it.

No part of the test run, and atheris is none of what the project needs: in an environment of its own,

    pip install atheris -e . && python tests/fuzz_formats.py -max_total_time=180 CORPUS

where CORPUS is a folder for what it finds, best begun with copies of tests/samples. It promises what the formats
promise: no exception, documents that are JSON, the line as it was in ``event.original``, and the same records however
the bytes are cut into reads.
"""

import itertools
import sys
from collections.abc import Iterable

import atheris

with atheris.instrument_imports(include=["shipper", "tailrace"]):
    import orjson

    from shipper.multiline import joiner_of
    from shipper.records import is_blank
    from shipper.trial import source_of
    from tailrace.settings import FORMATS, Csv, Input, Multiline, Shipper

_OWN = {
    "regex": {"pattern": r"(?P<time>\S*) ?(?P<a__b>.*)"},
    "grok": {"pattern": "%{TIMESTAMP_ISO8601:time}? *%{NUMBER:took:int}?%{IPORHOST:source.ip}?%{GREEDYDATA:b}"},
    "csv": {"csv": Csv(columns=["time", "source.ip", "took"], types={"took": "number"})},
}
_RULES = ("auto", "traces", "indent", "cri", "docker", "java", "python", "go", "node", "dotnet", "ruby", "php", "rust")
_INPUTS = [
    *(Input(paths=["/x"], dataset="d", format=name, keep_original=True, **_OWN.get(name, {})) for name in FORMATS),
    *(
        Input(paths=["/x"], dataset="d", format="auto", keep_original=True, multiline=Multiline(rule=rule, max_lines=5))
        for rule in _RULES
    ),
]
_LIMITS = Shipper(chunk_bytes=65_536)
_NOW = 1_795_500_000 * 10**9
_READ_BYTES = 65_536


def _records(entry: Input, content: bytes, sizes: "itertools.cycle[int]") -> list[tuple[bytes, bytes]]:
    """What an agent makes of a file that grows by those sizes."""
    source = source_of(entry, "/x", "h", _LIMITS)
    assert (source.encoder.joiner is None) == (joiner_of(entry, _LIMITS.chunk_bytes) is None)
    made: list[tuple[bytes, bytes]] = []
    written = 0
    while True:
        written = min(len(content), written + next(sizes))
        back = len(source.anchor)
        window = content[source.at - back : written]
        step = source.read(window, _NOW, full=False)
        if step is not None:
            made += step.records
        elif written == len(content) and source.open_bytes:
            source.make_cut()
        elif written == len(content):
            return made


def _said(lines: Iterable[str]) -> list[str]:
    """Lines that say something, without the NULs before them: a hole that a truncation left is no part of a line."""
    return [line.lstrip("\0") for line in lines if not is_blank(line.encode())]


def check(data: bytes) -> None:
    """One input of the fuzzer: which settings, how it is cut into reads, and the file."""
    if len(data) < 3 or len(data) > _READ_BYTES // 2:
        return
    entry, first, second = _INPUTS[data[0] % len(_INPUTS)], data[1] * 3 + 8, data[2] + 16
    content = data[3:]
    whole = _records(entry, content, itertools.cycle([_READ_BYTES]))
    originals = [orjson.loads(value)["event"]["original"] for _, value in whole]
    kept = _said(line for one in originals for line in one.split("\n"))
    lines = _said(line.decode("utf-8", "replace") for line in content.split(b"\n"))
    assert kept == lines, (entry.format, kept, lines)
    pieces = _records(entry, content, itertools.cycle([first, second]))
    assert [header for header, _ in pieces] == [header for header, _ in whole], (entry.format, entry.multiline.rule)


if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
