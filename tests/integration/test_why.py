"""The story of a failure: of real programs, at their end and afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.spec.tracing import environment, knows_exceptions, write_program

SHOP = """
    class Gateway:
        def __init__(self, url):
            self.url = url
        def charge(self, amount, card_token):
            retries = 3
            raise ConnectionError("refused", 111)
    class PaymentError(Exception):
        pass
    def parse(text):
        return int(text)
    def price(item):
        try:
            return parse(item["price"])
        except ValueError:
            return 0
    def pay(cart, gateway):
        total = sum([price(item) for item in cart])
        try:
            gateway.charge(total, "tok_0123456789")
        except ConnectionError as error:
            raise PaymentError("cannot charge", total) from error
    def main():
        cart = [{"price": "3"}, {"price": "free"}]
        pay(cart, Gateway("https://bank"))
    main()
    """


def kolo(project, *words, code=0, **more):
    """A command's stdout."""
    answer = subprocess.run(
        [sys.executable, "-m", "kolo_c", *words],
        cwd=project, env=environment(**more), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert answer.returncode == code, answer.stderr
    return answer.stdout


def record(project, core, source, *options, **more):
    """Run a program to its end; its exit code and what stands on stderr, lines."""
    write_program(project, source)
    answer = subprocess.run(
        [sys.executable, "-m", "kolo_c", "run", f"--core={core}", *options,
         "program.py"],
        cwd=project, env=environment(**more), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    return answer.returncode, answer.stderr.splitlines()


def as_python_does(project, source):
    """Exit code and stderr of the same program without us."""
    name = write_program(project, source)
    answer = subprocess.run(
        [sys.executable, name or "program.py"],
        cwd=project, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return answer.returncode, answer.stderr.splitlines()


def start(project, core, source):
    """A program that says `ready` when it is where the test wants it."""
    write_program(project, source)
    process = subprocess.Popen(
        [sys.executable, "-m", "kolo_c", "run", f"--core={core}", "program.py"],
        cwd=project, env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


def squeezed(lines):
    return [" ".join(line.split()) for line in lines]


def line_of(lines, text):
    """The index of the one line that has ``text``."""
    (index,) = (i for i, line in enumerate(lines) if text in line)
    return index


class TestAnException:
    def test_the_story_comes_after_the_programs_own_traceback(self, core, tmp_path):
        plain = as_python_does(tmp_path, SHOP)
        code, lines = record(tmp_path, core, SHOP)
        assert code == plain[0] == 1
        assert lines[: len(plain[1])] == plain[1]
        story = squeezed(lines[len(plain[1]) :])
        assert story[0] == (
            "kolo-c: ✗ PaymentError('cannot charge', 3) ended program.py"
        )
        assert story[1].endswith("program.py:26 <module>")
        assert "program.py:25 main() cart=[{'price': '3'}" in story[2]
        assert "program.py:22 pay(cart=" in story[3]
        assert "total=3" in story[3]
        cause = line_of(story, "because of ConnectionError('refused', 111)")
        charge = story[cause + 1]
        assert "program.py:7 Gateway.charge(amount=3, card_token=<masked" in charge
        assert "self=Gateway(url='https://bank'), retries=3" in charge
        assert "tok_0123456789" not in "\n".join(story)
        swallowed = line_of(story, "exceptions handled on the way")
        assert "parse(text='free') ✗" in story[swallowed + 1]
        assert "handled in price" in story[swallowed + 1]
        if knows_exceptions():
            assert "ValueError" in story[swallowed + 1]
        assert line_of(story, "last calls before it") > cause
        assert re.match(r"more of it: kolo-c why \w{5}$", story[-2])
        assert story[-1].startswith("kolo-c: recorded ")
        assert len(story) <= 31

    def test_why_repeats_it_and_quiet_silences_it(self, core, tmp_path):
        code, lines = record(tmp_path, core, SHOP, "--quiet")
        assert code == 1
        assert not [line for line in lines if "kolo-c" in line]
        told = squeezed(kolo(tmp_path, "why").splitlines())
        assert told[0] == "✗ PaymentError('cannot charge', 3) ended program.py"
        assert "because of ConnectionError('refused', 111)" in told
        assert re.match(r"kolo-c show \w{5}/\d+ has all of it", told[-1])

    def test_why_as_json_has_every_frame(self, core, tmp_path):
        record(tmp_path, core, SHOP)
        told = json.loads(kolo(tmp_path, "why", "--json"))
        assert told["how"] == "raised"
        first, cause = told["exceptions"]
        assert [frame["name"] for frame in first["frames"]] == [
            "<module>",
            "main",
            "pay",
        ]
        assert [frame["raised_line"] for frame in first["frames"]] == [26, 25, 22]
        assert cause["relation"] == "cause"
        assert cause["raised"]["type"] == "ConnectionError"
        assert cause["frames"][0]["locals"]["retries"] == 3
        assert told["whole"] is True

    def test_a_terminal_of_40_columns_gets_lines_of_40(self, core, tmp_path):
        record(tmp_path, core, SHOP)
        read, write = os.openpty()
        answer = subprocess.run(
            [sys.executable, "-m", "kolo_c", "why"],
            cwd=tmp_path, env=environment(COLUMNS="40", TERM="dumb"), stdout=write,
            stdin=subprocess.DEVNULL, timeout=60, check=False,
        )  # fmt: skip
        os.close(write)
        text = os.read(read, 1 << 16).decode()
        os.close(read)
        assert answer.returncode == 0
        assert "pay(cart" in text
        assert max(map(len, text.splitlines())) <= 40

    def test_code_that_is_not_recorded_is_named(self, core, tmp_path):
        _, lines = record(
            tmp_path,
            core,
            """
            import json
            def load(text):
                where = "cfg"
                return json.loads(text)
            load("{nope")
            """,
        )
        story = squeezed(lines)
        place = line_of(story, "which is not recorded")
        assert "raw_decode" in story[place]
        assert "json/decoder.py:" in story[place]
        assert "load(text='{nope') where='cfg'" in story[place - 1]

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups")
    def test_the_members_of_a_group_are_shown_with_their_calls(self, core, tmp_path):
        _, lines = record(
            tmp_path,
            core,
            """
            import asyncio
            async def fetch(n):
                await asyncio.sleep(0)  # all go on in one turn: none is cancelled
                if n % 2:
                    raise ValueError(n)
            async def main():
                async with asyncio.TaskGroup() as group:
                    for n in range(4):
                        group.create_task(fetch(n))
            asyncio.run(main())
            """,
        )
        story = squeezed(lines)
        assert any("✗ ExceptionGroup('unhandled errors" in line for line in story)
        members = [i for i, line in enumerate(story) if "one of the group:" in line]
        assert len(members) == 2
        assert "fetch(n=1)" in story[members[0] + 1]
        assert "fetch(n=3)" in story[members[1] + 1]

    def test_members_that_were_never_raised_have_their_messages(self, core, tmp_path):
        """Their args stand one level deeper than what is written as a rule; what is in
        those is as deep as ever."""
        record(
            tmp_path,
            core,
            """
            class Several(Exception): pass
            def fails():
                inner = Several("inner", [LookupError("out of sight", [1])])
                raise Several("many", [ValueError("one"), KeyError([2]), inner])
            fails()
            """,
        )
        told = kolo(tmp_path, "why").splitlines()[0]
        assert told.startswith(
            "✗ Several('many', [ValueError('one'), KeyError(<list of 1 …>), "
            "Several('inner', <list of 1 …>)])"
        )

    def test_the_calls_of_a_task_that_another_waited_for_are_shown(
        self, core, tmp_path
    ):
        _, lines = record(
            tmp_path,
            core,
            """
            import asyncio
            async def leaf(n):
                raise KeyError(n)
            async def fetch(n):
                await asyncio.sleep(0.01)
                await leaf(n)
            async def main():
                await asyncio.gather(fetch(1), asyncio.sleep(0.1))
            asyncio.run(main())
            """,
        )
        calls = [
            match[1] for line in lines if (match := re.search(r"\.py:\d+ +(\S+)", line))
        ]
        assert calls[-4:] == ["<module>", "main()", "fetch(n=1)", "leaf(n=1)"]

    def test_a_task_that_was_cancelled_for_it_is_not_on_its_way(self, core, tmp_path):
        """Where types are not known, the last exception looked like the one before;
        and the coroutine that waited for the task was missing."""
        _, lines = record(
            tmp_path,
            core,
            """
            import asyncio
            async def fetch(n):
                await asyncio.sleep(n * 0.01)
                if n == 2:
                    raise KeyError(n)
            async def main():
                await asyncio.gather(*(fetch(n) for n in range(5)))
            asyncio.run(main())
            """,
        )
        story = squeezed(lines)
        head = line_of(story, "ended program.py")
        calls = [line.split(maxsplit=2)[2] for line in story[head + 1 : head + 4]]
        assert calls == ["<module>", "main()", "fetch(n=2)"]
        assert "last calls" in story[head + 4]

    @pytest.mark.parametrize(
        ("source", "calls"),
        [
            pytest.param(
                """
                from concurrent.futures import ThreadPoolExecutor
                def job(n):
                    if n == 3:
                        raise ValueError(n)
                def main():
                    with ThreadPoolExecutor(2) as pool:
                        return list(pool.map(job, range(5)))
                main()
                """,
                ["<module>", "main()", "job(n=3)"],
                id="a pool's thread",
            ),
            pytest.param(
                """
                def first():
                    raise ValueError(1)
                def second():
                    raise KeyError(2)
                def main():
                    try:
                        first()
                    except ValueError:
                        try:
                            second()
                        except KeyError:
                            pass
                        raise
                main()
                """,
                ["<module>", "main()", "first()"],
                id="another one handled on the way",
            ),
            pytest.param(
                """
                from contextlib import contextmanager
                @contextmanager
                def opened():
                    try:
                        yield
                    finally:
                        close()
                def close():
                    pass
                def bad():
                    raise ValueError(1)
                def main():
                    with opened():
                        bad()
                main()
                """,
                ["<module>", "main()", "bad()"],
                id="a context manager",
            ),
            pytest.param(
                """
                def attempt(n):
                    raise ValueError(n)
                def main():
                    last = None
                    for n in range(3):
                        try:
                            attempt(n)
                        except ValueError as error:
                            last = error
                    raise last
                main()
                """,
                ["<module>", "main()", "attempt(n=2)"],
                id="tried again",
            ),
        ],
    )
    def test_the_calls_are_those_of_the_traceback(self, core, tmp_path, source, calls):
        _, lines = record(tmp_path, core, source)
        story = squeezed(lines)
        head = line_of(story, "ended program.py")
        found = [
            match[1]
            for line in story[head + 1 : head + 1 + len(calls)]
            if (match := re.search(r"\.py:\d+ +(\S+)", line))
        ]
        assert found == calls
        assert "not handled" not in "\n".join(story)

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups")
    def test_an_exception_that_a_group_collected_is_not_on_the_groups_way(
        self, core, tmp_path
    ):
        _, lines = record(
            tmp_path,
            core,
            """
            def check(n):
                raise ValueError(n)
            def all_of(numbers):
                found = []
                for n in numbers:
                    try:
                        check(n)
                    except ValueError as error:
                        found.append(error)
                raise ExceptionGroup("all", found)
            all_of([1, 2])
            """,
        )
        story = squeezed(lines)
        members = [i for i, line in enumerate(story) if "one of the group:" in line]
        assert ["check(n=" in line for line in story].count(True) == 2
        assert [story[i + 1][-10:] for i in members] == ["check(n=1)", "check(n=2)"]

    def test_a_hook_that_ends_the_program_is_not_its_failure(self, core, tmp_path):
        """The hook's exit went by the recorder: the trace had no word of a failure."""
        code, lines = record(
            tmp_path,
            core,
            """
            import sys
            def hook(kind, error, traceback):
                sys.exit(33)
            sys.excepthook = hook
            def fail():
                raise ValueError(1)
            fail()
            """,
        )
        assert code == 33
        story = squeezed(lines)
        assert story[0] == "kolo-c: ✗ ValueError(1) ended program.py"
        assert story[1].endswith("<module>")
        assert story[2].endswith("fail()")
        assert "more of it" in story[3]

    def test_an_exception_is_not_asked_for_itself(self, core, tmp_path):
        source = """
            class Odd(SystemExit):
                @property
                def code(self):
                    print("asked")
                    return 5
            raise Odd(3)
            """
        assert record(tmp_path, core, source)[0] == 5
        plain = as_python_does(tmp_path, source)
        assert plain[0] == 5
        answer = subprocess.run(
            [sys.executable, "-m", "kolo_c", "run", "-q", "program.py"],
            cwd=tmp_path, env=environment(), capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip
        assert answer.stdout == "asked\n"

    def test_a_program_that_set_many_attributes_has_its_story(self, core, tmp_path):
        """What is said of the failure had no room beside them, and was left out."""
        _, lines = record(
            tmp_path,
            core,
            """
            import kolo_c
            for n in range(11):
                assert kolo_c.current().set(**{f"a{n}": "x" * 1000})
            def fail(depth):
                if depth:
                    try:
                        fail(depth - 1)
                    except Exception as error:
                        raise KeyError(depth) from error
                raise ValueError(0)
            fail(10)
            """,
        )
        story = squeezed(lines)
        line_of(story, "KeyError(10) ended program.py")
        line_of(story, "because of KeyError(9)")
        (trace,) = json.loads(kolo(tmp_path, "list", "--json"))
        assert trace["failed"]

    def test_what_came_before_a_long_finally_is_found(self, core, tmp_path):
        source = """
            import atexit
            def f(n): return n
            def boom(x):
                y = x + 1
                raise RuntimeError("boom", x)
            def clean():
                for n in range(40_000): f(n)
            atexit.register(clean)
            def main():
                for n in range(40_000): f(n)
                try:
                    boom(7)
                finally:
                    for n in range(10_000): f(n)
            main()
            """
        _, lines = record(tmp_path, core, source)
        story = squeezed(lines)
        boom = next(line for line in story if "boom(x=7) y=8" in line)
        assert "program.py:6" in boom
        before = line_of(story, "last calls before it")
        assert story[before + 1].endswith("f(n=39996) → 39996")

    def test_a_deep_recursion_is_folded(self, core, tmp_path):
        _, lines = record(
            tmp_path,
            core,
            """
            def down(n): return down(n + 1)
            down(0)
            """,
        )
        story = squeezed(lines)
        assert any("RecursionError" in line and "ended" in line for line in story)
        assert any(re.match(r"… \d+ more frames", line) for line in story)
        assert sum("down(n=" in line for line in story) < 12

    def test_a_thread_that_failed_is_told_by_why(self, core, tmp_path):
        code, lines = record(
            tmp_path,
            core,
            """
            import threading
            def work(n):
                raise ValueError("in thread", n)
            thread = threading.Thread(target=work, args=(3,), name="worker")
            thread.start()
            thread.join()
            """,
        )
        assert code == 0
        assert not any("ended thread" in line for line in lines)
        told = squeezed(kolo(tmp_path, "why").splitlines())
        assert told[0] == "program.py ended, but not all of its threads did well"
        assert told[1].endswith("ended thread worker")
        assert told[2].endswith("program.py:4 work(n=3)")

    def test_a_forked_child_names_its_parent(self, core, tmp_path):
        record(
            tmp_path,
            core,
            """
            import os
            def child():
                raise OSError("in child")
            if os.fork() == 0:
                child()
            os.wait()
            """,
        )
        traces = json.loads(kolo(tmp_path, "list", "--json"))
        child = next(trace for trace in traces if trace["parent"])
        told = squeezed(kolo(tmp_path, "why", child["id"][-6:]).splitlines())
        assert told[0].startswith("✗ OSError('in child') ended")
        assert any(
            line.startswith("it was started by program.py (trc_") for line in told
        )

    def test_a_request_of_wsgi_has_what_its_exception_came_from(self, core, tmp_path):
        record(
            tmp_path,
            core,
            """
            from kolo_c.integrations.wsgi import KoloCMiddleware
            def find(n):
                return {}["missing"]
            def app(environ, start):
                try:
                    find(1)
                except KeyError as error:
                    raise RuntimeError("outer") from error
            try:
                KoloCMiddleware(app)({"REQUEST_METHOD": "GET", "PATH_INFO": "/x"}, print)
            except RuntimeError:
                pass
            """,
        )
        told = squeezed(kolo(tmp_path, "why").splitlines())
        assert told[0] == "✗ RuntimeError('outer') failed GET /x (500)"
        assert told[2].startswith("because of KeyError")
        assert told[3].endswith("program.py:4 find(n=1)")

    def test_what_left_a_part_of_a_program_may_be_handled_in_the_rest(
        self, core, tmp_path
    ):
        """That is in another trace; what left the whole program nobody handled."""
        record(
            tmp_path,
            core,
            """
            import kolo_c
            def fails(n):
                raise ValueError(n)
            def part():
                with kolo_c.trace("part", boundary=True):
                    fails(1)
            try:
                part()
            except ValueError:
                pass
            fails(2)
            """,
        )
        for trace in json.loads(kolo(tmp_path, "list", "--json")):
            where = "this trace" if trace["name"] == "part" else "recorded code"
            told = kolo(tmp_path, "show", trace["id"])
            assert re.findall("not handled in (.*?)  ", told) == [where]

    def test_a_part_of_a_program_that_failed_did_not_end_well(self, core, tmp_path):
        """Its own code raised, of which no call is in its trace; or quit, with 0."""
        record(
            tmp_path,
            core,
            """
            import kolo_c, sys
            def work(): pass
            def run(name):
                with kolo_c.trace(name, boundary=True):
                    work()
                    if name == "quits":
                        sys.exit(0)
                    try:
                        {}["missing"]
                    except KeyError as error:
                        raise ValueError(name) from error
            for name in ("quits", "raises"):
                try:
                    run(name)
                except (SystemExit, ValueError):
                    pass
            """,
        )
        failed = {
            trace["name"]: trace["id"]
            for trace in json.loads(kolo(tmp_path, "list", "--failed", "--json"))
        }
        assert failed.keys() == {"quits", "raises"}
        told = squeezed(kolo(tmp_path, "why", failed["raises"]).splitlines())
        assert told[:2] == ["✗ ValueError ended raises", "raised in run, program.py:12"]
        told = kolo(tmp_path, "why", failed["quits"])
        assert told.startswith("✗ quits failed: no exception left a recorded call\n")


class TestAnExit:
    def test_it_is_one_line(self, core, tmp_path):
        code, lines = record(
            tmp_path,
            core,
            """
            import sys
            def main():
                sys.exit(3)
            main()
            """,
        )
        assert code == 3
        assert lines[1:] == [
            "kolo-c: the program ended with exit code 3, from main (program.py:4)"
        ]
        told = kolo(tmp_path, "why")
        assert told.startswith("program.py ended with exit code 3\n")
        assert "main()" in told

    def test_what_was_handled_as_it_ended_is_named_with_its_calls(self, core, tmp_path):
        """Programs and frameworks turn what they do not expect into an exit code."""
        code, _ = record(
            tmp_path,
            core,
            """
            import sys
            def load(n):
                raise LookupError("no order", n)
            def main():
                try:
                    load(7)
                except LookupError:
                    sys.exit(3)
            main()
            """,
        )
        assert code == 3
        told = squeezed(kolo(tmp_path, "why").splitlines())
        assert told[:4] == [
            "program.py ended with exit code 3",
            "2 program.py:9 main()",
            "it ended while it handled LookupError('no order', 7)",
            "3 program.py:4 load(n=7)",
        ]

    def test_what_no_recorded_call_raised_is_named_with_its_place(self, core, tmp_path):
        record(
            tmp_path,
            core,
            """
            import sys
            def main():
                try:
                    int("x")
                except ValueError:
                    sys.exit("no number")
            main()
            """,
        )
        told = squeezed(kolo(tmp_path, "why").splitlines())
        assert told[2:4] == [
            "it ended while it handled ValueError",
            "raised in main, program.py:5",
        ]

    @pytest.mark.parametrize("end", ["", "raise SystemExit", "raise SystemExit(0)"])
    def test_a_program_that_ends_well_says_no_more(self, core, tmp_path, end):
        code, lines = record(tmp_path, core, f"def f(): pass\nf()\n{end}\n")
        assert code == 0
        assert len(lines) == 1
        assert kolo(tmp_path, "why").startswith("program.py ended well")

    def test_the_last_exceptions_that_were_handled_are_shown(self, core, tmp_path):
        record(
            tmp_path,
            core,
            """
            def risky(n):
                raise LookupError(n)
            def careful(n):
                try:
                    risky(n)
                except LookupError:
                    pass
            for n in range(20):
                careful(n)
            """,
        )
        told = squeezed(kolo(tmp_path, "why").splitlines())
        title = line_of(told, "the last exceptions that were handled")
        shown = [line for line in told[title + 1 :] if "risky(" in line]
        assert "risky(n=19)" in shown[-1]
        assert len(shown) == 10


HANGS = """
    import asyncio, threading
    def first(n):
        return n * 2
    def waits(lock):
        first(3)
        with lock:
            pass
    lock = threading.Lock()
    lock.acquire()
    threading.Thread(target=waits, args=(lock,), name="waiter", daemon=True).start()
    async def inner(n):
        await asyncio.sleep(1000)
    async def job(n):
        await inner(n)
    async def main():
        jobs = [asyncio.create_task(job(n), name=f"job-{n}") for n in range(2)]
        await asyncio.sleep(0.05)
        print("ready", flush=True)
        await asyncio.gather(*jobs)
    asyncio.run(main())
    """


def assert_stacks(lines, stood, waited):
    """Each thread and task with its calls, and the lines that they are in."""
    waiter = line_of(lines, f"waiter {stood}")
    assert "waits(lock=" in lines[waiter + 1]
    for n in range(2):
        job = line_of(lines, f"task job-{n} {waited}")
        assert lines[job + 1].endswith(f"program.py:15 job(n={n})")
        assert lines[job + 2].endswith(f"program.py:13 inner(n={n})")


class TestAnEndWithoutAWord:
    def test_a_kill_shows_what_was_open(self, core, tmp_path):
        process = start(tmp_path, core, HANGS)
        time.sleep(0.3)  # until main waits for its tasks
        process.kill()
        process.communicate()
        told = squeezed(kolo(tmp_path, "why").splitlines())
        assert told[0].startswith(f"✗ program.py (process {process.pid}) ended without")
        assert_stacks(told, "stood in", "waited in")
        main = line_of(told, "task Task-1 waited in")
        assert told[main + 1].endswith("program.py:20 main()")
        assert any("first(n=3) → 6" in line for line in told)
        found = json.loads(kolo(tmp_path, "why", "--json"))
        assert found["how"] == "killed"
        tasks = {stack["task"]: stack for stack in found["open"]}
        names = [frame["name"] for frame in tasks["job-1"]["frames"]]
        assert names == ["job", "inner"]

    def test_another_ctrl_c_while_the_trace_is_closed_ends_it_as_the_first(
        self, core, tmp_path
    ):
        """Its traceback, of our own files, came from the exit handler."""
        code, lines = record(
            tmp_path,
            core,
            """
            import atexit, signal, sys
            def again(frame, event, argument):
                if frame.f_code.co_name == "stop":
                    sys.settrace(None)
                    signal.raise_signal(signal.SIGINT)
            atexit.register(sys.settrace, again)
            raise KeyboardInterrupt
            """,
        )
        assert code == -signal.SIGINT
        assert lines[-2] == "KeyboardInterrupt"
        assert lines[-1] == "kolo-c: the trace could not be closed: KeyboardInterrupt"

    def test_ctrl_c_shows_where_each_thread_and_task_stood(self, core, tmp_path):
        process = start(tmp_path, core, HANGS)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGINT
        closing = squeezed(stderr[stderr.index("kolo-c: ") :].splitlines())
        told = squeezed(kolo(tmp_path, "why").splitlines())
        for lines in (closing, told):
            assert "program.py was stopped by Ctrl-C (KeyboardInterrupt)" in lines[0]
            assert_stacks(lines, "stood in", "waited in")

    def test_a_program_that_hangs_is_read_as_it_hangs(self, core, tmp_path):
        process = start(tmp_path, core, HANGS)
        try:
            time.sleep(1.1)
            told = squeezed(kolo(tmp_path, "why").splitlines())
        finally:
            process.kill()
            process.communicate()
        head = re.match(
            r"program\.py is running \(process (\d+)\); nothing was recorded for the "
            r"last ([\d.]+) s$",
            told[0],
        )
        assert int(head[1]) == process.pid
        assert 1 <= float(head[2]) < 30
        waiter = line_of(told, "waiter is in")
        assert "waits(lock=" in told[waiter + 1]
        assert re.search(
            r"open for [\d.]+ s after the call in line 6$", told[waiter + 1]
        )
        job = line_of(told, "task job-1 waits in")
        assert "program.py:13 inner(n=1) open for" in told[job + 2]


# What a program may do to the process that its story is told in.
RUDE = {
    "stderr closed": "import sys; sys.stderr.close()",
    "stderr is none": "import sys; sys.stderr = None",
    "stderr broken": "import sys; sys.stderr = sys.__stderr__ = object()",
    "descriptors gone": "import os; os.closerange(0, 3)",
    "folder gone": "import os, tempfile; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)",
    "store gone": "import os, shutil; shutil.rmtree('.kolo_c')",
    "imports refused": "import sys; sys.meta_path.clear(); sys.path.clear()",
    "import breaks": "import builtins; builtins.__import__ = None",
    "little recursion": "import sys; sys.setrecursionlimit(60)",
    "open breaks": "import builtins; builtins.open = None; builtins.len = None",
    "no files left": "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (3, 3))",
    "no time": "import time; time.time_ns = time.monotonic_ns = None",
    "own json": "import sys; sys.modules['json'] = sys.modules['msgpack'] = None",
    "excepthook": "import sys; sys.excepthook = lambda *_: 1 / 0",
    "signal": "import signal as s; s.signal(14, lambda *_: 1 / 0); s.setitimer(0, .001, .001)",
}  # fmt: skip


class TestARudeProgram:
    @pytest.mark.parametrize("title", RUDE)
    def test_what_is_told_harms_nothing(self, core, tmp_path, title):
        if core == "python" and title == "open breaks":
            pytest.skip("a core in Python does nothing without len()")
        source = f"""
            def fail(x):
                raise RuntimeError("bad", x)
            def clean():
                print("handler ran", flush=True)
            import atexit
            atexit.register(clean)
            {RUDE[title]}
            fail(1)
            """
        write_program(tmp_path, source)
        answers = []
        for words in ([], ["-m", "kolo_c", "run", f"--core={core}"]):
            answers.append(
                subprocess.run(
                    [sys.executable, *words, "program.py"],
                    cwd=tmp_path, env=environment(), capture_output=True, text=True,
                    timeout=60, check=False,
                )
            )  # fmt: skip
            (tmp_path / ".kolo_c").mkdir(exist_ok=True)
        plain, recorded = answers
        if title != "signal":  # which strikes where it will
            assert recorded.returncode == plain.returncode
            assert recorded.stdout == plain.stdout
        own = recorded.stderr[len(plain.stderr) :] if title != "signal" else ""
        assert "Traceback" not in own
        assert "atexit" not in own

    def test_a_hostile_value_harms_no_terminal(self, core, tmp_path):
        _, lines = record(
            tmp_path,
            core,
            r"""
            EVIL = "\x1b[2J\x1b]0;owned\x07\r\u202e"
            Evil = type("Evil" + EVIL, (Exception,), {})
            def fail(**values):
                raise Evil(EVIL)
            fail(**{EVIL: EVIL})
            """,
        )
        begin = next(i for i, line in enumerate(lines) if line.startswith("kolo-c: "))
        told = "\n".join(lines[begin:]) + kolo(tmp_path, "why")
        assert told.count("fail(") == 2
        assert not set(told) & set("\x1b\x07\r\u202e")
