"""Times, sizes and numbers for a person.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.errors import harmless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.store.trace import Trace

_TIMES = ((1_000, 1, "ns"), (1_000_000, 1_000, "µs"), (1_000_000_000, 1_000_000, "ms"))
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
_SECOND_NS = 1_000_000_000
_SCALES = {
    "ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 1_000_000, "s": _SECOND_NS,
    "m": 60 * _SECOND_NS, "min": 60 * _SECOND_NS, "h": 3600 * _SECOND_NS,
}  # fmt: skip


def short_id(trace_id: str) -> str:
    """The end of a trace's name: enough to be the only one, and commands take any."""
    return harmless(trace_id)[-5:]


def offered(command: str, trace: Trace) -> str:
    """``kolo-c show`` as it is typed for this trace, which may be in a file."""
    if not trace.file:
        return f"kolo-c {command}"
    import shlex  # noqa: PLC0415 - seldom needed

    return f"kolo-c {command} --db {harmless(shlex.quote(trace.file))}"


def duration(ns: int | None) -> str:
    """``1.2 ms``; empty where it is not known."""
    if ns is None:
        return ""
    for limit, unit, name in _TIMES:
        if ns < limit:
            return f"{ns} ns" if unit == 1 else f"{_three_digits(ns / unit)} {name}"
    seconds = ns / _SECOND_NS
    if seconds < 60:
        return f"{_three_digits(seconds)} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min"


def spread(low: int, middle: int, high: int) -> str:
    """``1.2–3.4–90 µs``: a unit that all share is written once."""
    texts = [duration(ns) for ns in (low, middle, high)]
    units = {text.rpartition(" ")[2] for text in texts}
    if len(units) == 1 and all(text.count(" ") == 1 for text in texts):
        unit = units.pop()
        return "–".join(text.rpartition(" ")[0] for text in texts) + f" {unit}"
    return " – ".join(texts)


def size(count: int) -> str:
    """``3.4 MiB``."""
    amount = float(count)
    for name in _SIZES:
        if amount < 1024 or name == _SIZES[-1]:
            break
        amount /= 1024
    return f"{count} B" if name == "B" else f"{_three_digits(amount)} {name}"


def age(started_utc_ns: int, now_ns: int) -> str:
    """``3 min ago``."""
    seconds = (now_ns - started_utc_ns) // _SECOND_NS
    if seconds < 0:
        return "in the future"
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name} ago"
    return f"{seconds} s ago"


def moment(utc_ns: int) -> str:
    """Date and time of day, as the clock on this machine's wall had them."""
    import datetime  # noqa: PLC0415 - completion needs numbers, but no dates

    try:
        when = datetime.datetime.fromtimestamp(utc_ns / _SECOND_NS)
    except (OverflowError, ValueError, OSError):
        return "at an unknown time"
    return when.strftime("%Y-%m-%d %H:%M:%S")


def read_duration(text: str) -> int | None:
    """``1ms``, ``0.5 s``, ``2min`` in nanoseconds; None where it is not one."""
    text = text.strip()
    unit = text.lstrip("0123456789._")
    number = text[: len(text) - len(unit)]
    scale = _SCALES.get(unit.strip().lower())
    try:
        amount = float(number)
    except ValueError:
        return None
    return None if scale is None else round(amount * scale)


def plural(count: int, noun: str) -> str:
    """``1 call``, ``2,000 calls``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _three_digits(amount: float) -> str:
    if amount >= 99.95:
        return f"{amount:,.0f}"
    return f"{amount:.1f}" if amount >= 9.995 else f"{amount:.2f}"
