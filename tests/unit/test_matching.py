"""The pattern of a search: many texts at once as one by one."""

from __future__ import annotations

import array
import datetime
import math
import re
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kolo_c.errors import KoloError
from kolo_c.store.matching import Matcher

PATTERNS = [
    "a", "ab", "abc", ".", "", "^", "$", "^a", "c$", "^$", "a|b", "ab|ba", "(ab)+c",
    "a{2,}", "x{0,3}", "[ab]c", "[^a]", "[^a\n]b", r"\d", r"\D", r"\w+", r"\W", r"\s",
    r"a\sb", r"\bab\b", r"\Bb", "(?=a)b", "(?!a)b", "(?<=a)b", "(?<!a)b", r"(a)\1",
    r"\Aab", r"ab\Z", "a.b", "(?s)a.b", "(?i)AB", "(?i:AB)c", "a\nb", "é", "(?i)K", "ſ",
    "(?i)s", "(?:a|(b))(?(1)a|b)", "1", "-1", r"1\.5", "(?x) a b", r"[\s\S]b", "a*?b",
    "ab(?:c|cc)ab", "(?:ab|ba){2}", "(?a:\\w)a", "a b", "[0-9]+-", "(a|b)(c|)",
]  # fmt: skip
texts = st.lists(st.text(alphabet="abcxAB1.- \n\réſKS\udc80", max_size=8), max_size=12)


def joined(parts: list[str]) -> tuple[str, bytes]:
    """As a scan gives them: each with a newline, and where each begins."""
    starts = array.array("I", [0])
    for part in parts:
        starts.append(starts[-1] + len(part) + 1)
    return "".join(f"{part}\n" for part in parts), starts.tobytes()


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=60, deadline=None)
@given(parts=texts, fixed=st.booleans(), ignore=st.booleans())
def test_many_texts_at_once_match_as_one_by_one(
    pattern: str, parts: list[str], fixed: bool, ignore: bool
) -> None:
    matcher = Matcher(pattern, fixed=fixed, ignore_case=ignore)
    flags = re.MULTILINE | (re.IGNORECASE if ignore else 0)
    regex = re.compile(re.escape(pattern) if fixed else pattern, flags)
    expected = [index for index, part in enumerate(parts) if regex.search(part)]
    assert matcher.which(*joined(parts)) == expected


@pytest.mark.parametrize("ignore", [False, True])
def test_where_most_texts_match_none_is_forgotten(ignore: bool) -> None:
    parts = [f"text {number}\nof two lines" if number == 700 else f"text {number}"
             for number in range(1000)]  # fmt: skip
    for pattern, count in (("t", 1000), (r"\d", 1000), ("[0-4]$", 500), (".", 1000)):
        matcher = Matcher(pattern, ignore_case=ignore)
        assert len(matcher.which(*joined(parts))) == count
        assert len(matcher.which(*joined(parts[:700]))) == count * 7 // 10


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("ignore", [False, True])
def test_a_pattern_that_cannot_match_a_number_matches_none(
    pattern: str, ignore: bool
) -> None:
    matcher = Matcher(pattern, ignore_case=ignore)
    numbers = [
        5, -7, 1.5, 1e100, math.inf, math.nan, 2j, range(1, 9, 2), uuid.UUID(int=5),
        datetime.datetime(2026, 1, 2, 3, 4), datetime.timedelta(days=1, seconds=5),
        datetime.date(2026, 1, 2), datetime.time(1, 2, 3), 10**30, 1.5e-7,
    ]  # fmt: skip
    if not matcher.numbers:
        assert not matcher.any_of(map(str, numbers))


def test_words_cannot_match_a_number_and_digits_can() -> None:
    assert not Matcher("xylophone").numbers
    assert not Matcher("ValueError|KeyError").numbers
    assert not Matcher("(?:time|out)+ 5").numbers
    assert Matcher("(time|5)").numbers
    assert Matcher("range").numbers
    assert Matcher("x?5").numbers
    assert not Matcher("RANGE").numbers
    assert Matcher("RANGE", ignore_case=True).numbers


@pytest.mark.parametrize("pattern", ["(", "a{2", "[", "(?P<x>", "a**", "(?<=a+)b"])
def test_what_is_no_regular_expression_is_said(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error:
        with pytest.raises(KoloError) as raised:
            Matcher(pattern)
        assert "-F" in raised.value.hint
    assert Matcher(pattern, fixed=True).any_of([f"x{pattern}y"])
