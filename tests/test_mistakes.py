"""The list of seeded mistakes stays true: each can be planted, and one that is easy to find is found."""

import shutil
from pathlib import Path

import pytest
from mistakes import MISTAKES, ROOT, Mistake, plant


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.what)
def test_a_mistake_can_be_planted(tmp_path: Path, mistake: Mistake) -> None:
    """What it replaces still stands in the code, once."""
    (tmp_path / mistake.file).parent.mkdir(parents=True)
    shutil.copyfile(ROOT / mistake.file, tmp_path / mistake.file)
    plant(mistake, tmp_path)
    assert mistake.wrong in (tmp_path / mistake.file).read_text("utf-8")
