"""Forks in the middle of a busy writer: some of the thousand of `make forks`."""

from __future__ import annotations

import pytest

from tests.spec.tracing import trace_program
from tools import forks


@pytest.mark.parametrize("threads", [0, 2])
def test_a_fork_while_the_writer_is_busy_gives_two_whole_traces(
    core, tmp_path, threads
):
    """Whatever Python other libraries run in it; without a deadlock or a warning."""
    count = 20 if core == "c" else 5
    assert forks.run(tmp_path, threads, count, threads, core)["children"] == count


def test_a_thread_goes_on_while_a_handler_in_c_s_fork_runs_python(core, tmp_path):
    """From 3.13 on the one that forks has the lock of the list of threads meanwhile."""
    traced = trace_program(
        tmp_path, core, "auto",
        """
        import ctypes, os, threading, time
        def leaf(text): return text
        def work():
            while not over.is_set():
                leaf("x" * 2000)
                time.sleep(0.001)
        libc = ctypes.CDLL(None)
        if not hasattr(libc, "__register_atfork"):
            raise SystemExit("none")
        waits = ctypes.CFUNCTYPE(None)(lambda: time.sleep(0.3))
        over = threading.Event()
        other = threading.Thread(target=work)
        other.start()
        libc.__register_atfork(waits, None, None, None)
        child = os.fork()
        if child == 0:
            os._exit(0)
        over.set()
        other.join()
        print(os.waitpid(child, 0)[1])
        """,
    )  # fmt: skip
    assert traced.stdout == "0\n"
    sizes = [len(stream.blocks) for stream in traced.trace().streams]
    assert max(sizes) > 2, "it has handed blocks over"
