"""Records of several lines with the real agent, a real file and the real Kafka: in one piece, each once."""

import pytest
from processes import Shipped, Site, append, chain, until

pytestmark = pytest.mark.edge

TRACE = "java.lang.IllegalStateException: broken\n\tat a.B.c(B.java:1)\n"


def text(record: Shipped) -> str:
    """What a record holds of its file: the message, and the trace that was found behind it or is all of it."""
    trace = record.document.get("error", {}).get("stack_trace", "")
    return trace if trace.startswith(record.message) else f"{record.message}\n{trace}" if trace else record.message


def texts(site: Site) -> list[str]:
    """What all records hold, sorted."""
    return sorted(map(text, site.shipped()))


def flags(site: Site) -> dict[str, list[str]]:
    """By the text of each record its flags."""
    return {text(record): record.document["log"].get("flags", []) for record in site.shipped()}


def test_a_record_waits_for_its_rest_and_no_longer_than_it_may(site: Site) -> None:
    """What is written in two goes is one record; the last of a file is shipped once it has been still."""
    site.inputs[0]["multiline"] = {"rule": "java", "flush_seconds": 2.0}
    path = site.logs / "a.log"
    agent = site.agent()
    append(path, "INFO one\nERROR two\n" + TRACE)
    until(lambda: texts(site) == ["INFO one"])
    append(path, "\tat d.E.f(E.java:2)\n")
    until(lambda: len(texts(site)) == 2, seconds=10)
    assert f"ERROR two\n{TRACE}\tat d.E.f(E.java:2)" in texts(site)
    append(path, "\tat g.H.i(H.java:3)\nINFO three\n")
    until(lambda: len(texts(site)) == 4, seconds=10)
    assert agent.stop() == 0
    found = flags(site)
    assert found["\tat g.H.i(H.java:3)"] == ["multiline"], "it came too late, and says so"
    assert [message for message, flagged in found.items() if flagged] == ["\tat g.H.i(H.java:3)"]
    assert chain(site.shipped())


def test_without_a_rule_of_its_own_a_plain_log_has_its_traces_in_one_piece(site: Site) -> None:
    """And no line that is none waits."""
    site.inputs[0]["multiline"] = {"flush_seconds": 60.0}
    path = site.logs / "a.log"
    agent = site.agent()
    append(path, "INFO one\n" + TRACE)
    until(lambda: texts(site) == ["INFO one"])
    append(path, "INFO two\n")
    until(lambda: len(texts(site)) == 3)
    assert TRACE.strip() in texts(site)
    assert agent.stop() == 0
    append(path, TRACE)
    site.finish("ship", "--once")
    assert len(texts(site)) == 4, "nothing follows: it need not wait"
    assert chain(site.shipped())


@pytest.mark.crash
def test_a_record_cut_by_time_stays_cut_after_a_kill(site: Site) -> None:
    """However often the agent is killed around it, and though its rest was written since."""
    site.inputs[0]["multiline"] = {"rule": "java", "flush_seconds": 0.3}
    path = site.logs / "a.log"
    for turn in range(5):
        agent = site.agent()
        append(path, f"ERROR {turn}\n{TRACE}")
        until(lambda: any(message.startswith(f"ERROR {turn}") for message in texts(site)))  # noqa: B023
        append(path, "\tat late.One.a(One.java:1)\n")
        agent.kill()
    site.finish("ship", "--once")
    records = site.shipped()
    distinct = {record.record_id: text(record) for record in records}
    assert sorted(distinct.values()) == sorted(
        [f"ERROR {turn}\n{TRACE.strip()}" for turn in range(5)] + ["\tat late.One.a(One.java:1)"] * 5
    )
    assert chain(records)


@pytest.mark.parametrize("how", ["rename", "copytruncate"])
def test_a_record_that_a_rotation_cuts_is_shipped_and_goes_on_in_the_next_file(site: Site, how: str) -> None:
    """Both parts come, the second as a piece."""
    site.inputs[0]["multiline"] = {"rule": "java", "flush_seconds": 0.5}
    site.inputs[0]["paths"] = [f"{site.logs}/*.log", f"{site.logs}/*.log.1"]
    path = site.logs / "a.log"
    agent = site.agent()
    append(path, "INFO one\nERROR two\n" + TRACE)
    until(lambda: "INFO one" in texts(site))
    if how == "rename":
        path.rename(site.logs / "a.log.1")
    else:
        (site.logs / "a.log.1").write_bytes(path.read_bytes())
        path.write_bytes(b"")
    append(path, "\tat d.E.f(E.java:2)\nINFO three\n")
    until(lambda: len(texts(site)) == 4, seconds=20)
    assert agent.stop() == 0
    assert sorted(flags(site).items()) == [
        ("\tat d.E.f(E.java:2)", ["multiline"]),
        (f"ERROR two\n{TRACE.strip()}", []),
        ("INFO one", []),
        ("INFO three", []),
    ]
