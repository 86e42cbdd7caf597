"""Other profilers: one that is there before, one that comes later, and tracers beside."""

from __future__ import annotations

import sys

import pytest

from tests.spec.pypy import not_on_pypy
from tests.spec.tracing import expected


@not_on_pypy(
    "nobody is told that a profile function is set; it is taken away before the end"
)
@pytest.mark.hooks("setprofile")
def test_sys_setprofile_in_the_middle_takes_our_place_and_is_marked(trace):
    traced = trace(
        """
        import sys, time
        def f(n): return n
        seen = []
        f(1)
        sys.setprofile(lambda frame, event, arg: seen.append((event, frame.f_code.co_name)))
        f(2)
        sys.setprofile(None)
        f(3)
        print(('call', 'f') in seen, ('return', 'f') in seen)
        """,
        clean=False,
    )
    assert traced.stdout == "True True\n"
    lines = traced.calls().splitlines()
    assert lines[0] == "f(n=1) -> 1"
    problems = traced.trace().info.attributes["problems"]
    assert any("profiler" in problem for problem in problems)


def test_a_profiler_that_stays_keeps_working_to_the_end(trace):
    traced = trace(
        """
        import atexit, sys
        count = 0
        def profiler(frame, event, arg):
            global count
            if event == 'call' and frame.f_code.co_name == 'f':
                count += 1
        def f(): pass
        f()
        sys.setprofile(profiler)
        for _ in range(10): f()
        print(count, sys.getprofile() is profiler)
        """,
        clean=False,
    )
    assert traced.stdout == "10 True\n"
    assert traced.trace().info.status == "complete"
    assert "f() -> None" in traced.calls()


@not_on_pypy(
    "nobody is told that a profile function is set; it is taken away before the end"
)
@pytest.mark.hooks("setprofile")
def test_a_profiler_that_wraps_a_part_leaves_a_blind_mark_behind(trace):
    """When ours is put back, what it missed stands in the stream, with how long."""
    traced = trace(
        """
        import sys, threading, time
        def f(n): return n
        def part():
            previous = sys.getprofile()
            sys.setprofile(lambda *_: None)
            f(2)
            time.sleep(0.01)
            sys.setprofile(previous)
        f(1)
        part()
        f(3)
        """,
        clean=False,
    )
    text = traced.calls()
    assert "f(n=1) -> 1" in text
    assert "f(n=2)" not in text
    assert traced.trace().info.count("blind") or "mark blind" in text


@not_on_pypy("nobody is told that a profile function is set")
@pytest.mark.hooks("setprofile")
def test_boundaries_of_threads_that_end_beside_a_profiler_end_with_them(trace):
    """A trace that stays open takes one of 256 places."""
    traced = trace(
        """
        import sys, threading
        def view():
            sys.setprofile(None)
        for _ in range(300):
            thread = threading.Thread(target=view)
            thread.start()
            thread.join()
        """,
        config={"rules": [{"match": "qualname:view", "boundary": True}]},
        clean=False,
    )
    infos = traced.infos()
    assert len(infos) == 301
    assert sum(info.row.cause == "exit" for info in infos) > 280


def test_sys_getprofile_does_not_crash_while_recording(trace):
    traced = trace(
        """
        import sys
        def f(): return sys.getprofile()
        print(type(f()).__name__)
        """
    )
    assert traced.stdout.strip()
    assert "f() -> " in traced.calls()


def test_sys_settrace_works_beside_us(trace):
    traced = trace(
        """
        import sys
        lines = []
        def tracer(frame, event, arg):
            lines.append((event, frame.f_code.co_name))
            return tracer
        def f(n):
            m = n + 1
            return m
        sys.settrace(tracer)
        f(1)
        sys.settrace(None)
        f(2)
        print(lines.count(('line', 'f')), lines.count(('call', 'f')))
        """
    )
    assert traced.stdout == "2 1\n"
    calls = [line for line in traced.calls().splitlines() if line.startswith("f(")]
    assert calls == ["f(n=1) -> 2", "f(n=2) -> 3"]


def test_cprofile_in_the_program_works(trace):
    """From 3.12 on it does not use the profile function; before, it takes our place."""
    traced = trace(
        """
        import cProfile, io, pstats
        def f(n): return n
        profile = cProfile.Profile()
        profile.enable()
        for n in range(5): f(n)
        profile.disable()
        stats = pstats.Stats(profile, stream=io.StringIO())
        print([c[0] for (_, _, name), c in stats.stats.items() if name == 'f'])
        """,
        clean=False,
    )
    assert traced.stdout == "[5]\n"
    if sys.version_info >= (3, 12):
        assert traced.calls().count("f(n=") == 5


@not_on_pypy(
    "nobody is told that a profile function is set; it is taken away before the end"
)
@pytest.mark.hooks("setprofile")
def test_calls_that_still_run_after_a_blind_time_go_on(trace):
    """Their frames are there still; only what began in between is not known."""
    traced = trace(
        """
        import sys
        def f(n): return n
        def go():
            f(1)
            sys.setprofile(lambda *_: None)
            f(2)
            sys.setprofile(None)
            f(3)
            return 'went on'
        go()
        """,
        clean=False,
    )
    lines = traced.whole().splitlines()
    assert lines[:3] == [
        "<module>() -> None",
        "  go() -> 'went on'",
        "    f(n=1) -> 1",
    ]
    assert lines[3].startswith("    mark blind(")
    assert lines[4:] == ["    f(n=3) -> 3"]


@not_on_pypy(
    "nobody is told that a profile function is set; it is taken away before the end"
)
@pytest.mark.hooks("setprofile")
def test_a_rule_of_a_call_that_still_runs_holds_after_a_blind_time(trace):
    """What is below a shallow call was recorded from then on."""
    traced = trace(
        """
        import sys
        def f(n): return n
        def shallow():
            f(1)
            sys.setprofile(lambda *_: None)
            sys.setprofile(None)
            f(2), f(3)
        shallow()
        f(4)
        """,
        config={"rules": [{"match": "qualname:shallow", "shallow": True}]},
        clean=False,
    )
    lines = [line.strip() for line in traced.whole().splitlines()]
    assert [line for line in lines if not line.startswith("mark blind(")] == [
        "<module>() -> None",
        "shallow() -> None",
        "f(n=4) -> 4",
    ]
    assert len(lines) > 3


@pytest.mark.hooks("setprofile")
@pytest.mark.parametrize(
    "install", ["sys.setprofile(profiler)", "cProfile.Profile().enable()"]
)
def test_a_profiler_that_is_there_already_is_named_and_left_alone(trace, install):
    if "cProfile" in install and sys.version_info >= (3, 12):
        pytest.skip("cProfile uses sys.monitoring there, and both work")
    traced = trace(
        f"""
        import cProfile, sys, kolo_c
        def profiler(*_): pass
        {install}
        before = sys.getprofile()
        try:
            kolo_c.trace('x').start()
        except kolo_c.KoloError as error:
            print('refused:', error)
        assert sys.getprofile() is before
        """,
        under=(),
    )
    assert traced.stdout.startswith("refused:")
    named = "(profiler)" if "setprofile" in install else "cProfile"
    assert named in traced.stdout


def test_what_was_there_is_back_after_tracing(trace):
    traced = trace(
        """
        import sys, threading, kolo_c
        assert sys.getprofile() is None
        with kolo_c.trace('x'):
            pass
        assert sys.getprofile() is None
        assert getattr(threading, '_profile_hook', None) is None
        print('clean')
        """,
        under=(),
    )
    assert traced.stdout == "clean\n"


def test_tracing_again_in_the_same_process(trace):
    traced = trace(
        """
        import kolo_c
        def f(n): return n
        for n in range(3):
            with kolo_c.trace(f'trace {n}'):
                f(n)
            f(-1)
        """,
        under=(),
    )
    assert [info.row.name for info in traced.infos()] == [
        "trace 0",
        "trace 1",
        "trace 2",
    ]
    assert [traced.whole(n).splitlines()[-1].strip() for n in range(3)] == [
        f"f(n={n}) -> {n}" for n in range(3)
    ]


def test_frames_that_run_when_tracing_begins_are_not_ended_by_their_returns(trace):
    traced = trace(
        """
        import kolo_c
        recording = kolo_c.trace('middle')
        def f(n): return n
        def inner():
            recording.start()
            f(1)
            return 'inner'
        def outer():
            inner()
            f(2)
            recording.stop()
            f(3)
        outer()
        """,
        under=(),
    )
    assert traced.whole() == expected(
        """
        f(n=1) -> 1
        f(n=2) -> 2
        """
    )


def test_a_generator_that_began_before_tracing_is_entered_in_its_middle(trace):
    traced = trace(
        """
        import kolo_c
        def f(n): return n
        def gen(secret):
            yield 1
            f(2)
            yield 2
        g = gen('before')
        next(g)
        with kolo_c.trace('middle'):
            next(g)
            next(g, None)
        """,
        under=(),
    )
    assert traced.whole() == expected(
        """
        gen(…) yields 2 -> None
          f(n=2) -> 2
        """
    )


def test_calls_that_are_open_when_tracing_ends_stay_open(trace):
    traced = trace(
        """
        import kolo_c
        recording = kolo_c.trace('middle')
        def f(n): return n
        def stops():
            f(1)
            recording.stop()
            f(2)
            return 'never seen'
        recording.start()
        stops()
        """,
        under=(),
    )
    assert traced.whole() == expected(
        """
        stops() open
          f(n=1) -> 1
        """
    )


def test_another_monitoring_tool_works_beside_us(trace):
    if sys.version_info < (3, 12):
        pytest.skip("no sys.monitoring")
    traced = trace(
        """
        import sys
        m = sys.monitoring
        seen = []
        m.use_tool_id(1, 'coverage')
        m.register_callback(1, m.events.PY_START, lambda code, at: seen.append(code.co_name))
        m.set_events(1, m.events.PY_START)
        def f(n): return n
        f(1)
        m.set_events(1, 0)
        print(seen.count('f'))
        def g(): raise ValueError('x')
        try: g()
        except ValueError: pass
        """
    )
    assert traced.stdout == "1\n"
    assert "f(n=1) -> 1" in traced.calls()
    assert "g() raises ValueError('x')" in traced.calls()


@pytest.mark.hooks("monitoring")
def test_events_that_another_tool_restarts_are_decided_as_before(trace):
    """That turns DISABLE back for all tools: skipped code asks once more."""
    traced = trace(
        """
        import sys
        def f(n): return n
        def skipped(n): return n
        for n in range(3):
            f(n)
            skipped(n)
            sys.monitoring.restart_events()
        """,
        config={"ignore_frames": ["qualname:skipped"]},
    )
    assert traced.calls().splitlines() == [f"f(n={n}) -> {n}" for n in range(3)]


@pytest.mark.hooks("monitoring")
def test_without_a_free_tool_monitoring_is_refused_by_name(trace):
    traced = trace(
        """
        import sys, kolo_c
        for tool in (3, 4):
            sys.monitoring.use_tool_id(tool, f'tool {tool} of another')
        try:
            kolo_c.trace('x').start()
        except kolo_c.KoloError as error:
            print('refused', error)
        """,
        under=(),
    )
    assert traced.stdout.startswith("refused")
    assert "tool 3 of another" in traced.stdout
    assert "tool 4 of another" in traced.stdout


@pytest.mark.hooks("setprofile")
def test_without_a_free_tool_the_trace_says_what_it_lacks(trace):
    if sys.version_info < (3, 12):
        pytest.skip("no sys.monitoring")
    traced = trace(
        """
        import sys, kolo_c
        for tool in (3, 4):
            sys.monitoring.use_tool_id(tool, 'somebody')
        def f(): raise ValueError('x')
        with kolo_c.trace('x'):
            try: f()
            except ValueError: pass
        """,
        under=(),
        clean=False,
    )
    assert "f() raises ?" in traced.whole()
    assert any(
        "sys.monitoring" in problem
        for problem in traced.trace().info.attributes["problems"]
    )


@not_on_pypy(
    "nobody is told that a profile function is set; it is taken away before the end"
)
@pytest.mark.hooks("setprofile")
def test_an_audit_hook_while_a_profiler_is_set_is_no_error(trace):
    """Before 3.12 our place cannot be taken back at that moment: it waits.

    Found by test_profile: regrtest has an audit hook in Python, and each time it ran
    "a thread could not be attached" was counted as an error.
    """
    traced = trace(
        """
        import sys, time
        def audit(name, args):
            for _ in range(100): pass
        sys.addaudithook(audit)
        def f(n): return n
        for _ in range(20):
            sys.setprofile(lambda *args: None)
            sys.setprofile(None)
        f(1)
        """,
        clean=False,
    )
    info = traced.trace().info
    assert info.count("errors") == 0
    problems = info.attributes["problems"]
    assert all("took the tracer's place" in problem for problem in problems)


SEES = """
    import sys
    from shelf import call
    from other import again
    names = []
    def see(frame, event, arg):
        names.append(f"{event} {frame.f_code.co_name}")
    def steps():
        yield 1
    sys.set%s(see)
    call()
    list(steps())
    again()
    sys.set%s(None)
    print(*(name for name in names if not name.startswith("c_")), sep=", ")
    """


@pytest.mark.parametrize(
    ("what", "ends"),
    [
        ("trace", "call call, call steps, call steps, call again"),
        pytest.param(
            "profile",
            "call call, return call, call steps, return steps, call steps, "
            "return steps, call again, return again",
            marks=pytest.mark.hooks("monitoring", "frame_eval"),
        ),
    ],
)
def test_a_tracer_of_the_programs_sees_nothing_of_ours(trace, what, ends):
    """Found by test_sys_settrace: with frame_eval it saw the filter decide.

    What that tracer raised struck the filter, and not the program.
    """
    traced = trace(
        SEES % (what, what),
        files={
            "shelf.py": "def call(): pass\n",
            "other.py": "def again(): pass\n",
        },
        config={
            "include_frames": ["qualname:*"],
            "rules": [{"match": "qualname:again", "boundary": True}],
        },
        clean=False,
    )
    assert traced.stdout == f"{ends}\n"
    assert len(traced.infos()) == 2
