"""``kolo-c doctor --trace``: what one trace lacks, why, and what to change.

Threads: one at a time. Owns: nothing. Fails: never; what cannot be read is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator

from kolo_c.cli.doctor_plugins import plugin_findings
from kolo_c.cli.empty import LOST
from kolo_c.cli.findings import INFO, OK, PROBLEM, WARNING, Finding
from kolo_c.cli.header import problems
from kolo_c.cli.units import duration, offered, plural, size
from kolo_c.errors import harmless
from kolo_c.store.process import INTERRUPTED, RUNNING
from kolo_c.store.reader import Trace

# Of the duration of a trace that is not short: above it, look what is called so often.
_HIGH_COST = 0.25
_SHORT_NS = 50_000_000
_SETTINGS = "docs/reference/config.md"


def trace_findings(trace: Trace) -> Iterator[Finding]:
    """What was looked at, most of it about what is not in the trace."""
    yield from _end(trace)
    yield from _kept(trace)
    yield from _missing(trace)
    yield from _cost(trace)
    yield from plugin_findings(trace)
    yield _process(trace)
    yield from _read(trace)


def _end(trace: Trace) -> Iterator[Finding]:
    info = trace.info
    name = harmless(info.row.name) or info.row.kind
    if info.status == RUNNING:
        yield Finding(OK, "trace", f"{name} is running; what is there can be read")
    elif info.status == INTERRUPTED:
        cause = info.row.cause
        why = "" if cause in (None, INTERRUPTED) else f" ({harmless(str(cause))})"
        yield Finding(
            WARNING,
            "trace",
            f"{name} was interrupted: its process ended without closing it{why}",
            f"{offered('why', trace)} {info.id[-6:]} shows the calls that were open.",
        )
    else:
        cause = info.row.cause
        why = "" if cause in (None, "", "exit") else f", cause: {harmless(str(cause))}"
        yield Finding(OK, "trace", f"{name} is complete{why}")


def _kept(trace: Trace) -> Iterator[Finding]:
    info = trace.info
    if not info.missing:
        yield Finding(
            OK if info.calls else WARNING,
            "kept",
            f"{plural(info.calls, 'call')} of "
            f"{plural(info.count('kept'), 'function')}, {size(info.bytes)}",
            "" if info.calls else "kolo-c explain FILE says which rule decides.",
        )
    skipped = info.count("skipped")
    if skipped:
        yield Finding(
            INFO,
            "skipped",
            f"{plural(skipped, 'function')} that ran: libraries, and what the settings "
            "ignore",
            "kolo-c explain FILE says why one was; include_frames keeps more.",
        )
    for name, what, hint in (
        (
            "masked",
            "values under a name, or of a shape, that says secret",
            "kolo-c explain --mask NAME says why; mask_exceptions keeps a name.",
        ),
        (
            "truncated",
            "values that were larger than their budget",
            "depth, items, text_bytes and record_bytes are the budgets.",
        ),
    ):
        if info.count(name):
            yield Finding(INFO, name, f"{info.count(name):,} {what}", hint)


def _missing(trace: Trace) -> Iterator[Finding]:
    info = trace.info
    lost = info.count("lost")
    if lost:
        yield Finding(
            PROBLEM,
            "lost",
            f"{plural(lost, 'record')}; marks in the trace say where",
            'overflow = "wait" with a larger wait_max loses less; ignoring the '
            "function that is called most often (kolo-c ignore) helps most.",
        )
    elif info.missing:
        yield Finding(
            PROBLEM,
            "lost",
            f"{plural(info.missing, 'call')} {LOST}",
            "kolo-c doctor --store says where damaged files are kept.",
        )
    else:
        yield Finding(OK, "lost", "no records")
    if info.count("values_off"):
        yield Finding(
            WARNING,
            "limit",
            "the trace reached max_trace_bytes: values, then busy functions, were "
            "left out",
            f"Raise max_trace_bytes, or record less ({_SETTINGS}).",
        )
    if info.count("blind"):
        yield Finding(
            WARNING,
            "blind",
            "another profiler took the tracer's place for a while; a mark says from "
            "when to when",
            "Run without it: coverage, cProfile and the like.",
        )
    if info.count("errors"):
        yield Finding(
            PROBLEM,
            "errors",
            f"{plural(info.count('errors'), 'error')} of kolo_c's own",
            "kolo_c.log beside the segments has the first of each.",
        )


def _cost(trace: Trace) -> Iterator[Finding]:
    info = trace.info
    own, whole = info.count("own_ns"), info.duration_ns
    if own:
        share = f", {own / whole:.1%} of its duration" if whole else ""
        high = whole > _SHORT_NS and own / whole > _HIGH_COST
        yield Finding(
            WARNING if high else OK,
            "cost",
            f"{duration(own)} of the program's time{share}",
            "kolo-c show --depth 2 says what is called most; kolo-c ignore leaves it "
            "out." * high,
        )
    if info.count("writer_ns"):
        text = f"{duration(info.count('writer_ns'))} of CPU, in a thread of its own"
        yield Finding(OK, "writer", text)
    waited = info.count("waited_ns")
    if waited:
        yield Finding(
            WARNING,
            "waited",
            f"the program was held for {duration(waited)}: the disk was slower",
            'A faster disk (KOLO_C_PATH), or overflow = "drop".',
        )


def _process(trace: Trace) -> Finding:
    info = trace.process.info
    text = (
        f"kolo_c {info.get('kolo_c', '?')}, core {info.get('core', '?')}, hook "
        f"{info.get('hook', '?')}, Python {info.get('python', '?')}, pid "
        f"{trace.process.pid} on {info.get('host', '?')}"
    )
    return Finding(OK, "process", harmless(text))


def _read(trace: Trace) -> Iterator[Finding]:
    at_end = trace.info.attributes.get("problems")
    texts = at_end if isinstance(at_end, list) else []
    for text in dict.fromkeys([*problems(trace), *map(str, texts)]):
        yield Finding(WARNING, "problem", harmless(text))
