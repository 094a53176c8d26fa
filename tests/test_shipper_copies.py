"""Files held against the sources we know, while these change."""

import os
from pathlib import Path

import pytest

from shipper.copies import Copies, Fresh, Verdict, Wait
from shipper.file import File
from shipper.identity import Place
from shipper.recognise import Memory
from shipper.sources import Sources
from tailrace.settings import Input, Settings, Shipper


class Followed:
    """A log of which all was read, as an open file, and a second file that is held against it."""

    def __init__(self, folder: Path, text: bytes) -> None:
        self.path, self.copy = folder / "app.log", folder / "app.log.1"
        self.path.write_bytes(text)
        shipper = Shipper(inputs=[Input(paths=[str(self.path)], dataset="app")])
        status = self.path.stat()
        place = Place(status.st_dev, status.st_ino)
        source = Sources(Settings(shipper=shipper), {}).fresh(str(self.path), place, 0)
        self.handle = os.open(self.path, os.O_RDONLY)
        self.file = File(str(self.path), self.handle, source, 0, len(text), 0.0)
        assert self.file.head_fits(text[:1024])
        assert source.read(text, 0, full=False) is not None
        source.size = len(text)
        self.copies = Copies(Memory(()), {place: self.file})

    def judge(self, first: bytes | None = None) -> Verdict:
        """What the second file is, of which the first bytes were read before, or are now."""
        self.copies.gather()
        handle = os.open(self.copy, os.O_RDONLY)
        try:
            return self.copies.judge(str(self.copy), handle, os.pread(handle, 1024, 0) if first is None else first)
        finally:
            os.close(handle)


def lines(count: int, begin: int = 0) -> bytes:
    """So many lines, numbered."""
    return b"".join(b"line %06d\n" % number for number in range(begin, begin + count))


@pytest.mark.parametrize("rewritten", [0, 100, 300, 500])
def test_a_copy_is_no_new_file_when_its_log_was_truncated_a_moment_ago(tmp_path: Path, rewritten: int) -> None:
    """The log may hold other lines by now than those that were copied, and nobody has looked at it yet."""
    log = Followed(tmp_path, lines(400))
    log.copy.write_bytes(lines(400))
    assert isinstance(log.judge(), Wait)
    os.truncate(log.path, 0)
    with log.path.open("ab") as file:
        file.write(lines(rewritten, begin=400))
    verdict = log.judge()
    os.close(log.handle)
    assert verdict == Wait(log.file.source.name, settled=False)


def test_a_file_that_only_begins_like_a_log_is_new(tmp_path: Path) -> None:
    """What follows the same first kibibyte is compared with the log as it stands."""
    log = Followed(tmp_path, lines(400))
    log.copy.write_bytes(lines(200) + lines(200, begin=1000))
    verdict = log.judge()
    os.close(log.handle)
    assert verdict == Fresh()


@pytest.mark.parametrize("seen", [0, 5, 100])
def test_a_copy_that_grew_after_it_was_opened_is_no_new_file(tmp_path: Path, seen: int) -> None:
    """What was seen of it then is too little to know it by."""
    log = Followed(tmp_path, lines(400))
    log.copy.write_bytes(lines(400))
    verdict = log.judge(lines(400)[:seen])
    os.close(log.handle)
    assert isinstance(verdict, Wait)


@pytest.mark.parametrize("held", [b"other\n", lines(500, begin=1000)])
def test_what_a_truncated_log_holds_now_is_no_new_file_either(tmp_path: Path, held: bytes) -> None:
    """It was emptied, written and compressed since somebody looked at it: what it holds will be read from it."""
    log = Followed(tmp_path, lines(400))
    log.path.write_bytes(held)
    log.copy.write_bytes(held)
    verdict = log.judge()
    os.close(log.handle)
    assert verdict == Wait(log.file.source.name, settled=False)
