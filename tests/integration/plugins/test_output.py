"""``stdout = true``: what a program prints is recorded, and printed as without us."""

from __future__ import annotations

import pytest

from tests.integration.plugins.recording import record

PROGRAM = """
    import atexit, io, logging, os, sys, threading
    from contextlib import redirect_stdout
    kept = sys.stdout
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(handler)
    atexit.register(print, "at exit", file=kept)
    atexit.register(logging.warning, "log at exit")
    def speak():
        print("one", 2, [3])
        print("a", end=""); print("b")
        sys.stdout.write("two\\nlines\\n")
        sys.stdout.writelines(["x\\n", "y\\n"])
        sys.stderr.write("to stderr\\n")
        print(f"password={os.environ['GIVEN']}".replace("hunter2", "HUNTER"))
        with redirect_stdout(io.StringIO()) as aside:
            print("aside")
        sys.stdout.flush()
        os.write(1, b"raw\\n")
        sys.stdout.buffer.write(b"bytes\\n"); sys.stdout.buffer.flush()
        try:
            print("\\udc80")
        except UnicodeEncodeError as error:
            print(error.reason)
        sys.stdout.reconfigure(errors="backslashreplace")
        print("\\udc80")
        print(sys.stdout.isatty(), sys.stdout.fileno(), sys.stdout.mode, sys.stdout.name,
            sys.stdout.encoding, sys.stdout is sys.__stdout__, sys.stdout.newlines,
            isinstance(sys.stdout, io.TextIOWrapper))
        thread = threading.Thread(target=print, args=("thread",))
        thread.start(); thread.join()
        print("no end", end="")
    speak()
"""


@pytest.mark.parametrize("core", ["c", "python"])
def test_lines_are_recorded_and_printed_as_they_were(core, tmp_path):
    recorded = record(
        tmp_path,
        PROGRAM,
        core=core,
        config={"stdout": True},
        env={"GIVEN": "hunter2", "PYTHONIOENCODING": "utf-8"},
    )
    told = [at["text"] for at in recorded.fields("stdout")]
    assert told[:7] == [
        "one 2 [3]", "ab", "two\nlines", "x", "y", "password=***",
        "surrogates not allowed",
    ]  # fmt: skip
    assert told[8].startswith("False 1 w <stdout> utf-8 True None True")
    assert "thread" in told
    assert "no end" in told[-1] or "no end" in told[-2]
    assert recorded.fields("stderr")[0]["text"] == "to stderr"
    first = recorded.events("stdout")[0]
    assert first.call.function == "speak"


@pytest.mark.parametrize("core", ["c", "python"])
def test_a_line_is_told_where_it_is_complete(core, tmp_path):
    """A line was kept back for as long as the text that it came with did not end with
    it, and told with the next one, in another function."""
    recorded = record(
        tmp_path,
        """
        import sys
        def work():
            sys.stdout.write("first line\\nsecond: ")
        def other():
            print("done")
            sys.stdout.write("\\n\\n")
            sys.stdout.write("a\\n" + "b" * 5000)
            sys.stdout.write("c")
            sys.stdout.write("\\n")
        work()
        other()
        """,
        core=core,
        config={"stdout": True},
    )
    told = [(at.call.function, at.summary) for at in recorded.events("stdout")]
    assert [(function, text[:12]) for function, text in told if text.strip()] == [
        ("work", "first line"),
        ("other", "second: done"),
        ("other", "a"),
        ("other", "b" * 12),
        ("other", "c"),
    ]


def test_a_closed_or_replaced_stdout_is_as_without_us(tmp_path):
    recorded = record(
        tmp_path,
        """
        import sys
        class Own:
            def write(self, text): return len(text)
            def flush(self): pass
        def run():
            print("seen")
            out, sys.stdout = sys.stdout, Own()
            print("to own")
            sys.stdout = out
            sys.stdout.close()
            try:
                print("closed")
            except ValueError as error:
                sys.stderr.write(str(error))
            sys.stdout = None
        run()
        """,
        config={"stdout": True},
    )
    assert [at["text"] for at in recorded.fields("stdout")] == ["seen"]


def test_without_the_setting_nothing_is_replaced(tmp_path):
    recorded = record(
        tmp_path,
        """
        import io, sys
        def run(): print(type(sys.stdout) is io.TextIOWrapper)
        run()
        """,
    )
    assert recorded.traced.stdout == "True\n"
    assert recorded.fields("stdout") == []
