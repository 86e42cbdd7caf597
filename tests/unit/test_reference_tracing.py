"""The tracing part of the Python core, piece by piece."""

from __future__ import annotations

import gc
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from kolo_c.reference import code as codes
from kolo_c.reference import filter as filters
from kolo_c.reference import profile_event, verdict
from kolo_c.reference.code import Code, CodeRules
from kolo_c.reference.mask import Mask
from kolo_c.reference.plugin_match import Plugins
from kolo_c.reference.stack import Entry, Waiting, WaitingTable
from kolo_c.reference.value_state import Limits, Options

MASK = Mask(["password"], [])


def rules(**changes):
    found = CodeRules(Options(Limits()))
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def about(function, **changes):
    return Code(function.__code__, 1, rules(**changes), MASK)


def test_arguments_come_first_among_the_slots_in_the_order_of_the_code():
    def f(a, /, b, *rest, password, e=5, **more):
        local = a
        return lambda: local

    found = about(f)
    names = [slot.name for slot in found.slots]
    assert names[: found.argument_count] == [
        "a", "b", "password", "e", "rest", "more",
    ]  # fmt: skip
    assert names[-1] == "local"
    secret = [s.name for s in found.slots if s.flags & codes.ARGUMENT_SECRET]
    assert secret == ["password"]


def test_names_of_a_rule_are_secret_in_its_function_and_a_star_is_all_of_it():
    def f(a, b):
        pass

    found = about(f, secret_names=("b",))
    assert [slot.flags for slot in found.slots] == [0, codes.ARGUMENT_SECRET]
    assert not found.secret
    assert about(f, secret_names=("*",)).secret


def test_self_and_cls_are_told_by_name():
    def method(self):
        pass

    def of_class(cls):
        pass

    def plain(me, self):
        pass

    def only_rest(*self):
        pass

    kinds = [codes.self_kind(f.__code__) for f in (method, of_class, plain, only_rest)]
    assert kinds == [1, 2, 0, 0]


def test_a_generator_has_instructions_that_yield_and_one_that_returns():
    def gen():
        yield 1
        return 2

    found = about(gen)
    assert found.suspends
    assert any(exit & codes.EXIT_YIELD for exit in found.exits)
    assert any(exit & codes.EXIT_RETURN for exit in found.exits)
    assert found.exit_at(-1) == found.exit_at(len(found.exits)) == codes.EXIT_OTHER
    assert found.is_fresh(-1)


def test_a_suspended_frame_stands_where_it_yields():
    def gen():
        yield 1

    steps = gen()
    frame = steps.gi_frame
    if not codes.REPORTS_UNSTARTED:
        assert about(gen).is_fresh(codes.lasti_of(frame))
    next(steps)
    found = about(gen)
    assert found.exit_at(codes.lasti_of(frame)) & codes.EXIT_YIELD
    assert not found.is_fresh(codes.lasti_of(frame))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 has no exception table")
def test_what_is_thrown_at_a_yield_is_handled_by_except_and_finally_and_not_by_with():
    def bare():
        yield

    def excepts():
        try:
            yield
        except ValueError:
            pass

    def finishes():
        try:
            yield
        finally:
            print()

    def manages(block):
        with block:
            yield

    found = []
    for steps in (bare(), excepts(), finishes(), manages(nullcontext())):
        next(steps)
        frame = steps.gi_frame
        found.append(profile_event._is_handled(frame, codes.lasti_of(frame)))
        del frame
    assert found == [False, True, True, False]


def entry(frame, code, *, foreign=0):
    stream = SimpleNamespace(trace=SimpleNamespace(number=7))
    made = Entry(stream, 10, frame, code)
    made.open.node = 5
    made.foreign, made.foreign_thread = bool(foreign), foreign
    return made


def test_a_generator_that_waits_is_taken_once_and_only_by_its_own_code():
    def gen():
        yield

    def other():
        yield

    steps = gen()
    code = about(gen)
    table = WaitingTable()
    assert table.add(
        Waiting(entry(steps.gi_frame, code), 2, paused=False, switched=False)
    )
    waiting = table.borrow(steps.gi_frame, code)
    assert (waiting.trace_number, waiting.thread_number, waiting.node) == (7, 2, 5)
    assert table.borrow(steps.gi_frame, about(other)) is None
    assert table.take(steps.gi_frame, code) is waiting
    assert table.take(steps.gi_frame, code) is None
    table.add(waiting)
    assert table.take(steps.gi_frame, about(other)) is None
    assert not table.slots, "its frame's address is somebody else's now"


def test_a_generator_that_another_thread_began_stays_that_threads():
    def gen():
        yield

    waiting = Waiting(
        entry(gen().gi_frame, about(gen), foreign=3), 2, paused=False, switched=False
    )
    assert waiting.thread_number == 3


def test_rules_are_read_and_numbers_bounded():
    found = rules()
    filters.read_rules(
        {"values": 0, "locals": 2, "items": 1 << 40, "shallow": True, "mask": ("a",)},
        found,
    )
    assert (found.values, found.locals, found.max_depth) == (False, 2, 0)
    assert found.has_options and found.options.limits.items == 0xFFFFFFFF
    assert found.secret_names == ("a",)
    with pytest.raises(OverflowError, match="depth"):
        filters.read_rules({"depth": -1}, rules())
    with pytest.raises(TypeError, match="items"):
        filters.read_rules({"items": "many"}, rules())


def asking(decide, decide_file):
    said = []
    return SimpleNamespace(
        default_rules=rules(), skipped_codes={}, kept_codes={}, files={}, generation=1,
        decide=decide, decide_file=decide_file, filter_error_count=0, filter_error="",
        session=SimpleNamespace(error=said.append), said=said, plugins=Plugins(),
    )  # fmt: skip


def decide(tracer):
    frame = sys._getframe()
    return filters.decide(tracer, frame, frame.f_code)


def test_a_file_is_asked_once_and_decides_unless_it_says_none():
    asked = []

    def decide_file(path):
        asked.append(path)
        return False

    tracer = asking(None, decide_file)
    assert not decide(tracer).keep_bits and not decide(tracer).keep_bits
    assert asked == [__file__]
    tracer = asking(lambda code, path, module, name: {"locals": 0}, lambda path: None)
    decision = decide(tracer)
    assert decision.keep_bits and decision.rules.locals == 0
    assert (decision.module, decision.qualname) == (__name__, "decide")


def test_a_filter_that_raises_keeps_nothing_and_is_reported_once():
    def fails(path):
        raise ValueError("broken rule")

    tracer = asking(None, fails)
    assert not decide(tracer).keep_bits and not decide(tracer).keep_bits
    assert tracer.said == ["the filter raised ValueError: broken rule"]
    assert tracer.filter_error_count == 2


def test_an_interrupt_in_the_filter_is_the_programs():
    def struck(path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decide(asking(None, struck))


def test_a_verdict_dies_with_its_code_object_and_is_made_again_under_other_filters():
    tracer = SimpleNamespace(verdicts={}, generation=1)
    code = compile("1", "made", "eval")
    verdict._remember(tracer, code, verdict.Verdict(1, code))
    assert verdict.probe(tracer, code) is not None
    tracer.generation = 2
    assert verdict.probe(tracer, code) is None
    del code
    gc.collect()
    assert tracer.verdicts == {}


def test_methods_have_their_class_in_their_name_and_modules_are_known():
    class Box:
        def get(self):
            return codes.code_names(sys._getframe().f_code, sys._getframe())

        @classmethod
        def make(cls):
            return codes.code_names(sys._getframe().f_code, sys._getframe())

    module, name = Box().get()
    assert module == __name__ and name.endswith("Box.get")
    assert Box.make()[1].endswith("Box.make")
