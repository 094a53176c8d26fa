"""The agent as a real process with a format of another package, on the logs of a pod, and the real Kafka."""

from pathlib import Path

import pytest
from processes import Site, chain

pytestmark = pytest.mark.edge

_CODE = """
def it(line):
    if "bad" in line:
        raise ValueError(line)
    return {"order": line}
"""


def test_a_format_that_raises_costs_its_lines_a_flag_and_never_the_agent(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All lines are shipped, the first fault is logged once, and the path says which pod wrote."""
    package = tmp_path / "packages"
    metadata = package / "shop-1.0.dist-info"
    metadata.mkdir(parents=True)
    (package / "shop_format.py").write_text(_CODE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[tailrace.formats]\nshop = shop_format:it\n")
    monkeypatch.setenv("PYTHONPATH", str(package))
    folder = site.logs / "pods/shop_web-0_0f8fad5b-d9cb-469f-a165-70867728950e/nginx"
    folder.mkdir(parents=True)
    (folder / "0.log").write_text(
        "".join(f"{'bad' if number % 10 == 0 else 'good'} {number}\n" for number in range(1000))
    )
    site.inputs = [{"paths": [f"{site.logs}/pods/*/*/*.log"], "dataset": site.name, "format": "shop"}]
    log = site.finish("ship", "--once")
    records = site.shipped()
    assert len(records) == 1000
    assert chain(records)
    flagged = [record.document for record in records if record.document["log"].get("flags") == ["plugin", "format"]]
    assert len(flagged) == 100
    assert all(one["message"].startswith("bad ") for one in flagged)
    assert {record.document["kubernetes"]["pod"]["name"] for record in records} == {"web-0"}
    assert log.count("a format of another package failed") == 1
    assert "ValueError: bad 0" in log
