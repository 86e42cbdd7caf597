"""Secrets that show by their shape; twin of ``src/plain/mask_shapes.c``.

Every secret but a URL's password holds a run of ten or more characters without a space,
which ordinary text seldom has: only in such runs the prefixes are looked for. What C
spells out character by character is patterns here.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Span = tuple[int, int, str]

LEAST = 8
"""No text shorter than this has one: a://:b@"""
_TOKEN_LEAST = 16
"""No provider's token is shorter."""
_URL_MAX_BYTES = 256
"""Of user and password together."""
_PEM_MAX_BYTES = 16384
_PEM_LABEL_MAX_BYTES = 48
_PEM_BEGIN = b"-----BEGIN"
_PEM_MARK = b"PRIVATE KEY-----"

_ALNUM = "[0-9A-Za-z]"
_UPPER = "[0-9A-Z]"
_HEX = "[0-9A-Fa-f]"
_DASHED = "[0-9A-Za-z_-]"
_RUN = re.compile(rb"[0-9A-Za-z_.-]{10,}")
_BASE64 = re.compile(rb"[0-9A-Za-z_+./=-]+")
_STOP = frozenset(b" \"#'/<>?\\`" + bytes(range(0x20)))
"""What cannot stand in a URL's user and password."""

# Prefix, characters after it at least, their class, shape. The first that fits counts.
_PREFIXES = (
    ("AKIA", 16, _UPPER, "aws-key"),
    ("ASIA", 16, _UPPER, "aws-key"),
    ("AIza", 35, _DASHED, "google-key"),
    ("AGE-SECRET-KEY-", 40, _UPPER, "age-key"),
    ("GOCSPX-", 20, _DASHED, "google-key"),
    ("SG.", 20, _DASHED, "sendgrid-key"),
    ("SK", 32, _HEX, "twilio-key"),
    ("dapi", 32, _HEX, "databricks-token"),
    ("dckr_pat_", 20, _DASHED, "docker-token"),
    ("dop_v1_", 40, _HEX, "digitalocean-token"),
    ("ghp_", 30, _ALNUM, "github-token"),
    ("gho_", 30, _ALNUM, "github-token"),
    ("ghu_", 30, _ALNUM, "github-token"),
    ("ghs_", 30, _ALNUM, "github-token"),
    ("ghr_", 30, _ALNUM, "github-token"),
    ("github_pat_", 22, _DASHED, "github-token"),
    ("glpat-", 20, _DASHED, "gitlab-token"),
    ("glrt-", 20, _DASHED, "gitlab-token"),
    ("hf_", 30, _ALNUM, "huggingface-token"),
    ("hvs.", 24, _DASHED, "vault-token"),
    ("key-", 32, _HEX, "mailgun-key"),
    ("lin_api_", 32, _ALNUM, "linear-key"),
    ("npm_", 36, _ALNUM, "npm-token"),
    ("pypi-AgE", 16, _DASHED, "pypi-token"),
    ("rk_live_", 16, _ALNUM, "stripe-key"),
    ("rk_test_", 16, _ALNUM, "stripe-key"),
    ("rubygems_", 40, _HEX, "rubygems-key"),
    ("sk_live_", 16, _ALNUM, "stripe-key"),
    ("sk_test_", 16, _ALNUM, "stripe-key"),
    ("sk-ant-", 20, _DASHED, "anthropic-key"),
    ("sk-proj-", 20, _DASHED, "openai-key"),
    ("sk-", 20, _ALNUM, "openai-key"),
    ("sbp_", 40, _HEX, "supabase-key"),
    ("shpat_", 32, _HEX, "shopify-token"),
    ("shpss_", 32, _HEX, "shopify-token"),
    ("sq0atp-", 22, _DASHED, "square-token"),
    ("sq0csp-", 40, _DASHED, "square-token"),
    ("whsec_", 20, _ALNUM, "stripe-key"),
    ("xapp-", 20, _DASHED, "slack-token"),
    ("xkeysib-", 40, _DASHED, "brevo-key"),
    ("xoxa-", 10, _DASHED, "slack-token"),
    ("xoxb-", 10, _DASHED, "slack-token"),
    ("xoxe-", 10, _DASHED, "slack-token"),
    ("xoxp-", 10, _DASHED, "slack-token"),
    ("xoxr-", 10, _DASHED, "slack-token"),
    ("xoxs-", 10, _DASHED, "slack-token"),
    ("ya29.", 20, _DASHED, "google-token"),
)


def _prefix_pattern(text: str, tail_least: int, tail: str) -> str:
    """A prefix and its tail; what follows in the same word belongs to it: better one
    too many. ``SG.id.secret`` has a third part."""
    third = rf"(?:\.{_DASHED}*)?" if text.startswith("S") else ""
    return f"({re.escape(text)}{tail}{{{tail_least},}}{_DASHED}*{third})"


# header.payload[.signature]; the end may be cut off.
_JWT = rf"(eyJ{_DASHED}{{7,}}\.{_DASHED}{{10,}}(?:\.{_DASHED}*)?)"
_SHAPES = (*(prefix[3] for prefix in _PREFIXES), "jwt")
_TOKEN_TEXT = "|".join((*(_prefix_pattern(*p[:3]) for p in _PREFIXES), _JWT))
_TOKEN = re.compile(_TOKEN_TEXT.encode())
"""A token, here; the number of its group is that of its shape."""
_TOKEN_AT_WORD = re.compile(f"(?<![0-9A-Za-z])(?:{_TOKEN_TEXT})".encode())
_MAYBE = re.compile(rb"[0-9A-Za-z_.-]{10}|@|Basic |Bearer ")
"""What every secret has."""


def find(data: bytes, start: int = 0) -> Span | None:
    """The first secret at or after ``start``: its start, end and shape."""
    if len(data) - start < LEAST or _MAYBE.search(data, start) is None:
        return None
    first = None
    for finder in _FINDERS:
        found = finder(data, start)
        if found is not None and (first is None or found[0] < first[0]):
            first = found
    return first


def _authorization_at(data: bytes, at: int) -> Span | None:
    """What follows `Bearer ` or `Basic ` at ``at``, unless it is a word."""
    match = _BASE64.match(data, at)
    if match is None or match.end() - at < LEAST or not _is_random(match.group()):
        return None
    return at, match.end(), "authorization"


_RANDOM = re.compile(rb"[0-9=]|[a-z].*[A-Z]", re.DOTALL)


def _is_random(word: bytes) -> bool:
    """Whether it has digits or mixed case: a token rather than a word."""
    return _RANDOM.search(word) is not None


def _by_context(data: bytes, start: int, end: int, least: int) -> Span | None:
    """`bearer …`, and a bot's `123456789:…`."""
    before = data[start - 1 : start]
    if before == b":" and end - start >= 35:
        digits = start - 1
        while digits > least and 0x30 <= data[digits - 1] <= 0x39:
            digits -= 1
        if 8 <= start - 1 - digits <= 10:
            return digits, end, "telegram-token"
        return None
    if before == b" " and data[max(start - 7, 0) : start].lower() == b"bearer ":
        return _authorization_at(data, start)
    return None


def _pem(data: bytes, end: int) -> Span | None:
    """A PEM private key whose `-----BEGIN` ends at ``end``: to the end of its END."""
    start = end - len(_PEM_BEGIN)
    label = data.find(_PEM_MARK, end, end + _PEM_LABEL_MAX_BYTES + len(_PEM_MARK) - 1)
    if label < 0:
        return None
    limit = min(len(data), start + _PEM_MAX_BYTES)
    body = label + len(_PEM_MARK)
    mark = data.find(_PEM_MARK, body, limit + len(_PEM_MARK) - 1)
    if mark < 0:
        return start, limit, "private-key"  # its end is cut off
    return start, mark + len(_PEM_MARK), "private-key"


def _in_run(data: bytes, start: int, end: int, least: int) -> Span | None:
    if end - start >= _TOKEN_LEAST:
        match = _TOKEN.match(data, start, end) or _TOKEN_AT_WORD.search(
            data, start + 1, end
        )
        if match is not None and match.start() + _TOKEN_LEAST <= end:
            return match.start(), match.end(), _SHAPES[(match.lastindex or 1) - 1]
    if data.startswith(_PEM_BEGIN, end - len(_PEM_BEGIN)):
        return _pem(data, end)
    return _by_context(data, start, end, least)


def _run(data: bytes, start: int) -> Span | None:
    """The first secret that shows in a run."""
    for run in _RUN.finditer(data, start):
        found = _in_run(data, run.start(), run.end(), start)
        if found is not None:
            return found
    return None


def _url_at(data: bytes, at: int, start: int) -> Span | None:
    """The password between `://user:` and the `@` at ``at``."""
    colon = 0
    first = at
    least = max(at - _URL_MAX_BYTES, 0)
    while first > least and data[first - 1] not in _STOP:
        if data[first - 1] == 0x3A:
            colon = first
        first -= 1
    if colon in (0, at) or colon < start or data[max(first - 3, 0) : first] != b"://":
        return None
    # A password may hold `@`: the last one before the authority's end counts.
    following = at + 1
    while following < len(data) and following - at < _URL_MAX_BYTES:
        if data[following] in _STOP:
            break
        if data[following] == 0x40:
            at = following
        following += 1
    return colon, at, "url-credentials"


def _url(data: bytes, start: int) -> Span | None:
    at = data.find(b"@", start)
    while at >= 0:
        found = _url_at(data, at, start)
        if found is not None:
            return found
        at = data.find(b"@", at + 1)
    return None


_SCHEME = re.compile(rb"Basic |Bearer ")


def _authorization(data: bytes, start: int) -> Span | None:
    """`Basic …`, `Bearer …`: what follows may have no run that is long enough."""
    for scheme in _SCHEME.finditer(data, start):
        found = _authorization_at(data, scheme.end())
        if found is not None:
            return found
    return None


_FINDERS: tuple[Callable[[bytes, int], Span | None], ...] = (_url, _authorization, _run)
