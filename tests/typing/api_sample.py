"""The public API as a program uses it: mypy --strict checks the types that it gives."""

import datetime
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, assert_type

import kolo_c
from kolo_c import reading


@kolo_c.skip
def skipped(number: int) -> str:
    return str(number)


@kolo_c.pause
def paused(number: int) -> str:
    return str(number)


@kolo_c.pause()
async def paused_too(number: int) -> str:
    return str(number)


@kolo_c.trace
def traced(number: int) -> str:
    return skipped(number)


@kolo_c.trace("named", boundary=True)
def named(number: int) -> str:
    return paused(number)


@kolo_c.skip
class Cart:
    def total(self) -> int:
        return 3


@kolo_c.plugin
class Skipping(kolo_c.Plugin):
    name = "skipping"
    watch = ("__main__:skipped", "sample:skipped")
    kind = kolo_c.Kind("skipping", "SKIP", "grey", "{number}")
    attributes = ("number",)

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        return {"number": frame.f_locals["number"]}

    def finish(
        self, frame: FrameType, value: object, exception: BaseException | None
    ) -> None:
        assert value == "1"


class Whole(kolo_c.Plugin):
    watch = "__main__:nothing"

    def finish(
        self,
        frame: FrameType,
        value: object,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> dict[str, Any]:
        return {"value": value, **started}


def write() -> None:
    with kolo_c.trace("sample") as recording:
        assert_type(recording, kolo_c.Trace)
        now = kolo_c.current()
        assert_type(now, kolo_c.CurrentTrace)
        assert_type(now.id, str | None)
        assert_type(now.name, str | None)
        assert_type(now.set(customer=42, when=datetime.date(2026, 1, 1)), bool)
        now.name = "sample of types"
        assert_type(kolo_c.note("text", value=[1]), bool)
        assert_type(traced(1), str)
        assert_type(named(2), str)
        assert_type(Cart().total(), int)
        with kolo_c.pause() as nothing:
            assert_type(nothing, None)
    assert_type(recording.trace_id, str | None)


def read() -> None:
    with kolo_c.open() as store:
        assert_type(store, reading.Store)
        assert_type(store.traces(5), list[reading.Trace])
        trace = store.traces(wanted=lambda trace: "customer" in trace.attributes)[0]
        assert_type(trace.attributes, dict[str, Any])
        assert_type(trace.started_at, datetime.datetime)
        assert_type(trace.threads, list[reading.Thread])
        assert_type(trace.calls("traced"), reading.Calls)
        assert_type(trace.calls("traced").first(), reading.Call | None)
        assert_type(trace.notes(), Iterator[reading.Note])
        assert_type(trace.records(), Iterator[reading.Record])
        for call in trace.calls(function="traced"):
            assert_type(call, reading.Call)
            assert_type(call.arguments, dict[str, Any])
            assert_type(call.duration_ns, int | None)
            assert_type(call.exception, reading.Raised | None)
            assert_type(call.parent, reading.Call | None)
            assert_type(call.children, reading.Calls)
            assert_type(call.source, reading.Source | None)
            value = call.arguments["number"]
            if isinstance(value, (kolo_c.Truncated, kolo_c.Masked)):
                assert_type(value.length, int | None)
            elif isinstance(value, kolo_c.Instance):
                assert_type(value.type, str)
                assert_type(value.fields, dict[str, Any])
    try:
        kolo_c.open("/nowhere")
    except kolo_c.KoloError as error:
        assert_type(error.hint, str)


if __name__ == "__main__":
    write()
    read()
    print("done")
