"""Which names are secret: the default lists, and why a name is masked or not.

A name is cut into word parts: ``apiKey``, ``API-Key`` and ``x_api_key`` all hold the
parts *api, key*; digits are a part of their own. It is secret when a word of the list
is a run of whole parts of it, unless an exception of the other list covers that run:
``token`` makes ``access_token`` secret, ``token_count`` saves ``max_token_count``.

The tracer decides in C (``src/plain/mask.c``); :func:`explain` is its twin for
``kolo-c explain --mask``, and a test compares the two.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DEFAULT_WORDS: tuple[str, ...] = (
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passcode",
    "pass_word",
    "pwd",
    "secret",
    "secrets",
    "token",
    "access_tokens",
    "auth_tokens",
    "refresh_tokens",
    "api_key",
    "api_keys",
    "apikey",
    "apikeys",
    "access_key",
    "account_key",
    "auth_key",
    "encryption_key",
    "master_key",
    "private_key",
    "secret_key",
    "session_key",
    "shared_key",
    "signing_key",
    "authorization",
    "auth",
    "authtoken",
    "bearer",
    "credential",
    "credentials",
    "cookie",
    "cookies",
    "session",
    "sessionid",
    "sessid",
    "phpsessid",
    "jwt",
    "csrf",
    "csrftoken",
    "csrfmiddlewaretoken",
    "xsrf",
    "otp",
    "totp",
    "mfa_code",
    "credit_card",
    "card_number",
    "cvc",
    "cvv",
    "ssn",
    "iban",
)
"""Words that make a name secret: lower-case parts joined by ``_``."""

DEFAULT_EXCEPTIONS: tuple[str, ...] = (
    "token_count",
    "token_counts",
    "token_limit",
    "token_length",
    "token_type",
    "token_url",
    "token_endpoint",
    "token_usage",
    "token_budget",
    "token_index",
    "token_class",
    "token_id",
    "token_ids",
    "token_kind",
    "token_position",
    "page_token",
    "next_token",
    "continuation_token",
    "sync_token",
    "cancellation_token",
    "bos_token",
    "cls_token",
    "eos_token",
    "mask_token",
    "pad_token",
    "sep_token",
    "special_token",
    "stop_token",
    "unk_token",
    "password_validators",
    "password_hashers",
    "password_length",
    "password_min_length",
    "password_max_length",
    "password_field",
    "password_reset_timeout",
    "secret_name",
    "secret_arn",
    "auth_type",
    "auth_method",
    "auth_scheme",
    "auth_url",
    "auth_backend",
    "auth_backends",
    "auth_user_model",
    "authorization_url",
    "cookie_age",
    "cookie_domain",
    "cookie_httponly",
    "cookie_name",
    "cookie_path",
    "cookie_policy",
    "cookie_samesite",
    "cookie_secure",
    "csrf_exempt",
    "session_cookie_age",
    "session_cookie_name",
    "session_count",
    "session_engine",
    "session_factory",
    "session_timeout",
)
"""Runs of parts that say nothing secret although a word is in them."""

NAME_MAX_BYTES = 256
"""A longer name is no name, as in mask.c."""


class Reason(Frozen):
    """Whether a name is secret, and what decided it."""

    secret: bool
    rule: str | None
    """The word that says so, or the exception that saved the name; None: no word."""


def split(name: str) -> str:
    """``name`` as ``_part_part_``, lower case."""
    parts = [part.translate(_LOWER) for part in _parts(name)]
    return f"_{'_'.join(parts)}_" if parts else "_"


def _parts(name: str) -> Iterator[str]:
    """The runs of ``name`` that are a word or a number: ``HTTPServer2`` has three.

    By hand: re and a pattern cost 5 ms of the start of a program that has options.
    """
    at = 0
    while at < len(name):
        start = at
        while at < len(name) and "A" <= name[at] <= "Z":
            at += 1
        capitals = at - start
        if at < len(name) and _is_small(name[at]):
            if capitals > 1:  # the last of them begins the next word
                at -= 1
            else:
                while at < len(name) and _is_small(name[at]):
                    at += 1
        elif not capitals:
            while at < len(name) and "0" <= name[at] <= "9":
                at += 1
            if at == start:  # neither letter nor digit
                at += 1
                continue
        yield name[start:at]


def _is_small(character: str) -> bool:
    """Every letter beyond ASCII counts as a small one, as in mask.c."""
    return "a" <= character <= "z" or character >= "\x80"


def explain(
    name: str,
    words: Iterable[str] = DEFAULT_WORDS,
    exceptions: Iterable[str] = DEFAULT_EXCEPTIONS,
) -> Reason:
    """Whether ``name`` is secret, as the tracer decides, and by which rule."""
    if len(name.encode("utf-8", "surrogatepass")) > NAME_MAX_BYTES:
        return Reason(False, None)
    return decide(name, words, exceptions)


def decide(name: str, words: Iterable[str], exceptions: Iterable[str]) -> Reason:
    """The same for a name that is not too long."""
    parts = split(name)
    kept = tuple(exceptions)
    saved: str | None = None
    for word in words:
        for start, end in _runs(parts, word):
            found = _excuse(parts, kept, start, end)
            if found is None:
                return Reason(True, word)
            saved = found
    return Reason(False, saved)


_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def mask_options(
    arguments: Iterable[str],
    words: Iterable[str] = DEFAULT_WORDS,
    exceptions: Iterable[str] = DEFAULT_EXCEPTIONS,
) -> list[str]:
    """Command-line ``arguments`` with ``***`` for the values of secret options.

    ``--password=x`` and ``--password x``; a value that begins with ``-`` is taken for
    the next option.
    """
    words, exceptions = tuple(words), tuple(exceptions)
    masked = []
    secret_before = False
    for argument in arguments:
        option, equals, _ = argument.partition("=")
        is_option = argument.startswith("-")
        secret = is_option and explain(option, words, exceptions).secret
        if secret and equals:
            masked.append(f"{option}=***")
        elif secret_before and not is_option:
            masked.append("***")
        else:
            masked.append(argument)
        secret_before = secret and not equals
    return masked


def _runs(parts: str, word: str) -> Iterable[tuple[int, int]]:
    """Where the whole parts ``word`` stand in ``parts``."""
    padded = f"_{word}_"
    start = parts.find(padded)
    while start >= 0:
        yield start, start + len(padded)
        start = parts.find(padded, start + 1)


def _excuse(parts: str, exceptions: Iterable[str], start: int, end: int) -> str | None:
    for exception in exceptions:
        for first, last in _runs(parts, exception):
            if first <= start and end <= last:
                return exception
    return None
