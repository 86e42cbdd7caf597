"""The text of SQL statements: what is masked in it, and in its parameters and rows."""

from __future__ import annotations

import datetime
import decimal
from collections import namedtuple
from itertools import product
from types import SimpleNamespace

import pytest

from kolo_c.masking import DEFAULT_WORDS, explain
from kolo_c.plugins.builtin import sql
from kolo_c.plugins.builtin.sql_text import add_parameters, describe, text_of
from kolo_c.plugins.stems import mentions, stems
from kolo_c.scope import SCOPE


class Native:
    """A core's session that masks by the built-in words."""

    def hides(self, name, value):
        return explain(name).secret

    def hide_cells(self, name, rows, at):
        self.seen = [row[at] for row in rows if isinstance(row, tuple)]
        return len(self.seen) == len(rows)


@pytest.fixture(autouse=True)
def session(monkeypatch):
    config = SimpleNamespace(sql_rows="always", mask_words=())
    made = SimpleNamespace(native=Native(), config=config)
    monkeypatch.setattr(SCOPE, "session", made)
    return made


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ("SELECT 1", "SELECT"),
        ("  \n (select 1)", "SELECT"),
        ("/* r=7 */ -- said\n update t set a = 1", "UPDATE"),
        ("", ""),
        ("WITH a AS (SELECT 1) SELECT 2", "WITH"),
    ],
)
def test_the_first_word_is_the_operation(text, operation):
    assert describe(text).operation == operation


@pytest.mark.parametrize(
    "text",
    [
        'SELECT "auth_user"."id", "auth_user"."password" FROM "auth_user"',
        "SELECT apiToken FROM t",
        "UPDATE t SET a = 1 WHERE t.session_key = %s",
        "SELECT * FROM django_session",
        "SELECT * FROM `authtoken_token`",
        "ALTER ROLE ada PASSWORD 'x'",
        "SELECT a" + ", a" * 40_000,  # too long to be read
    ],
)
def test_a_statement_that_names_a_secret_is_sensitive(text):
    assert describe(text).sensitive


@pytest.mark.parametrize(
    "text",
    [
        'SELECT "auth_user"."id" FROM "auth_user" JOIN auth_group ON 1 = 1',
        "INSERT INTO auth_permission (name) VALUES (%s)",
        "SELECT token_count, tokenizer FROM t",
        "SELECT name FROM t WHERE note = 'the password is here'",
    ],
)
def test_tables_of_django_auth_and_words_in_literals_are_not(text):
    found = describe(text)
    assert not found.sensitive and found.shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("UPDATE t SET token = 'it''s me', n = 7", "UPDATE t SET token = ***, n = 7"),
        ("SELECT 1 WHERE otp = 123456", "SELECT 1 WHERE otp = ***"),
        (
            r"SELECT 1 WHERE otp = 'a\'b' AND b = 'c",
            "SELECT 1 WHERE otp = *** AND b = ***",
        ),
        ("SELECT $$x$$, $a$ y $a$ AS secret", "SELECT ***, *** AS secret"),
        (
            "SELECT password FROM t WHERE id = $1234",
            "SELECT password FROM t WHERE id = $1234",
        ),
    ],
)
def test_literals_of_a_sensitive_statement_are_masked(text, shown):
    assert describe(text).shown == shown


def test_double_quotes_are_around_texts_in_mysql_alone():
    text = 'UPDATE t SET password = "x"'
    assert describe(text).shown == text
    assert describe(text, True).shown == "UPDATE t SET password = ***"


def test_parameters_of_a_sensitive_statement_keep_numbers_and_times():
    secret, plain = describe("SELECT token FROM t"), describe("SELECT a FROM t")
    day = datetime.date(2026, 1, 2)
    given = ("text", b"bytes", 7, 1.5, None, True, day, decimal.Decimal(3), ["in it"])
    fields = {}
    add_parameters(fields, given, secret)
    assert fields["params"] == [
        "***", "***", 7, 1.5, None, True, day, decimal.Decimal(3), "***",
    ]  # fmt: skip
    add_parameters(fields, {"a": "x", "b": 1}, secret)
    assert fields["params"] == {"a": "***", "b": 1}
    add_parameters(fields, given, plain)
    assert fields["params"] is given


def test_of_many_sets_of_parameters_the_first_are_kept():
    fields = {}
    add_parameters(fields, [(n, "x") for n in range(9)], describe("SELECT token"), True)
    assert fields == {"many": 9, "params": [[n, "***"] for n in range(5)]}


def test_what_is_no_container_is_not_asked_for_anything():
    class Lazy:
        def __bool__(self):
            raise AssertionError

        __len__ = __iter__ = __getitem__ = __bool__

    fields, lazy = {}, Lazy()
    add_parameters(fields, lazy, describe("SELECT a"), True)
    assert fields == {"params": lazy}
    add_parameters(fields, lazy, describe("SELECT token"), True)
    assert fields == {"params": "***"}


@pytest.mark.parametrize("word", DEFAULT_WORDS)
def test_a_secret_name_is_seen_by_the_first_look(word):
    """Where it sees none, nothing else of the text is looked at."""
    cases = (str, str.upper, str.title, str.capitalize)
    met = 0
    for case, between, before in product(
        cases, ("", "_", "-"), ("", "user_", "x", "é")
    ):
        name = before + case(word).replace("_", between)
        if explain(name).secret:
            met += 1
            assert mentions(f"SELECT {name} FROM t", stems()), name
    assert met


def test_other_words_of_another_session_hold(monkeypatch, session):
    assert not describe("SELECT fruit FROM t").sensitive
    other = SimpleNamespace(
        native=SimpleNamespace(hides=lambda name, _: name == "fruit"),
        config=SimpleNamespace(mask_words=("fruit",)),
    )
    monkeypatch.setattr(SCOPE, "session", other)
    assert describe("SELECT fruit FROM t").sensitive
    monkeypatch.setattr(SCOPE, "session", session)
    assert not describe("SELECT fruit FROM t").sensitive


@pytest.mark.parametrize(
    ("query", "text"), [("a", "a"), (b"b", "b"), (bytearray(b"c"), "c"), (7, None)]
)
def test_a_query_may_be_text_or_bytes(query, text):
    assert text_of(query) == text


def rows_of(text, names, *rows):
    statement = sql.sent(1, describe(text))
    cursor = SimpleNamespace(description=[(name,) for name in names])
    return sql.sample(statement, rows, cursor)


def test_rows_are_sampled_with_their_secrets_masked():
    found = rows_of(
        "SELECT * FROM t", ["id", "api_key", "name"], (1, 2, "a"), (2, None, "b")
    )
    assert found["columns"] == ("id", "api_key", "name")
    assert found["rows_sample"] == [[1, "***", "a"], [2, None, "b"]]
    found = rows_of("SELECT a AS x, token AS y FROM t", ["x", "y"], (1, "secret"))
    assert found["rows_sample"] == [[1, "***"]]
    # Nobody knows what is in there.
    for text in "SELECT token FROM t", "SELECT * FROM u":
        found = rows_of(text, [], (7, "a", None))
        assert found["rows_sample"] == [["***", "***", None]]


def test_secret_columns_are_taken_note_of_in_rows_of_every_type(session):
    names = ["id", "api_key"]
    rows_of("SELECT id, api_key FROM t", names, (1, "one"), (2, "two"))
    assert session.native.seen == ["one", "two"]
    pair = namedtuple("pair", names)
    rows_of("SELECT id, api_key FROM t", names, pair(1, "one"), [2, "two"])
    assert session.native.seen == ["one", "two"]


def test_a_sample_is_small_whatever_the_rows_are():
    row = ("x" * 5000, b"y" * 5000, [1] * 5000, object())
    found = rows_of("SELECT 1", ["a", "b", "c", "d"], *[row] * 9)
    first = found["rows_sample"][0]
    assert len(first[0]) == 101 and first[0].endswith("…") and len(first[1]) == 100
    assert first[2:] == ["<list>", "<object>"]
    assert len(found["rows_sample"]) <= 5
    wide = rows_of("SELECT 1", list(map(str, range(1000))), tuple(range(1000)))
    assert len(wide["rows_sample"][0]) == 40
    assert rows_of("SELECT 1", ["a"], object())["rows_sample"] == ["<object>"]
