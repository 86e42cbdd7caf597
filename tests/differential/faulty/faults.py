"""Mistakes that a core could have, one function each: it makes the Python core have it.

``kolo-c validate`` has to find every one. Nothing here is ever imported by kolo_c.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any

from kolo_c.reference import (
    capture,
    capture_mark,
    capture_record,
    capture_said,
    clock,
    code,
    definitions,
    definitions_traces,
    session_traces,
    tracer,
    unknown,
    value,
    value_number,
    value_object,
    value_secret,
    value_text,
    wire,
)
from kolo_c.reference.stream import Stream
from kolo_c.wire import Kind, Tag

FAULTS: dict[str, Callable[[], None]] = {}


def fault(function: Callable[[], None]) -> Callable[[], None]:
    """Register it under its name."""
    FAULTS[function.__name__] = function
    return function


def instead(owner: Any, name: str) -> Callable[[Callable[..., Any]], None]:
    """Replace ``owner.name`` by the decorated function, which gets it as the first
    argument."""

    def replace(function: Callable[..., Any]) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def faulty(*arguments: Any, **named: Any) -> Any:
            return function(original, *arguments, **named)

        setattr(owner, name, faulty)

    return replace


# ---- calls: arguments, places, nodes ----


@fault
def arguments_are_swapped() -> None:
    @instead(capture, "_write_slots")
    def _(original, values, cursor, found, code, slots):
        original(values, cursor, found, code, reversed(list(slots)))


@fault
def the_site_is_one_instruction_off() -> None:
    @instead(capture_record, "offset_of")
    def _(original, frame):
        return original(frame) + 1


@fault
def the_site_of_an_outer_caller() -> None:
    @instead(capture, "write_site")
    def _(original, cursor, thread, entry):
        if len(thread.stack) > 2 and thread.stack[0].frame is not None:
            cursor.uint(capture_record.offset_of(thread.stack[0].frame))
        else:
            original(cursor, thread, entry)


@fault
def a_node_has_a_wrong_number() -> None:
    @instead(Stream, "commit_node")
    def _(original, self, cursor, now_ns):
        node = original(self, cursor, now_ns)
        if node == 7:
            self.next_node += 1
        return node


@fault
def self_is_written_with_its_fields() -> None:
    @instead(value.Values, "write_ref")
    def _(original, self, cursor, what):
        self.write(cursor, what)


# ---- how calls end and go on ----


@fault
def a_resume_is_missing() -> None:
    def resume(thread, entry, waiting, now_ns):
        stream = entry.stream.stream
        entry.open = stream.pushed(waiting.node)
        entry.foreign = waiting.thread_number != thread.number
        entry.foreign_thread = waiting.thread_number
        entry.began = waiting.began
        return True

    capture.resume = resume


@fault
def a_throw_is_a_resume() -> None:
    @instead(capture, "throw")
    def _(original, thread, entry, waiting, exception, now_ns):
        return capture.resume(thread, entry, waiting, now_ns)


@fault
def a_resume_names_no_thread() -> None:
    @instead(capture, "_again")
    def _(original, capture_, waiting, rest):
        number = waiting.thread_number
        waiting.thread_number = capture_.thread.number
        try:
            return original(capture_, waiting, rest)
        finally:
            waiting.thread_number = number


@fault
def a_yield_is_a_return() -> None:
    @instead(capture, "yield_")
    def _(original, thread, entry, what, now_ns):
        return capture.return_(thread, entry, what, now_ns)


@fault
def a_return_has_no_value() -> None:
    @instead(capture, "return_")
    def _(original, thread, entry, what, now_ns):
        return original(thread, entry, None, now_ns)


@fault
def an_exception_is_a_return() -> None:
    @instead(capture, "raise_")
    def _(original, thread, entry, exception, now_ns):
        return capture.return_(thread, entry, None, now_ns)


@fault
def what_is_caught_is_missing() -> None:
    capture.caught = lambda thread, entry, exception, at, now_ns: True


@fault
def the_handler_that_caught_it_is_one_instruction_off() -> None:
    @instead(capture, "caught")
    def _(original, thread, entry, exception, at, now_ns):
        return original(thread, entry, exception, at + 1 if at >= 0 else at, now_ns)


@fault
def what_was_caught_never_goes_on() -> None:
    code.EXIT_CLEANUP = tracer.EXIT_CLEANUP = -1


@fault
def locals_are_missing_where_an_exception_leaves() -> None:
    @instead(capture, "_local_count")
    def _(original, entry, least):
        return 0

    capture._write_locals = lambda values, cursor, entry: None


@fault
def an_exception_lost_its_args() -> None:
    value_object._args_of = lambda exception: ()


@fault
def what_led_to_an_exception_is_cut() -> None:
    # Where the interpreter tells the exception at once, at the exceptions themselves.
    unknown.CHAIN_MOST = 1

    @instead(capture, "raise_")
    def _(original, thread, entry, exception, now_ns):
        outer = getattr(exception, "__cause__", None) or exception
        return original(thread, entry, outer, now_ns)


@fault
def a_region_ends_well_that_failed() -> None:
    @instead(capture_said, "region_end")
    def _(original, thread, entry, exception, now_ns):
        return original(thread, entry, None, now_ns)


@fault
def a_note_has_no_values() -> None:
    @instead(capture_said, "note")
    def _(original, thread, stream, text, given, now_ns):
        return original(thread, stream, text, None, now_ns)


@fault
def a_task_is_missing() -> None:
    def task(thread, stream, now_ns):
        stream.task = thread.task
        return True

    capture_mark.task = task


@fault
def a_task_has_the_name_of_its_coroutine() -> None:
    @instead(definitions_traces.TraceDefinitions, "task")
    def _(original, self, name, qualname):
        return original(self, qualname, qualname)


# ---- values ----


@fault
def the_mark_of_a_cut_text_is_lost() -> None:
    @instead(value_text, "_write")
    def _(original, values, cursor, data, have, keep, *, total, whole, binary=False):
        rest = {"total": total, "binary": binary}
        original(values, cursor, data[:keep], keep, keep, whole=True, **rest)
        if not whole:
            values.count_truncated(cursor)


@fault
def a_cut_list_says_it_is_shorter() -> None:
    @instead(value, "_open")
    def _(original, cursor, tag, count, elements, total):
        original(cursor, tag, count, elements, total - (count < total and total > 60))


@fault
def values_are_one_deeper() -> None:
    @instead(value.Values, "begin_record")
    def _(original, self, cursor, options=None, trace=None):
        original(self, cursor, options, trace)
        cursor.record.depth_limit += 1


@fault
def a_secret_is_not_masked() -> None:
    value_secret.is_name = lambda values, name: False
    code.ARGUMENT_SECRET = 0

    @instead(value.Values, "write_secret")
    def _(original, self, cursor, what):
        self.write(cursor, what)


@fault
def a_secret_is_masked_only_where_it_has_a_name() -> None:
    value_secret.is_known = lambda values, text, length: False


@fault
def a_mask_says_a_wrong_length() -> None:
    @instead(value_secret, "masked")
    def _(original, values, cursor, length):
        original(values, cursor, length and length + 1)


@fault
def truth_is_a_number() -> None:
    wire.TRUE = b"\x01"


@fault
def a_float_is_short() -> None:
    wire.pack_double = lambda number: b"\xca" + struct.pack(">f", number)


@fault
def a_big_number_lost_its_sign() -> None:
    @instead(value_number, "_write_big")
    def _(original, values, cursor, owner, number):
        original(values, cursor, owner, abs(number))


@fault
def a_set_is_frozen() -> None:
    @instead(value.Values, "set")
    def _(original, self, cursor, what, frozen):
        tags = wire.TAGS
        wire.TAGS = (*tags[: Tag.SET], tags[Tag.FROZENSET], *tags[Tag.SET + 1 :])
        try:
            original(self, cursor, what, frozen)
        finally:
            wire.TAGS = tags


@fault
def a_dict_is_backwards() -> None:
    @instead(value, "_some_of")
    def _(original, items, count, live):
        return list(original(items, count, live))[::-1]


@fault
def every_object_is_the_same_one() -> None:
    value.Values.address = lambda self, cursor, what: cursor.uint(0x7F0000000000)


@fault
def a_type_has_another_module() -> None:
    @instead(definitions, "_fill_type")
    def _(original, cursor, type):
        cursor.text("elsewhere")
        cursor.text(type.__qualname__)


@fault
def numbers_take_more_bytes_than_they_need() -> None:
    @instead(wire, "pack_array")
    def _(original, count):
        return b"\xdc" + count.to_bytes(2, "big")


# ---- times, blocks, definitions, rows ----


@fault
def a_time_is_off_by_one() -> None:
    @instead(clock, "after")
    def _(original, last_ns, now_ns):
        return original(last_ns, now_ns) + (last_ns == 20)


@fault
def a_block_begins_too_late() -> None:
    @instead(Stream, "give_block")
    def _(original, self, block, kind, now_ns):
        original(self, block, kind, now_ns)
        block.base_ns += block.sequence != 0


@fault
def a_block_starts_too_deep() -> None:
    @instead(Stream, "give_block")
    def _(original, self, block, kind, now_ns):
        original(self, block, kind, now_ns)
        block.start_depth += block.sequence != 0


@fault
def a_block_lost_its_opens() -> None:
    @instead(Stream, "take_block")
    def _(original, self, opens, definition):
        return original(self, opens and opens[:1], definition)


@fault
def what_a_block_closes_is_not_told() -> None:
    @instead(Stream, "commit_pop")
    def _(original, self, cursor, opened, began, kind, now_ns):
        original(self, cursor, opened, self.block.sequence, kind, now_ns)


@fault
def a_block_was_never_less_deep() -> None:
    @instead(Stream, "popped")
    def _(original, self, opened):
        least = self.block.least_depth
        original(self, opened)
        self.block.least_depth = least


@fault
def a_block_needs_fewer_definitions_than_it_has() -> None:
    @instead(Stream, "take_block")
    def _(original, self, opens, definition):
        return original(self, opens, definition and 1)


@fault
def a_record_is_written_twice() -> None:
    @instead(Stream, "commit")
    def _(original, self, cursor, now_ns):
        original(self, cursor, now_ns)
        if self.next_node == 5 and cursor.data[1] == Kind.RETURN:
            original(self, cursor, now_ns)


@fault
def definitions_are_swapped() -> None:
    @instead(definitions, "slot_names")
    def _(original, code):
        names = list(original(code))
        names[:2] = names[1::-1] if len(names) > 1 else names[:2]
        return names


@fault
def a_function_begins_a_line_later() -> None:
    @instead(definitions, "_fill_code")
    def _(original, cursor, facts):
        class Later:
            def __getattr__(self, name):
                found = getattr(facts.code, name)
                return found + 1 if name == "co_firstlineno" else found

        class Facts:
            code = Later()

            def __getattr__(self, name):
                return getattr(facts, name)

        original(cursor, Facts())


@fault
def a_thread_has_no_name() -> None:
    @instead(definitions_traces.TraceDefinitions, "thread")
    def _(original, self, thread_number, name, ident, native_id):
        return original(self, thread_number, None, ident, native_id)


@fault
def a_call_is_not_counted() -> None:
    @instead(session_traces, "_counters")
    def _(original, session, trace):
        trace.call_count -= 1
        return original(session, trace)


@fault
def a_trace_ends_with_another_cause() -> None:
    @instead(definitions_traces.TraceDefinitions, "trace_end")
    def _(original, self, trace, ended_ns, cause, counters):
        return original(self, trace, ended_ns, f"{cause}?", counters)
