"""Times in forms of ``strptime``, and the names of months."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.times import Times
from tailrace.months import month_of
from tailrace.patterns import BadPattern
from tailrace.time_forms import time_form_of

READ = 1_795_500_000 * 10**9
"""2026-11-24T06:00:00Z"""
LOCALES = {
    "en": "January February March April May June July August September October November December",
    "en short": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "de short": "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "fr short": "janv. févr. mars avril mai juin juil. août sept. oct. nov. déc.",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "es short": "ene feb mar abr may jun jul ago sep oct nov dic",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "it short": "gen feb mar apr mag giu lug ago set ott nov dic",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "pt short": "jan fev mar abr mai jun jul ago set out nov dez",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "nl short": "jan feb mrt apr mei jun jul aug sep okt nov dec",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "pl short": "sty lut mar kwi maj cze lip sie wrz paź lis gru",
}


@pytest.mark.parametrize("locale", LOCALES)
def test_months_are_known_in_the_languages_of_logs(locale: str) -> None:
    """As the locales of glibc write them, in any capitals."""
    names = LOCALES[locale].split()
    assert [month_of(name) for name in names] == [*range(1, 13)]
    assert [month_of(name.upper()) for name in names] == [*range(1, 13)]
    times = Times("UTC")
    times.now = READ
    for number, name in enumerate(names, 1):
        assert times.by_format(f"04 {name} 2025 05:04:15", "%d %b %Y %H:%M:%S") == f"2025-{number:02d}-04T05:04:15Z"
        year = 2026 if number < 12 else 2025
        assert times.bsd(f"{name}  4 05:04:15") == f"{year}-{number:02d}-04T05:04:15Z"


def test_no_name_is_of_two_months() -> None:
    """In any two of the languages: a log does not say which it is in."""
    from tailrace.months import _LANGUAGES

    seen: dict[str, int] = {}
    for names in _LANGUAGES.values():
        for at, name in enumerate(names.split()):
            if name != ".":
                assert seen.setdefault(name, at % 12) == at % 12, name
    assert month_of("Foo") is None


@pytest.mark.parametrize(
    ("written", "form", "utc"),
    [
        ("24.11.2026 05:04:15,123456789", "%d.%m.%Y %H:%M:%S,%f", "2026-11-24T04:04:15.123456789Z"),
        ("24/Nov/2026:05:04:15 -0330", "%d/%b/%Y:%T %z", "2026-11-24T08:34:15Z"),
        ("Tue Nov  3 05:04:15 2026", "%a %b %e %H:%M:%S %Y", "2026-11-03T04:04:15Z"),
        ("mar. 24 nov. 2026 17:04", "%a %d %b %Y %H:%M", "2026-11-24T16:04:00Z"),
        ("11/24/26 05:04:15 PM", "%m/%d/%y %I:%M:%S %p", "2026-11-24T16:04:15Z"),
        ("11/24/26 12:04:15 am", "%D %I:%M:%S %p", "2026-11-23T23:04:15Z"),
        ("20261124T050415Z", "%Y%m%dT%H%M%S%z", "2026-11-24T05:04:15Z"),
        ("2026-11-24 05:04:15 GMT", "%F %T %Z", "2026-11-24T05:04:15Z"),
        ("2026-11-24 05:04:15 CET", "%F %T %Z", "2026-11-24T04:04:15Z"),
        ("1795456800.123456789", "%s.%f", "2026-11-23T18:00:00.123456789Z"),
        ("2026-328 05:04", "%Y-%j %R", "2026-11-24T04:04:00Z"),
        ("70-01-02", "%y-%m-%d", "1970-01-01T23:00:00Z"),
        ("100%24.11.2026", "100%%%d.%m.%Y", "2026-11-23T23:00:00Z"),
        ("24.11. 05:04:15,5", "%d.%m. %T,%f", "2026-11-24T04:04:15.5Z"),
        ("25.11. 08:04:15", "%d.%m. %T", "2025-11-25T07:04:15Z"),
        ("06:59:15.25", "%T.%f", "2026-11-24T05:59:15.25Z"),
        ("30.02.2026", "%d.%m.%Y", None),
        ("2026-366", "%Y-%j", None),
        ("13:00 PM", "%I:%M %p", None),
        ("24. Foo 2026", "%d. %b %Y", None),
        ("x" * 10_000, "%d", None),
    ],
)  # fmt: skip
def test_a_time_is_read_as_its_form_says(written: str, form: str, utc: str | None) -> None:
    """To the nanosecond; what it does not say is of the latest day or year."""
    if form == "%d":
        form = "%d.%m."
    times = Times("Europe/Paris")
    times.now = READ
    assert times.by_format(written, form) == utc


@settings(deadline=None)
@given(
    st.datetimes(datetime.datetime(1971, 1, 1), datetime.datetime(2200, 1, 1)),  # noqa: DTZ001 - it gets a zone below
    st.sampled_from(["%Y-%m-%d %H:%M:%S.%f", "%d/%b/%Y %I:%M:%S.%f %p", "%a %B %d %H:%M:%S.%f %Y", "%j %Y %T.%f"]),
)
def test_it_reads_what_strftime_writes(when: datetime.datetime, form: str) -> None:
    """Python's own writer is the other side."""
    utc = Times("UTC").by_format(when.strftime(form), form)
    assert utc is not None
    assert datetime.datetime.fromisoformat(utc) == when.replace(tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("form", "place", "reason"),
    [
        ("%d.%Q.%Y", 3, "%Q is no directive; known are %Y "),
        ("%Y-%m-%d %Y", 9, "%Y stands for what was said before"),
        ("today", 0, "it says neither a day"),
        ("%d %H", 0, "it says no month"),
        ("%j", 0, "needs its year"),
        ("%d.%m.%", 6, "% is no directive"),
    ],
)
def test_a_mistake_in_a_form_is_told_with_its_place(form: str, place: int, reason: str) -> None:
    """A caret stands under it."""
    with pytest.raises(BadPattern) as caught:
        time_form_of(form)
    assert caught.value.place == place
    assert reason in str(caught.value)


@settings(deadline=None)
@given(st.text(alphabet="%YmdHMSfbzZsajTF-: .x", max_size=16), st.text(max_size=30))
def test_whatever_the_form_and_the_time_nothing_breaks(form: str, text: str) -> None:
    """A time, none, or a mistake in the form."""
    times = Times("UTC")
    times.now = READ
    mistake = None
    try:
        times.by_format(text, form)
    except BadPattern as error:
        mistake = error
    assert mistake is None or 0 <= mistake.place <= len(form)
