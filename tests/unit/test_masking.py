"""Masking: secret names, secret shapes, and strings that were secret before."""

from __future__ import annotations

import os
import random
import re
from collections import namedtuple
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kolo_c import masking
from kolo_c.wire import Tag
from tests.unit.value_model import decode, encode, encode_one, encoder, type_number


@pytest.fixture(autouse=True)
def fresh() -> None:
    """The default lists, and nothing remembered."""
    encoder.reset(masking.DEFAULT_WORDS, masking.DEFAULT_EXCEPTIONS)


# ---- names ----


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("password", "password"),
        ("new_password2", "password"),
        ("userPassWord", "pass_word"),
        ("DB_PASSWD", "passwd"),
        ("api_key", "api_key"),
        ("apiKey", "api_key"),
        ("APIKey", "api_key"),
        ("X-API-Key", "api_key"),
        ("x-api-keys", "api_keys"),
        ("HTTP_AUTHORIZATION", "authorization"),
        ("Set-Cookie", "cookie"),
        ("sessionId", "session"),
        ("sessionid", "sessionid"),
        ("client.secret", "secret"),
        ("access_token", "token"),
        ("täglichesToken", "token"),
        ("token_count_token", "token"),
    ],
)
def test_a_secret_name_is_known_by_its_parts(name: str, rule: str) -> None:
    assert masking.explain(name) == masking.Reason(True, rule)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("token_count", "token_count"),
        ("maxTokenCount", "token_count"),
        ("SESSION_COOKIE_AGE", "session_cookie_age"),
        ("secretary", None),
        ("keyboard", None),
        ("tokenizer", None),
        ("author", None),
        ("key", None),
        ("", None),
        ("___", None),
        ("password" * 40, None),
    ],
)
def test_an_ordinary_name_is_left_alone(name: str, rule: str | None) -> None:
    assert masking.explain(name) == masking.Reason(False, rule)


def test_the_lists_are_lower_case_parts_without_repetition() -> None:
    for words in (masking.DEFAULT_WORDS, masking.DEFAULT_EXCEPTIONS):
        assert len(set(words)) == len(words)
        assert all(masking.split(word) == f"_{word}_" for word in words)


def test_every_exception_saves_a_name_that_would_be_masked() -> None:
    for name in masking.DEFAULT_EXCEPTIONS:
        assert masking.explain(name, exceptions=()).secret, name
        assert not masking.explain(name).secret, name


PIECES = ["a", "B", "Z9", "1", "_", "-", "é", "ß", "token", "Token", "TOKEN", "count"]
PIECES += ["api", "Key", "KEY", "session", "Cookie", "age", " ", ".", "pass", "word"]


def test_python_and_c_decide_alike() -> None:
    source = random.Random(7)
    names = {
        "".join(source.choices(PIECES, k=source.randint(0, 8))) for _ in range(30_000)
    }
    for name in names:
        reason = masking.explain(name)
        assert encoder.mask_name(name.encode()) == (reason.secret, reason.rule), name


@settings(max_examples=500)
@given(st.text(max_size=40))
def test_python_and_c_decide_alike_on_any_text(name: str) -> None:
    reason = masking.explain(name)
    encoded = name.encode("utf-8", "surrogatepass")
    assert encoder.mask_name(encoded) == (reason.secret, reason.rule)


# ---- values under a secret name ----

Login = namedtuple("Login", "user password")


class Account:
    def __init__(self, secret: Any) -> None:
        self.user, self.api_key, self.token_count = "ann", secret, 5


MASKED_8 = (Tag.MASKED, 8)


def test_a_secret_name_masks_in_every_container() -> None:
    secret = "hunter22"
    pairs = [("user", "ann"), ("password", MASKED_8), ("token_count", 5)]
    assert encode_one({"user": "ann", "password": secret, "token_count": 5}) == pairs
    assert encode_one(Login("ann", secret))[2:] == ("user", "ann", "password", MASKED_8)
    got = encode_one(Account(secret))[3:]
    assert got == ("user", "ann", "api_key", MASKED_8, "token_count", 5)
    headers = [("Host", "x"), ("Authorization", secret), (b"cookie", secret.encode())]
    assert encode_one(headers) == [
        (Tag.TUPLE, "Host", "x"),
        (Tag.TUPLE, "Authorization", MASKED_8),
        (Tag.TUPLE, b"cookie", MASKED_8),
    ]
    assert encode_one({"deep": [{"list": ({"pwd": secret},)}]}, depth=9) == [
        ("deep", [[("list", (Tag.TUPLE, [("pwd", MASKED_8)]))]])
    ]


def test_what_says_nothing_is_not_masked() -> None:
    value = {"password": None, "token": "", "pwd": True, "otp": b""}
    assert encode_one(value) == list(value.items())


def test_a_number_under_a_secret_name_is_masked() -> None:
    value = {"password": 1234, "otp": 5.5}
    nothing = (Tag.MASKED, None)
    assert encode_one(value) == [("password", nothing), ("otp", nothing)]


def test_the_value_of_a_secret_option_is_masked() -> None:
    argv = ["run.py", "--password=hunter22", "--api-key", "k1", "-v", "--tokens", "5"]
    masked = ["run.py", "--password=***", "--api-key", "***", "-v", "--tokens", "5"]
    assert masking.mask_options(argv) == masked
    assert masking.mask_options(["--password", "--verbose"]) == [
        "--password",
        "--verbose",
    ]


def test_a_container_under_a_secret_name_is_masked_as_a_whole() -> None:
    got = encode_one({"credentials": ["ann", "correct horse"], "cookies": {"a": "b"}})
    nothing = (Tag.MASKED, None)
    assert got == [("credentials", nothing), ("cookies", nothing)]
    assert encode_one("correct horse") == (Tag.MASKED, 13)


def test_a_string_that_was_masked_is_masked_from_then_on() -> None:
    texts = ["hunter22", "hünter-€😀", "short"]
    assert encode(*texts) == texts
    for text in texts:
        encoder.encode((text,), how="secret")
    again = ["".join(list(text)) for text in texts]  # equal, not the same objects
    assert encode(*again) == [(Tag.MASKED, 8), (Tag.MASKED, 9), "short"]
    assert encode_one({"hunter22": [again[0]]}) == [(MASKED_8, [MASKED_8])]
    assert encode_one(b"hunter22") == MASKED_8
    assert encode_one("hunter23") == "hunter23"


def test_a_subclass_of_str_does_not_hide_a_secret() -> None:
    class Secret(str):
        def __hash__(self) -> int:
            raise AssertionError("called")

    value = Secret("hunter22")
    assert decode(encoder.encode((value,), how="secret")) == [MASKED_8]
    assert encode_one("hunter22") == MASKED_8
    assert encode_one(Secret("hunter22"))[3] == MASKED_8


def test_thousands_of_secrets_are_remembered_and_the_table_stays_bounded() -> None:
    secrets = [f"secret-number-{i}" for i in range(2000)]
    for text in secrets:
        encoder.encode((text,), how="secret")
    known = [encode_one(text) == (Tag.MASKED, len(text)) for text in secrets]
    assert sum(known) > 1990
    assert all(known[-100:])
    for i in range(50_000):
        encoder.encode((f"another-{i}",), how="secret")
    assert encode_one("another-49999") == (Tag.MASKED, 13)


def test_masked_values_are_counted() -> None:
    before = encoder.counters()[0]
    encode_one({"password": "hunter22", "again": ["hunter22"], "url": "a://b:c@d.org"})
    assert encoder.counters()[0] - before == 3


# ---- shapes ----

LETTERS = "Abcdefghij0123456789KLMNOPqrstuv4567"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.dBjftJeZ4CVP-mB92K27uhbUJU1p1r"
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0123\n"
    "abcdEFGH+/==\n-----END RSA PRIVATE KEY-----"
)
SHAPES = [
    ("AKIAIOSFODNN7EXAMPLE", "aws-key"),
    ("AIza" + LETTERS[:35], "google-key"),
    ("ghp_" + LETTERS, "github-token"),
    ("github_pat_11ABCDEFG0_" + LETTERS, "github-token"),
    ("glpat-" + LETTERS[:20], "gitlab-token"),
    ("xoxb-123456789012-" + LETTERS[:24], "slack-token"),
    ("sk_live_" + LETTERS[:24], "stripe-key"),
    ("sk-ant-api03-" + LETTERS, "anthropic-key"),
    ("sk-proj-" + LETTERS, "openai-key"),
    ("sk-" + LETTERS, "openai-key"),
    ("npm_" + LETTERS, "npm-token"),
    ("pypi-AgEIcHlwaS5vcmc" + LETTERS, "pypi-token"),
    ("SG." + LETTERS[:22] + "." + LETTERS + "1234567", "sendgrid-key"),
    ("hf_" + LETTERS[:34], "huggingface-token"),
    ("123456789:" + LETTERS[:35], "telegram-token"),
    (JWT, "jwt"),
    (PEM, "private-key"),
]
AROUND = ["{}", "key={} and more", '{{"token": "{}"}}', "é {} é", "a\n{}\nb", "({})"]


@pytest.mark.parametrize(("secret", "shape"), SHAPES, ids=[s[1] for s in SHAPES])
@pytest.mark.parametrize("around", AROUND)
def test_a_secret_is_found_by_its_shape(secret: str, shape: str, around: str) -> None:
    text = around.format(secret)
    data = text.encode()
    start = data.index(secret.encode())
    assert encoder.mask_find(data) == (start, start + len(secret), shape)
    assert encode_one(text) == around.format("***")
    assert encode_one(data) == around.format("***").encode()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgres://ann:s3cret@db:5432/app", "postgres://ann:***@db:5432/app"),
        ("redis://:pw@host", "redis://:***@host"),
        (
            "https://a:b@c/?x=1 or http://d:e@f.",
            "https://a:***@c/?x=1 or http://d:***@f.",
        ),
        ("amqp://u:p@ss@host/v", "amqp://u:***@host/v"),
        ("Authorization: Bearer abc.DEF-123/45+6==", "Authorization: Bearer ***"),
        ("authorization: bearer abcDEF1234567890", "authorization: bearer ***"),
        ("Basic YWxhZGRpbjpvcGVuc2VzYW1l", "Basic ***"),
        ("Basic YWxh/ZGRpb+jpvcGVu/c2VzYW1l=", "Basic ***"),
    ],
)
def test_credentials_are_found_where_they_stand(text: str, masked: str) -> None:
    assert encode_one(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "http://host:8080/path@v2",
        "https://example.org/users/@me?a=b:c",
        "mail ann@example.org or ssh git@example.org:repo.git",
        "git+ssh://git@example.org/repo",
        "550e8400-e29b-41d4-a716-446655440000",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "/usr/lib/python3.11/site-packages/google/auth/transport/requests.py",
        "Basic understanding of Bearer authentication-mechanisms is needed",
        "sk-container-with-long-name and data-toggle-something-very-long",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "SELECT a.very_long_column_name_indeed FROM table_with_long_name",
        'eyJ is how the base64 of {" begins',
        "AKIA and ghp_ alone are no keys; nor is npm_install_something",
        "x" * 500,
        "@" * 200,
        "-" * 200,
        "eyJ" * 100,
    ],
)
def test_an_ordinary_text_is_left_alone(text: str) -> None:
    assert encoder.mask_find(text.encode()) is None
    assert encode_one(text) == text


def test_every_secret_of_a_text_is_replaced() -> None:
    secrets = [secret for secret, shape in SHAPES if shape != "private-key"]
    text = " ".join(secrets[:7])
    assert encode_one(text) == " ".join(["***"] * 7)
    assert encode_one("a " + " ".join(secrets)) == "a " + " ".join(["***"] * 8)


@pytest.mark.parametrize("secret", [s for s, _ in SHAPES], ids=[s[1] for s in SHAPES])
def test_a_cut_through_a_secret_leaves_none_of_it(secret: str) -> None:
    for filler in ("a ", "é "):
        text = filler + secret + " " + "z" * 500
        for limit in range(20, len(secret) + 10):
            tag, start, length = encode_one(text, text_bytes=limit)
            assert (tag, length) == (Tag.CUT_STR, len(text))
            assert start.startswith(filler + "***")
            assert secret[:6] not in start


def test_a_private_key_without_its_end_is_masked_to_the_end() -> None:
    text = "key:\n" + PEM[: PEM.index("-----END")] + "A" * 5000
    assert encode_one(text)[1] == "key:\n***"


def test_a_path_with_a_secret_in_it_is_masked() -> None:
    value = PurePosixPath("/srv/ghp_" + LETTERS)
    assert encode_one(value) == (Tag.PATH, type_number(PurePosixPath), "/srv/***")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 220))
def test_any_bytes_can_be_searched(data: bytes, start: int) -> None:
    found = encoder.mask_find(data, start)
    if found is not None:
        assert start <= found[0] < found[1] <= len(data)


TOKENS = st.sampled_from(
    "eyJ|.|-|@|:|://|/|Basic |bearer |ghp_|sk-|AKIA|-----BEGIN|-----END|SG.| "
    "| PRIVATE KEY-----|1234567890|AAAAAAAAAAAAAAAAAAAA|a1B2c3D4e5F6g7H8i9".split("|")
)


@settings(max_examples=500, deadline=None)
@given(st.lists(TOKENS, max_size=14).map("".join), st.integers(0, 60))
def test_pieces_of_secrets_can_be_searched_from_anywhere(text: str, start: int) -> None:
    data = text.encode()
    found = encoder.mask_find(data, start)
    if found is not None:
        assert start <= found[0] < found[1] <= len(data)
        again = encoder.mask_find(data, found[1])
        assert again is None or again[0] >= found[1]


@pytest.mark.skipif(
    os.environ.get("KOLO_C_SANITIZE") == "1", reason="it times, and sanitizers slow it"
)
def test_searching_an_ordinary_text_costs_little() -> None:
    text = "The quick brown fox jumps over the lazy dog, 3 times. " * 4
    plain = min(encoder.measure("short", 20_000) for _ in range(5))
    searched = min(encoder.measure(text[:200], 20_000) for _ in range(5))
    assert searched - plain < 600  # nanoseconds; about 50 where nothing else runs


@given(st.text(alphabet="abzABZ019_- .é\x7f\x80") | st.text())
def test_parts_are_capitals_words_and_numbers(name) -> None:
    pattern = r"[A-Z]+(?![a-z\x80-\U0010ffff])|[A-Z]?[a-z\x80-\U0010ffff]+|[0-9]+"
    assert list(masking._parts(name)) == re.findall(pattern, name)


# ---- in a text: behind a secret name ----

NAMED = [
    ("password={}", "password=***"),
    ("user=ann&password={}&n=1", "user=ann&password=***&n=1"),
    ('{{"apiToken": "{}", "n": 1}}', '{"apiToken": "***", "n": 1}'),
    ("{{'token': b'{}'}}", "{'token': b'***'}"),
    (r'{{\"token\": \"{}\"}}', r"{\"token\": \"***\"}"),
    ('{{"token": {{"value": "{}"}}}}', '{"token": {***}}'),
    ("Key (password)=({}) already exists.", "Key (password)=(***) already exists."),
    ("Key (password, user)=({}, ann)", "Key (password, user)=(***)"),
    ("WHERE password = '{}' AND n = 1", "WHERE password = '***' AND n = 1"),
    ("WHERE \"t\".\"password\" = '{}'", "WHERE \"t\".\"password\" = '***'"),
    ("host=db password={} dbname=a", "host=db password=*** dbname=a"),
    ("Server=db;User Id=ann;Pwd={};", "Server=db;User Id=ann;Pwd=***;"),
    ("prog --api-key {} -v", "prog --api-key *** -v"),
    ("['prog', '--token', '{}']", "['prog', '--token', '***']"),
    ("--password={}", "--password=***"),
    ("Cookie: sid={}; theme=dark\r\nHost: a", "Cookie: ***\r\nHost: a"),
    ("Set-Cookie: sid={}; Path=/", "Set-Cookie: ***"),
    ("Authorization: Digest username={}, x=1", "Authorization: Digest ***"),
    ("https://a.b/c?access_token={}#d", "https://a.b/c?access_token=***"),
    ("Account(user='ann', token='{}')", "Account(user='ann', token='***')"),
    ("user[password]={}&x=1", "user[password]=***&x=1"),
    ("tägliches_passwort=a, dbPassword: {}", "tägliches_passwort=a, dbPassword: ***"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "masked"), NAMED)
def test_a_value_behind_a_secret_name_in_a_text_is_masked(text, masked) -> None:
    secret = "Ab3-tr0mbone"
    text = text.format(secret)
    assert encode_one(text) == masked
    if text.isascii():
        assert encode_one(text.encode()) == masked.encode()


def test_what_was_masked_in_a_text_is_masked_wherever_it_is_met() -> None:
    assert encode_one(["a&token=wolf-99&b", "wolf-99", "(wolf-99)", b"wolf-99"]) == [
        "a&token=***&b",
        (Tag.MASKED, 7),
        "(***)",
        (Tag.MASKED, 7),
    ]
    assert encode_one(["token: required", "required"]) == ["token: ***", "required"]


@pytest.mark.parametrize(
    "text",
    [
        "WHERE password = %s AND token = ? OR auth = $1 AND otp = :otp",
        "password = %(password)s and token={token}",
        '{"password": null, "token": None, "token_count": 5}',
        "at 12:30:45 https://example.org:8080/a?b=c&d=e",
        "-- token of a comment, and a----token line",
        "SELECT token, password FROM account WHERE id = 5",
        "page=2&token_count=7&author=Ann&monkey=1&keyboard: x",
        "password=*** token: '***'",
        "password=",
        "token:",
        "token://host, secret",
        "x" * 101 + "_token=abc123",
        "django.contrib.sessions.middleware: done",
        "a --verbose -x --token -y",
        "=" * 50 + ":" * 50 + "--" * 50,
    ],
)
def test_what_says_nothing_secret_in_a_text_is_left_alone(text: str) -> None:
    assert encode_one(text) == text
    assert encode_one(text.encode()) == text.encode()


def test_the_value_of_a_secret_option_in_a_list_is_masked() -> None:
    words = ["run", "--password", "hunter22", "--verbose", "5", "--token", "-x", "-a"]
    masked = list[Any](words)
    masked[2] = MASKED_8
    assert encode_one(words) == masked
    assert encode_one(tuple(words)) == (Tag.TUPLE, *masked)


# ---- in a text: what was masked before ----


def test_a_secret_that_was_masked_is_masked_inside_longer_texts() -> None:
    secrets = ["hunter22", "hünter-€-9", "correct horse battery", "p@ss=w0rd&x"]
    for secret in secrets:
        assert encode_one(f"<{secret}>") == f"<{secret}>"
        encoder.encode((secret,), how="secret")
    for secret in secrets:
        for around in ("{}", "a {} b", "{0}/{0}", "é{{{}}}", "x" * 900 + " {}"):
            if around == "{}":
                continue
            text = around.format(secret)
            assert encode_one(text) == text.replace(secret, "***")
            encoded = text.encode()
            assert encode_one(encoded) == encoded.replace(secret.encode(), b"***")
        assert encode_one(f"a{secret}") == f"a{secret}"  # another word
        assert encode_one(f"{secret}8 ") == f"{secret}8 "


def test_the_parts_of_a_secret_header_are_masked_too() -> None:
    encode_one({"Cookie": "sid=Ab12cd34x; theme=darkish", "auth": b"Bearer f00dfeed99"})
    assert encode_one({"authorization": 'Digest response="0a1b2c3d", x=1'})
    parts = ["Ab12cd34x", b"f00dfeed99", "0a1b2c3d"]
    assert encode_one(parts) == [(Tag.MASKED, len(part)) for part in parts]
    assert encode_one(["darkish", "theme", "/Ab12cd34x"]) == [
        "darkish",
        "theme",
        "/***",
    ]


def test_an_ordinary_word_is_masked_as_a_whole_alone() -> None:
    encoder.encode(("github",), how="secret")
    assert encode_one("github") == (Tag.MASKED, 6)
    assert encode_one("from github, with love") == "from github, with love"


def test_a_known_secret_that_the_cut_goes_through_leaves_none_of_it() -> None:
    secret = "wolf9-" + "abcdefgh" * 50
    encoder.encode((secret,), how="secret")
    for filler in ("a" * 90 + " ", "é" * 40 + " "):
        got = encode_one(filler + secret + "!" * 999, text_bytes=100)
        assert got[1] == filler + "***"


def test_the_newest_secrets_are_known_in_texts() -> None:
    secrets = [f"secret-number-{i}" for i in range(200)]
    for text in secrets:
        encoder.encode((text,), how="secret")
    shown = [encode_one(f"<{text}>") for text in secrets]
    assert shown[-64:] == ["<***>"] * 64
    assert shown[:136] == [f"<{text}>" for text in secrets[:136]]
    encoder.encode((secrets[0],), how="secret")  # met again
    assert encode_one(f"<{secrets[0]}>") == "<***>"


PIECES_OF_TEXT = """password token cookie authorization Key user x-api-key = : => == --
    - , ; & *** " ' \\ \\" ( ) [ ] { } None %s ? :a $1 %( Bearer basic b' hunter22 é
    €uro2024 a :// @ AAAAAAAAAAAAAAAAAAAAAAAA1 -----BEGIN PRIVATE p4ss""".split()
PIECES_OF_TEXT += [" ", "  ", "\t", "\n", "p4ss w0rd", "x" * 99, "Key ("]
PIECES_OF_TEXT += ["-----BEGIN PRIVATE KEY-----"]
SOUP = st.sampled_from(PIECES_OF_TEXT)


@settings(max_examples=1500, deadline=None)
@given(st.lists(SOUP, max_size=25).map("".join), st.integers(20, 120))
def test_any_text_with_names_and_secrets_is_read_alike(text: str, limit: int) -> None:
    """Both cores find the same, as str and as bytes, whole and cut."""
    encoder.reset(masking.DEFAULT_WORDS, masking.DEFAULT_EXCEPTIONS)
    for secret in ("hunter22", "p4ss w0rd", "€uro2024"):
        encoder.encode((secret,), how="secret")
    for value in (text, text.encode()):
        for _ in range(2):  # what was found is remembered
            encode_one(value)
            encode_one(value, text_bytes=limit)
