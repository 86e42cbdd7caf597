"""Bodies as fields: decoded, cut, and without what stands under secret names."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterator

import pytest

from kolo_c.masking import DEFAULT_WORDS, explain
from kolo_c.plugins import secret
from kolo_c.plugins.builtin import bodies
from kolo_c.plugins.builtin.bodies import (
    COPY_BYTES,
    describe_body,
    form,
    scrub,
    scrub_path,
)
from kolo_c.plugins.builtin.django_parts import shown_key
from kolo_c.scope import SCOPE


class Native:
    """Of a session, what decides about names."""

    def __init__(self) -> None:
        self.known: set[object] = set()

    def hides(self, name: str, value: object) -> bool:
        secret = explain(name, (*DEFAULT_WORDS, *Config.mask_words)).secret
        if secret and value != 1:
            self.known.add(value)
        return secret


class Config:
    mask_words = ("shoe_size",)


class Session:
    config = Config()

    def __init__(self) -> None:
        self.native = Native()


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    found = Session()
    monkeypatch.setattr(SCOPE, "session", found)
    monkeypatch.setattr(secret, "_known_by", None)
    yield found


def test_a_form_is_a_dict(session: Session) -> None:
    assert form("a=1&b=&a=2&c=%C3%A4&a=3") == {"a": ["1", "2", "3"], "b": "", "c": "ä"}
    kind = "application/x-www-form-urlencoded"
    assert describe_body(b"a=1", 3, kind) == ({"a": "1"}, "")
    assert describe_body(b"a=1&b", 100, kind) == ({"a": "1", "b": ""}, "cut: 100 bytes")


def test_json_is_what_it_says() -> None:
    body = json.dumps({"a": [1, {"token": "x"}]}).encode()
    kind = "application/vnd.shop+json; charset=utf-8"
    assert describe_body(body, len(body), kind) == ({"a": [1, {"token": "x"}]}, "")
    assert describe_body(b"{no", 3, "application/json") == ("{no", "")


def test_json_that_was_cut_is_a_text_without_secrets() -> None:
    body = b'{"a": 1, "password": "abcdefgh", "b": {"api_key":"x\\"yz", "n'
    found, note = describe_body(body, 500, "application/json")
    assert found == '{"a": 1, "password": "***", "b": {"api_key":"***", "n'
    assert note == "cut: 500 bytes"
    assert scrub('{"credentials": {"pin": "1234"}, "b": 2}') == '{"credentials": {***…'
    assert scrub('{"tokens": 1, "secret": [1, 2') == '{"tokens": 1, "secret": [***…'
    assert scrub('"token": "cut-in-the-mid') == '"token": "***"'


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ('<input name="q" value="a">', '<input name="q" value="a">'),
        (
            '<input name="csrf_token" value="a">',
            '<input name="csrf_token" value="***">',
        ),
        ("<input type=password value=abc>", '<input type=password value="***">'),
        (
            '<meta name="csrf-token" content="ab12">',
            '<meta name="csrf-token" content="***">',
        ),
        ('<div data-api-key="ab12" class="b">', '<div data-api-key="***" class="b">'),
        ("var authToken = 'ab12'; x = 'y'", "var authToken = '***'; x = 'y'"),
        ("/next?token=ab12&page=2", "/next?token=***&page=2"),
        ("password: hunter2, user: bob", "password: ***, user: bob"),
        ("the password is not said", "the password is not said"),
        ("token_count=5", "token_count=5"),
        (
            '{"ShoeSize": "44", "İ": 1, "x-otp": "123"}',
            '{"ShoeSize": "***", "İ": 1, "x-otp": "***"}',
        ),
        ("sessionid=ab; sessionid=cd", "sessionid=***; sessionid=***"),
    ],
)
def test_a_text_has_no_values_of_secret_names(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed


def test_what_was_scrubbed_is_known_from_then_on(session: Session) -> None:
    scrub('<input name=csrfmiddlewaretoken value="ab12cd"> {"password": "hunter2"}')
    assert session.native.known == {"ab12cd", "hunter2"}


def test_secrets_of_what_was_parsed_are_known(session: Session) -> None:
    bodies.remember({"a": {"password": ["one"]}, "b": [{"token": "two"}], "c": "no"})
    bodies.remember_cookies('sessionid=three; theme=dark; csrftoken="four"')
    assert session.native.known == {"one", "two", "three", "four"}


def test_every_secret_name_is_found_in_a_text() -> None:
    for word in DEFAULT_WORDS:
        for name in (word, word.upper(), f"my-{word.replace('_', '-')}-2", f"x_{word}"):
            assert scrub(f'{{"a": 1, "{name}": "abcd"}}') == (
                f'{{"a": 1, "{name}": "***"}}'
            )


@pytest.mark.parametrize("size", [10, 200_000])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate", "br"])
def test_packed_bodies_are_unpacked_to_a_bound(encoding: str, size: int) -> None:
    text = b"ab cd " * (size // 6)
    name = encoding.split()[-1]
    if encoding == "gzip":
        packed = gzip.compress(text)
    elif encoding == "deflate":
        packed = zlib.compress(text)
    elif encoding == "raw deflate":
        packed = zlib.compress(text, wbits=-15)
    else:
        packed = pytest.importorskip("brotli").compress(text)
    copy = packed[:COPY_BYTES]
    found, note = describe_body(copy, len(packed), "text/plain", name)
    assert found == text.decode()[:2048]
    assert note == ("" if size == 10 else f"cut: {len(packed):,} bytes, {name}")


def test_what_cannot_be_unpacked_is_told_by_its_size() -> None:
    assert describe_body(b"no gzip", 7, "text/plain", "gzip") == (None, "7 bytes, gzip")
    assert describe_body(b"x", 1, "text/plain", "zstd") == (None, "1 bytes, zstd")
    half = gzip.compress(b"hello " * 9)[:-12]
    found, note = describe_body(half, 900, "text/plain", "gzip")
    assert found is not None and found.startswith("hell") and "cut" in note


def test_texts_are_decoded_as_they_say_or_as_far_as_it_goes() -> None:
    assert describe_body(b"\xe4", 1, "text/plain; charset=latin-1") == ("ä", "")
    assert describe_body(b"\xe4", 1, "text/plain; charset=nothing") == ("\ufffd", "")
    assert describe_body(b"\xe4", 1, "text/plain; charset=undefined") == ("\ufffd", "")
    assert describe_body(b"", 0, "text/plain") == (None, "")
    assert describe_body(b"\x89PNG", 4, "image/png") == (None, "4 bytes, image/png")
    assert describe_body(b"a\0b", 3, "") == (None, "3 bytes")


def test_a_text_of_any_kind_is_scrubbed_in_bounded_time() -> None:
    """Each of these takes a naive expression seconds, or worse."""
    texts = [
        "a" * 4096, "a." * 2048, "a=" * 2048, "<input " * 585, '"' * 4096,
        "<input " + "name=" * 800, "a: " * 1365, "\\" * 4096, " " * 4096,
        "a" + " " * 4000 + "=", "'" * 4096, "x='" * 1365, "<meta" + " " * 4000,
    ]  # fmt: skip
    for text in texts:
        began = time.thread_time()
        scrub(text)
        assert time.thread_time() - began < 0.25, text[:20]


def test_keys_of_a_cache_do_not_tell_what_follows_a_secret_name() -> None:
    assert shown_key("home:figures") == "home:figures"
    assert shown_key("v1:session:ab12") == "v1:session:***"
    assert shown_key("user/7/token/ab12") == "user/7/token/***"
    assert shown_key("x.django.contrib.sessions.cacheab12") == (
        "x.django.contrib.sessions.***"
    )
    assert shown_key(7) == 7


def test_a_path_does_not_tell_a_token(session: Session) -> None:
    reset = "c8vk5u-0123456789abcdef0123456789abcdef"
    signed = "7:1sZx9A:abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
    assert scrub_path(f"/accounts/reset/MQ/{reset}/") == "/accounts/reset/MQ/***/"
    assert scrub_path(f"/confirm/{signed}") == "/confirm/***"
    assert {f"/confirm/{signed}", signed, reset} <= session.native.known
    uuid = "/files/0c5b1d0e-9b1c-4a52-8a4d-0c5b1d0e9b1c/"
    for path in (
        "/auth/login/",
        uuid,
        "/blog/how-to-make-a-fine-cup-of-tea-in-winter/",
    ):
        assert scrub_path(path) == path


@pytest.mark.parametrize("letter", ["x", "ä", "€", "😀"])
@pytest.mark.parametrize("count", [2047, 2048, 2049, 2560, 4000])
def test_a_text_is_cut_at_a_character_however_many_bytes_that_has(letter, count):
    body = ("a" + letter * (count - 1)).encode()
    found, note = describe_body(body, len(body), "text/plain")
    assert found == ("a" + letter * (count - 1))[:2048]
    assert note == ("" if count <= 2048 else f"cut: {len(body):,} bytes")
