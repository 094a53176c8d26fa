"""Secrets: what is one, what is none, and that none is left of them anywhere in a record."""

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.filter_keys import filter_rules
from shipper.filters.redact import Order, Redaction
from shipper.filters.scan import Scanner
from shipper.filters.secrets import KINDS
from shipper.records import Encoder
from tailrace.errors import FixSettings
from tailrace.filter_mistakes import KINDS as NAMES
from tailrace.filter_settings import Filter, Redact
from tailrace.settings import Input

NOW = 1_795_456_800_500_000_000
ALL = Redact(kinds=[*KINDS])
SECRETS = {
    "email": ["bob.o'neil+tv@exa-mple.co.uk", "jürgen@straße.de", "a%40example.com"],
    "card": ["4111 1111 1111 1111", "4111111111111111", "5500-0000-0000-0004", "378282246310005", "3782 822463 10005"],
    "ipv4": ["10.0.0.1", "255.255.255.255"],
    "ipv6": ["2001:db8::1", "fe80::1ff:fe23:4567:890a", "::1", "2001:db8:0:0:0:0:0:1", "::ffff:10.0.0.1"],
    "jwt": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV"],
    "bearer": ["Bearer abcdef0123456789", "basic dXNlcjpwYXNzd29yZA=="],
    "cloud_key": ["AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1B2" * 9, "xoxb-123456789012-abcdefABCDEF", "rk_live_" + "x1" * 9],
    "password": [
        *("password=hunter2", "pwd:hunter2", "api_key='hunter 2'", '{"token": "hunter2"}', "?a_token=hunter2&x"),
        *('{"password": ["x", "hunter2"]}', 'token: [ "hunter2'),
        *(r'{\"pwd\": \"hunter2\", \"n\": 1}', r'{\"pwd\":[\"hunter2\"]}'),
    ],
}  # fmt: skip


def redacted(text: str, rule: Redact = ALL, key: bytes = b"") -> tuple[str, dict[str, int]]:
    """A text without its secrets, and how many of which kind there were."""
    found: Counter[tuple[str, str]] = Counter()
    return Redaction([Order("r", rule, key)]).text(text, found), {kind: count for (_, kind), count in found.items()}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in SECRETS.items() for text in texts])
def test_what_is_a_secret(kind: str, text: str) -> None:
    """Alone and between other words; what says so (Bearer, password=) may stay."""
    for sentence in (text, f"before {text} after", f"({text})", f"x: {text}."):
        safe, found = redacted(sentence, Redact(kinds=[kind]))
        assert found == {kind: 1}
        secret = "hunter" if kind == "password" else text.rpartition(" ")[2] if kind == "bearer" else text
        assert secret not in safe
        assert f"[{kind}]" in safe


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "1795456800500000000 1795456800500 2026-11-23T18:00:00.123456Z 18:00:00",
        "1.2.3 and 256.1.1.1 and 0.0.0.0",
        "std::vector Foo::bar a:b ::",
        "user@localhost, @mention, a@b",
        "eyJ is how it begins",
        "the bearer of news, basic things",
        "password= , token=null, secret: none",
        "c2ce6f447ed4d57b1e2feb89414c343c 78e510617311d8a3",
        "AKIA is a prefix",
        "password=[password], token=[email:0123456789abcdef]",
    ],
)
def test_what_is_no_secret(text: str) -> None:
    """Digits that fail Luhn's check, times, versions, names, and labels that are there already stay."""
    assert redacted(text) == (text, {})


def test_digits_behind_a_card_do_not_hide_it() -> None:
    """Its last month and check number, or another number before it."""
    assert redacted("4111 1111 1111 1111 12/27 123")[0] == "[card] 12/27 123"
    assert redacted("5555 4111 1111 1111 1111")[0] == "5555 [card]"


def test_a_label_at_the_end_of_a_secret_goes_with_it() -> None:
    """Its bracket ends no list, and is not left over."""
    for text in ("password=x-AKIAIOSFODNN7EXAMPLE", "(token: Bearer AKIAIOSFODNN7EXAMPLE)", "[pwd=x[email]]"):
        safe, _ = redacted(text, Redact(kinds=["cloud_key", "password"]))
        assert safe.count("[") == safe.count("]") == 1 + text.startswith("[")
        assert redacted(safe)[0] == safe


def test_a_key_makes_equal_values_equal_and_no_others() -> None:
    """However they are written; with another key they are others."""
    key = b"k" * 32
    (first, _), (second, _), (third, _) = (
        redacted(text, ALL, key) for text in ("Bob@Example.com", "bob@example.com", "eve@example.com")
    )
    assert first == second != third
    assert first.startswith("[email:")
    assert redacted("4111 1111 1111 1111", ALL, key)[0] == redacted("4111-1111-1111-1111", ALL, key)[0]
    assert redacted("Bob@Example.com", ALL, b"K" * 32)[0] != first
    assert redacted("::1 0:0:0:0:0:0:0:1", ALL, key)[0].split(" ")[0] == redacted("0:0:0:0:0:0:0:1", ALL, key)[0]


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer  ", "Basic ", "Bearer%20", "basic+"])
@pytest.mark.parametrize("token", ["abc123", "abc12345.x~/=", "ab:c1,2", "YTpi", "ghp_" + "a1B2" * 9])
def test_a_header_with_a_token_holds_a_bearer(scheme: str, token: str) -> None:
    """In text and as a JSON value, however short it is; a password is what says no such word, or has no such rule."""
    for text in ("Authorization: {}", '"authorization": "{}"', "'Proxy-Authorization': '{}'", "authorization={}&x=1"):
        safe, found = redacted(text.format(scheme + token))
        assert (safe, found["bearer"]) == (text.format("[bearer]"), 1)
        assert "password" not in found
        assert redacted(safe) == (safe, {})
    for line in ({"authorization": scheme + token}, {"headers": {"authorization": scheme + token}}):
        value, document = shipped(orjson.dumps(line), ALL)
        assert [*document["labels"].values()] == ["[bearer]"]
        assert token.encode() not in value
    only = Redact(kinds=["password"])
    assert redacted(f"Authorization: {scheme}{token}", only) == ("Authorization: [password]", {"password": 1})
    assert "bearer" not in redacted(f"Authorization: {token}")[1]


def test_a_token_has_one_hash_with_a_header_and_without() -> None:
    """It is that of the token, so it is told wherever it stands; another rule's key is not taken for it."""
    key = b"k" * 32
    (bare, _), (header, _) = (redacted(f"{said}Bearer abc12345xyz", ALL, key) for said in ("", "Authorization: "))
    assert bare.removeprefix("Bearer ") == header.removeprefix("Authorization: ")
    orders = [Order("p", Redact(kinds=["password"]), b""), Order("b", Redact(kinds=["bearer"]), key)]
    found: Counter[tuple[str, str]] = Counter()
    assert Redaction(orders).text("Authorization: Bearer abc12345xyz", found) == "Authorization: [password]"
    assert found == {("p", "password"): 1}


def test_a_pattern_of_ones_own_hides_its_first_group() -> None:
    """Or all that it matches; with anchors it is held against each value."""
    assert redacted("id=7 id=8", Redact(patterns=[r"id=(\d)"], label="id"))[0] == "id=[id] id=[id]"
    assert redacted("x7", Redact(patterns=[r"\d"]))[0] == "x[redacted]"
    assert redacted("7 7", Redact(patterns=[r"^\d"]))[0] == "[redacted] 7"


def shipped(line: bytes, rule: Redact, entry_format: str = "json", **more: Any) -> tuple[bytes, dict[str, Any]]:
    """The value that crosses Kafka of a line, and its document; three times, so that the quick way is learnt."""
    entry = Input(
        paths=["/x"], dataset="app", format=entry_format, timezone="UTC", filters=[Filter(redact=rule)], **more
    )
    encoder = Encoder(entry, "s" * 20, "/x", {"name": "h"}, 900_000, 1_000_000, None, filter_rules(entry))
    *_, (_, value) = encoder.chunk([line] * 3, 0, 0, 0, NOW).records
    return value, orjson.loads(value)


@pytest.mark.parametrize(
    "line",
    [
        b'{"message":"mail bob@example.com"}',
        b'{"user.email":"bob@example.com","level":"info"}',
        b'{"message":"m","level":"bob@example.com"}',
        b'{"password":"a@b.io and hunter2"}',
        b'{"contacts":["bob@example.com","x"],"n":1}',
        b'{"a":{"b":{"c":"bob@example.com"}}}',
        b'{"bob@example.com":1}',
        b'{"message":"bob\\u0040example.com"}',
        b'{"message":"bob@ex\\u0061mple.com"}',
        b'{"error":{"stack_trace":"a\\nbob@example.com\\nb"}}',
        b"not json: bob@example.com",
        b'{"url.original":"/?mail=bob%40example.com"}',
        b'{"tags":["bob@example.com"]}',
        b'{"client.ip":"10.9.8.7"}',
        b'{"peer":"10.9.8.7"}',
        b'{"pan":4111111111111111}',
        b'{"pan":4111111111111111.0}',
        b'{"headers":"{\\"password\\": [\\"hunter2\\"]}"}',
        b'said {\\"password\\": \\"hunter2\\"}',
        b'{"amex":378282246310005}',
        b'{"http.response.bytes":4111111111111111}',
        b'{"password":"hunter2"}',
        b'{"login":{"api_key":"hunter2"}}',
        b'{"db.password":77777}',
        b'{"message":"{\\"password\\": \\"hunter2\\"}"}',
        b'{"aws_secret_access_key":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}',
    ],
)
@pytest.mark.parametrize("original", [True, False])
def test_nothing_is_left_of_a_secret_wherever_it_stands(line: bytes, *, original: bool) -> None:
    """In the message, in labels and their names, in lists and numbers, behind JSON's escapes, in the original line."""
    value, document = shipped(line, ALL, keep_original=original)
    for secret in (b"bob", b"10.9.8.7", b"4111111111111111", b"378282246310005", b"hunter2", b"77777", b"wJalr"):
        assert secret not in value
    assert document["log"]["file"]["path"] == "/x"
    assert document["tailrace"]["bytes"] == len(line) + 1


def test_a_field_that_can_hold_no_label_becomes_one() -> None:
    """An address or a number that was made unreadable would be refused by the mapping."""
    _, document = shipped(b'{"client.ip":"10.9.8.7","http.response.bytes":4111111111111111}', ALL)
    assert "client" not in document
    assert document["labels"] == {"client.ip": "[ipv4]", "http.response.bytes": "[card]"}


def test_constants_of_the_settings_are_looked_at_too() -> None:
    """They are in documents that come the quick way."""
    value, _ = shipped(b'{"level":"info","message":"m"}', ALL, fields={"contact": "ops@example.com"})
    assert b"ops@" not in value


def test_the_key_must_be_there_and_long_enough(tmp_path: Path) -> None:
    """A hash with a short key is no secret."""
    short = tmp_path / "short"
    short.write_text("abc\n")
    for name, said in ((short, "3 bytes, too few"), (tmp_path / "none", f"openssl rand -hex 32 > {tmp_path}/none")):
        rule = Filter(redact=Redact(kinds=["email"], hash_key_file=str(name)))
        with pytest.raises(FixSettings, match=said):
            filter_rules(Input(paths=["/x"], dataset="a", filters=[rule]))


def test_settings_and_patterns_name_the_same_kinds() -> None:
    """What `check` takes is what there is."""
    assert set(NAMES) == set(KINDS)


PIECES = st.sampled_from([text for texts in SECRETS.values() for text in texts]) | st.text(max_size=8)
PLACES = st.lists(st.sampled_from(["", " ", "x", "=", ":", '"', "@", "1", "é", "-", "\n", "\\"]), max_size=3)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(PIECES, PLACES), max_size=6))
def test_the_scanner_misses_no_line_in_which_something_is_found(parts: list[tuple[str, list[str]]]) -> None:
    """What the quick way lets pass has nothing to redact, neither in its values nor in its names."""
    text = "".join(piece + "".join(between) for piece, between in parts)
    line = orjson.dumps({"message": text, text[:40]: "x", "n": 1})
    if Scanner([*KINDS.values()], []).suspects([b"{}", line, b"{}"]) & {1}:
        return
    safe, found = redacted(text)
    assert (safe, found) == (text, {})


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60) | st.lists(PIECES, max_size=5).map(" ".join))
def test_redacting_twice_finds_nothing_more(text: str) -> None:
    """And never fails: what stands in place of a secret is none itself."""
    once, _ = redacted(text, ALL, b"k" * 32)
    again, found = redacted(once, ALL, b"k" * 32)
    assert (again, found) == (once, {})
