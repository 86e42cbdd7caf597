"""Processes: a forked child has a trace of its own; nothing of it disturbs either."""

from __future__ import annotations

import os
import sys

import pytest

from tests.spec.pypy import not_on_pypy
from tests.spec.tracing import expected

FORK = """
    import os
    def f(name): return name
    def parent():
        f('before')
        child = os.fork()
        if child == 0:
            f('in child')
            os._exit(0)
        os.waitpid(child, 0)
        f('after')
    parent()
    """


def child_and_parent(traced):
    """The indexes of the parent's trace and of the child's."""
    infos = traced.infos()
    assert len(infos) == 2
    return (0, 1) if infos[0].row.parent is None else (1, 0)


def test_a_forked_child_has_a_trace_linked_to_its_parents(trace):
    traced = trace(FORK)
    parent, child = child_and_parent(traced)
    infos = traced.infos()
    assert infos[child].row.parent == infos[parent].id
    assert infos[child].process.pid != infos[parent].process.pid
    assert infos[parent].status == "complete"


def test_parent_and_child_each_have_what_they_did(trace):
    traced = trace(FORK)
    parent, child = child_and_parent(traced)
    assert traced.calls(parent) == expected(
        """
        parent() -> None
          f(name='before') -> 'before'
          f(name='after') -> 'after'
        """
    )
    assert "f(name='in child') -> 'in child'" in traced.whole(child)
    assert "before" not in traced.whole(child)


def test_fork_gives_no_warning_of_threads(trace):
    """From 3.12 on os.fork() warns where another thread runs; ours has stopped."""
    traced = trace(FORK, options=("-W", "error"))
    assert traced.stderr == ""


def test_a_child_that_returns_from_its_frames_ends_as_a_trace(trace):
    """Its parent's frames are on its stack; their returns end nothing of its own."""
    traced = trace(
        """
        import os, sys
        def f(name): return name
        def forks():
            f('before')
            return os.fork()
        def go():
            child = forks()
            f('child' if child == 0 else 'parent')
            if child:
                os.waitpid(child, 0)
        go()
        """
    )
    parent, child = child_and_parent(traced)
    assert "f(name='child') -> 'child'" in traced.whole(child)
    assert traced.calls(parent) == expected(
        """
        go() -> None
          forks() -> <int>
            f(name='before') -> 'before'
          f(name='parent') -> 'parent'
        """
    ).replace("<int>", traced.tree(parent).find("forks")[0].end[3:])
    assert traced.infos()[child].status == "complete"


def test_what_was_recorded_before_a_fork_is_there_once(trace):
    traced = trace(
        """
        import os
        def f(n): return n
        for n in range(5000): f(n)
        child = os.fork()
        for n in range(100): f(n)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        """
    )
    parent, child = child_and_parent(traced)
    assert len(traced.tree(parent).find("f")) == 5100
    assert len(traced.tree(child).find("f")) == 100


def test_ten_children_at_once(trace):
    traced = trace(
        """
        import os
        def f(n): return n
        children = []
        for n in range(10):
            child = os.fork()
            if child == 0:
                f(n)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        f('end')
        """
    )
    infos = traced.infos()
    assert len(infos) == 11
    numbers = set()
    for index, info in enumerate(infos):
        if info.row.parent is not None:
            numbers.add(traced.tree(index).find("f")[0].arguments[0][1])
    assert numbers == {str(n) for n in range(10)}


def test_a_grandchild_is_linked_to_the_child(trace):
    traced = trace(
        """
        import os
        def f(name): return name
        child = os.fork()
        if child == 0:
            f('child')
            grandchild = os.fork()
            if grandchild == 0:
                f('grandchild')
                os._exit(0)
            os.waitpid(grandchild, 0)
            os._exit(0)
        os.waitpid(child, 0)
        f('parent')
        """
    )
    by_name = {
        traced.tree(index).find("f")[0].end: info
        for index, info in enumerate(traced.infos())
    }
    assert by_name["-> 'child'"].row.parent == by_name["-> 'parent'"].id
    assert by_name["-> 'grandchild'"].row.parent == by_name["-> 'child'"].id


def test_a_fork_while_threads_record(trace):
    traced = trace(
        """
        import os, sys, threading, warnings
        warnings.simplefilter('ignore')
        def f(n): return n
        stop = False
        def work():
            n = 0
            while not stop and n < 20_000:
                f(n)
                n += 1
        threads = [threading.Thread(target=work) for _ in range(3)]
        for t in threads: t.start()
        for n in range(5):
            child = os.fork()
            if child == 0:
                f(-n)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            assert status == 0, status
        stop = True
        for t in threads: t.join()
        """
    )
    assert len(traced.infos()) == 6
    for index in range(6):
        traced.trace(index)


HANDLERS = """
    import ctypes, os, sys
    import kolo_c
    def f(n): return n
    def busy():
        for n in range(2000): f('x' * 50)  # more than a block holds
    calls = []
    def before():
        calls.append('before')
        busy()
    def after():
        calls.append('after')
        busy()
    libc = ctypes.CDLL(None)
    kept = [ctypes.CFUNCTYPE(None)(handler) for handler in (before, after, after)]
    def register():
        os.register_at_fork(before=before, after_in_parent=after, after_in_child=after)
        if hasattr(libc, '__register_atfork'):
            libc.__register_atfork(*kept, None)
    def forks():
        f('begins')
        for n in range(3000): f(n)
        child = os.fork()
        f('child' if child == 0 else 'parent')
        for n in range(3000): f(n)
        if child == 0:
            os._exit(len(calls))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == len(calls)
    register()  # before ours
    with kolo_c.trace('all'):
        register()  # and after
        forks()
    """


@not_on_pypy("a C handler of a fork waits there for the lock that the fork holds")
def test_handlers_of_other_libraries_run_python_in_a_fork_and_disturb_nothing(trace):
    """Those that came before ours wrote into the parent's blocks, from the child; and
    those after it had the writer started again, of which Python then warned."""
    traced = trace(HANDLERS, under=(), options=("-W", "error"))
    assert traced.stderr == ""
    parent, child = child_and_parent(traced)
    assert [info.status for info in traced.infos()] == ["complete", "interrupted"]
    (forks,) = traced.tree(parent).find("forks")
    own = [call.end for call in forks.children if call.name == "f"]
    numbers = [f"-> {n}" for n in range(3000)]
    assert own == ["-> 'begins'", *numbers, "-> 'parent'", *numbers]
    calls = [call.end for call in traced.tree(child).find("f")]
    own = [end for end in calls if end != f"-> {'x' * 50!r}"]
    assert own == ["-> 'child'", *numbers]


@not_on_pypy("ctypes has no PyDLL that forks")
def test_a_child_of_a_fork_that_calls_no_handlers_of_pythons_is_recorded(trace, core):
    """As uWSGI forks its workers. With the C core they were not recorded; with the
    Python one they wrote into the parent's blocks."""
    traced = trace(
        """
        import ctypes, os
        def f(name): return name
        f('before')
        child = ctypes.PyDLL(None).fork()
        for n in range(3000): f(n)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        f('after')
        """,
        options=("-W", "error"),
    )
    parent, child = child_and_parent(traced)
    ends = [call.end for call in traced.tree(parent).find("f")]
    numbers = [f"-> {n}" for n in range(3000)]
    assert ends == ["-> 'before'", *numbers, "-> 'after'"]
    ends = [call.end for call in traced.tree(child).find("f")]
    # The Python core notices it by the first event.
    assert ends[-2999:] == numbers[1:]
    assert core == "python" or len(ends) == 3000


def test_a_child_by_multiprocessing_fork_is_recorded(trace):
    traced = trace(
        """
        import multiprocessing
        def work(n): return n * 2
        if __name__ == '__main__':
            context = multiprocessing.get_context('fork')
            with context.Pool(2) as pool:
                print(pool.map(work, [1, 2, 3]))
        """,
        options=("-W", "ignore"),
    )
    assert traced.stdout == "[2, 4, 6]\n"
    text = "\n".join(
        traced.whole(index) for index, info in enumerate(traced.infos()) if info.nodes
    )
    assert all(f"work(n={n}) -> {n * 2}" in text for n in (1, 2, 3))


def test_a_subprocess_runs_as_without_us(trace):
    traced = trace(
        """
        import subprocess, sys
        def f(): return 1
        f()
        done = subprocess.run([sys.executable, '-c', 'import sys; print(sys.argv); sys.exit(4)', 'x'],
                              capture_output=True, text=True)
        print(done.returncode, done.stdout, done.stderr, end='')
        """
    )
    assert traced.stdout.split() == ["4", "['-c',", "'x']"]
    assert "f() -> 1" in traced.calls()


@not_on_pypy("os.posix_spawn is missing")
def test_a_vfork_child_and_exec_leave_the_trace_alone(trace):
    traced = trace(
        """
        import os, sys
        def f(n): return n
        f(1)
        pid = os.posix_spawn(sys.executable, [sys.executable, '-c', 'pass'], os.environ)
        os.waitpid(pid, 0)
        f(2)
        """
    )
    assert "f(n=1) -> 1" in traced.calls() and "f(n=2) -> 2" in traced.calls()


def test_exec_in_place_leaves_what_was_recorded(trace):
    """The process goes on as another program; its trace is not closed by anybody."""
    traced = trace(
        """
        import os, sys
        def f(n): return n
        for n in range(10): f(n)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, '-c', 'print("other")'])
        """
    )
    assert traced.stdout == "other\n"
    assert [call.end for call in traced.tree().find("f")] == [
        f"-> {n}" for n in range(10)
    ]
    assert traced.infos()[0].status == "interrupted"


def test_the_files_of_the_store_are_not_inherited_over_exec(trace):
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc")
    traced = trace(
        """
        import subprocess, sys
        code = "import os\\nfor fd in os.listdir('/proc/self/fd'):\\n    try: print(os.readlink('/proc/self/fd/' + fd))\\n    except OSError: pass"
        def f(): pass
        f()
        print(subprocess.run([sys.executable, '-c', code], close_fds=False, capture_output=True, text=True).stdout)
        """
    )
    assert ".kolo_c" not in traced.stdout


@pytest.mark.skipif(sys.version_info < (3, 12), reason="warns from 3.12 on")
def test_a_fork_within_a_thread_warns_as_without_us(trace):
    source = """
        import os, threading, warnings
        def f(): pass
        def forks():
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter('always')
                child = os.fork()
                if child == 0:
                    os._exit(0)
                os.waitpid(child, 0)
            print(len(seen))
        thread = threading.Thread(target=forks)
        thread.start()
        thread.join()
        """
    assert trace(source).stdout == "1\n"
