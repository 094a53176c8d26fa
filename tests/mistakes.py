"""Mistakes to put into a copy of the code, one at a time: the worlds must find each. Run it: ``make mistakes``."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).parent.parent
_COPIED = ("shipper", "tailrace", "indexer", "tests", "pyproject.toml")
_MOST_EXAMPLES = 2000


_INDEXER = "tests/test_world_indexer.py"


class Mistake(NamedTuple):
    """What goes wrong, and where: ``right`` stands once in the file, ``wrong`` in its place is the mistake.

    ``world`` are the tests that must find it.
    """

    what: str
    file: str
    right: str
    wrong: str
    world: str = "tests/test_world_rotation.py"


MISTAKES = (
    Mistake(
        "do not read the anchor again",
        "shipper/source.py",
        "return size < max(self.at, self.size) or window[: len(self.anchor)] != self.anchor",
        "return size < max(self.at, self.size)",
    ),
    Mistake(
        "do not look again whether a file begins as it did",
        "shipper/file.py",
        "if not begins_with(first, self.source.head):",
        "if False:",
    ),
    Mistake(
        "never say that a record may have been sent before",
        "shipper/records.py",
        "repeats = bisect_left(begins(), repeat_until) if start < repeat_until else 0",
        "repeats = 0",
    ),
    Mistake(
        "do not mark what is sent again after a failed batch",
        "shipper/source.py",
        "self.repeat_until = max(self.repeat_until, self.watermark.begun)",
        "self.repeat_until = self.repeat_until",
    ),
    Mistake(
        "forget at a stop what an earlier run may have sent",
        "shipper/source.py",
        "reach=max(self.watermark.position, self.repeat_until) if clean and self.settled else self.asked,",
        "reach=self.watermark.position if clean and self.settled else self.asked,",
    ),
    Mistake(
        "move the position over spans that are finished out of turn",
        "tailrace/watermark.py",
        "while self._spans and self._spans[0].finished:",
        "while self._spans and any(one.finished for one in self._spans):",
        _INDEXER,  # a broker acknowledges batches in their order, Elasticsearch does not
    ),
    Mistake(
        "forget the cuts",
        "shipper/source.py",
        "self.cuts = list(row.cuts)",
        "self.cuts = []",
        "tests/test_world_shipper.py",  # the world of rotation ends its lines, or nearly
    ),
    Mistake(
        "do not look beside a log that was rotated away",
        "shipper/follow.py",
        "rotated = await self.survey.beside(moved, snapshot, self.memory)",
        "rotated = await self.survey.beside([], snapshot, self.memory)",
    ),
    Mistake(
        "do not recognise copies",
        "shipper/recognise.py",
        "found = list(self._strong.get(head_of(first).digest, ())) if len(first) >= HEAD_BYTES else []",
        "return []",
    ),
    Mistake(
        "look for no copy of what a truncation took",
        "shipper/follow.py",
        "self._orphan(old, file.number, vanished=False)",
        "self.ended.append(old)",
    ),
    Mistake(
        "take a compressed file that is still being written for whole",
        "shipper/unpack.py",
        "elif time.monotonic() - self._since >= PATIENCE_SECONDS:",
        "else:",
    ),
    Mistake(
        "store a source that moved apart from the one whose place it took",
        "shipper/reader.py",
        "sources.update(self._follow.ended, self._follow.unsaved)",
        "sources.update(self._follow.ended)",
    ),
    Mistake(
        "believe to have looked at files that nobody had room to look at",
        "shipper/source.py",
        "updated=min(now, self.looked or now),",
        "updated=now,",
    ),
    Mistake(
        "do not look up what an earlier owner may have sent",
        "indexer/documents.py",
        "if records and records[0].offset < repeat_before:",
        "if False:",
        _INDEXER,
    ),
    Mistake(
        "commit no reach beside the offset",
        "indexer/ownership.py",
        "_Metadata(commit.reach)",
        "_Metadata(commit.offset)",
        _INDEXER,
    ),
    Mistake(
        "send past the reach",
        "indexer/slices.py",
        "(not records or records[-1].offset < reach)",
        "True",
        _INDEXER,
    ),
    Mistake(
        "say farewell as if nothing were in flight",
        "indexer/ownership.py",
        "if self.watermark.in_flight or self.committed is None:",
        "if self.committed is None:",
        _INDEXER,
    ),
    Mistake(
        "do not doubt a request that nobody answered",
        "indexer/load.py",
        "self._doubts[:count] = [self._unsure] * count",
        "self._doubts[:count] = self._doubts[:count]",
        _INDEXER,
    ),
)


def plant(mistake: Mistake, folder: Path) -> None:
    """Put a mistake into a copy of the code."""
    file = folder / mistake.file
    text = file.read_text("utf-8")
    assert text.count(mistake.right) == 1, f"{mistake.file} does not hold {mistake.right!r} once"
    file.write_text(text.replace(mistake.right, mistake.wrong), "utf-8")


def search(folder: Path, world: str, examples: int) -> bool:
    """Whether a world finds something wrong with a copy of the code."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--timeout=3600", "--hypothesis-profile=unshrunk"]
    environment = {**os.environ, "TAILRACE_WORLD_EXAMPLES": str(examples)}
    done = subprocess.run([*command, world], cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode in (0, 1), done.stdout.decode()
    return done.returncode == 1


def main() -> None:
    """Plant each mistake, or those that an argument's words stand in, and say whether it was found."""
    chosen = [one for one in MISTAKES if all(word in one.what for word in sys.argv[1:])]
    missed = 0
    for mistake in chosen:
        with tempfile.TemporaryDirectory() as place:
            for name in _COPIED:
                source = ROOT / name
                if source.is_dir():
                    shutil.copytree(source, Path(place) / name, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copyfile(source, Path(place) / name)
            plant(mistake, Path(place))
            began = time.monotonic()
            found = search(Path(place), mistake.world, _MOST_EXAMPLES)
        missed += not found
        click.echo(f"{'found' if found else 'NOT FOUND':9}  {time.monotonic() - began:6.0f} s  {mistake.what}")
    click.echo(f"{len(chosen) - missed} of {len(chosen)} found")
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
