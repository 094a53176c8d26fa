"""Times as services write them."""

import datetime
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.times import Times, from_nanoseconds


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2026-11-23T18:00:00Z", "2026-11-23T18:00:00Z"),
        ("2026-11-23T18:00:00.123456789Z", "2026-11-23T18:00:00.123456789Z"),
        ("2026-11-23T18:00:00.1234567891Z", "2026-11-23T18:00:00.123456789Z"),
        ("2026-11-23 18:00:00,123", "2026-11-23T17:00:00.123Z"),
        ("2026-11-23T18:00:00+05:30", "2026-11-23T12:30:00Z"),
        ("2026-11-23T18:00:00.5-0800", "2026-11-24T02:00:00.5Z"),
        ("2026-11-23 18:00:00 UTC", "2026-11-23T18:00:00Z"),
        ("2026-07-01T12:00:00", "2026-07-01T10:00:00Z"),
        (1_795_456_800, "2026-11-23T18:00:00.000Z"),
        (1_795_456_800_123, "2026-11-23T18:00:00.123Z"),
        (1_795_456_800_123_456, "2026-11-23T18:00:00.123456Z"),
        (1_795_456_800_123_456_789, "2026-11-23T18:00:00.123456789Z"),
        (1_795_456_800.25, "2026-11-23T18:00:00.250Z"),
        ("0000-01-01T00:00:00Z", None),
        ("+275760-09-13T00:00:00Z", None),
        ("2262-01-01T00:00:00Z", None),
        ("1969-12-31T23:59:59Z", None),
        ("2026-02-30T00:00:00Z", None),
        ("2026-11-23T18:00:60Z", None),
        ("2026-11-23", None),
        ("٢٠٢٦-11-23T18:00:00Z", None),
        ("", None),
        ("x" * 10_000, None),
        (0, None),
        (-1, None),
        (10**30, None),
        (-1e308, None),
        (1e308, None),
        (5e-324, "1970-01-01T00:00:00.000Z"),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_a_time_is_converted_or_refused(written: object, utc: str | None) -> None:
    """Naive times are in the input's zone; what Elasticsearch could not hold is no time."""
    times = Times("Europe/Paris")
    assert times.utc(written) == utc
    assert times.utc(written) == utc, "the second time from what is remembered"


@given(st.text(max_size=40) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", fullmatch=True))
def test_whatever_comes_out_is_a_time_elasticsearch_takes(written: str) -> None:
    """Strict RFC 3339, in UTC, within the years of date_nanos."""
    times = Times("UTC")
    for _ in range(2):
        utc = times.utc(written)
        if utc is not None:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", utc, re.ASCII)
            assert 1970 <= datetime.datetime.fromisoformat(utc[:19]).year < 2262


@given(st.integers(1, 9_214_646_399 * 10**9))
def test_nanoseconds_lose_nothing(nanoseconds: int) -> None:
    """All digits that are not zero are written."""
    second, _, fraction = from_nanoseconds(nanoseconds)[:-1].partition(".")
    whole = int(datetime.datetime.fromisoformat(second + "+00:00").timestamp())
    assert whole * 10**9 + int(fraction.ljust(9, "0")) == nanoseconds


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("24/Nov/2026:03:57:40 +0000", "2026-11-24T03:57:40Z"),
        ("24/Nov/2026:03:57:40 +0530", "2026-11-23T22:27:40Z"),
        ("24/Nov/2026:03:57:40", None),
        ("31/Feb/2026:03:57:40 +0000", None),
        ("24/nov/2026:03:57:40 +0000", None),
        ("24/Xyz/2026:03:57:40 +0000", None),
        ("", None),
    ],
)
def test_the_time_of_an_access_log_has_its_own_form(written: str, utc: str | None) -> None:
    """Its zone stands in it."""
    times = Times("Europe/Paris")
    assert times.clf(written) == utc
    assert times.clf(written) == utc, "the second time from what is remembered"


@pytest.mark.parametrize(
    ("read", "written", "utc"),
    [
        ("2026-01-01T00:00:00", "Dec 31 23:59:59", "2025-12-31T23:59:59Z"),
        ("2025-12-31T23:59:59", "Jan  1 00:00:05", "2026-01-01T00:00:05Z"),
        ("2025-12-31T12:00:00", "Jan  2 00:00:05", "2025-01-02T00:00:05Z"),
        ("2026-11-24T12:00:00", "Nov 24 03:57:40.125", "2026-11-24T03:57:40.125Z"),
        ("2026-11-24T12:00:00", "Feb 29 03:57:40", "2024-02-29T03:57:40Z"),
        ("2026-11-24T12:00:00", "Feb 30 03:57:40", None),
        ("2026-11-24T12:00:00", "2026-11-24 03:57:40", None),
        ("2026-11-24T12:00:00", "", None),
    ],
)
def test_a_time_without_a_year_gets_the_latest_that_is_not_in_the_future(
    read: str, written: str, utc: str | None
) -> None:
    """A day of grace, for clocks and zones that differ."""
    times = Times("UTC")
    times.now = int(datetime.datetime.fromisoformat(read + "+00:00").timestamp()) * 10**9
    assert times.bsd(written) == utc
    assert times.bsd(written) == utc, "the second time from what is remembered"
