"""``kolo-c validate``: equal recordings are equal, and what differs is found and shown.

A program can tell its side by the folder of its store: so the tests make it differ.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kolo_c.validate.compare import compare
from kolo_c.validate.load import Recorded
from kolo_c.validate.normalise import ALL, NORMALISATIONS, without_hook_facts
from kolo_c.validate.sides import available_sides
from kolo_c.wire import Kind
from tests.spec.tracing import environment

ROOT = Path(__file__).resolve().parents[2]
TWICE = ("--sides", "c/setprofile,c/setprofile")
SECOND = """
import os
second = os.path.basename(os.environ.get('KOLO_C_PATH', '')).startswith('2-')
"""
pytest.importorskip("kolo_c._kolo")


def validate(
    folder: Path,
    source: str,
    *options: str,
    stdin: str = "",
    words: tuple[str, ...] = (),
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run ``kolo-c validate`` on a program of this source."""
    (folder / "pyproject.toml").write_text("")
    (folder / "program.py").write_text(textwrap.dedent(source))
    return subprocess.run(
        [sys.executable, "-m", "kolo_c", "validate", *TWICE, *options, "program.py", *words],
        cwd=folder,
        env={**environment(), **variables},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip


def found(folder: Path, source: str, *options: str) -> dict[str, Any]:
    """What it says of the only pair, as JSON; it ends with 1 where that differs."""
    done = validate(folder, source, "--json", *options)
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if result["equal"] else 1)
    assert len(result["comparisons"]) == 1
    return {**result["comparisons"][0], "untraced": result["untraced"]}


def counts(result: dict[str, Any]) -> dict[str, int]:
    """How often each normalisation was applied."""
    return {name: each["count"] for name, each in result["normalised"].items()}


def test_a_program_is_equal_to_itself_on_every_side(tmp_path: Path) -> None:
    result = found(
        tmp_path,
        """
        import asyncio, threading
        class Box:
            def __init__(self, content): self.content = content
            def swap(self, other): return {'a': self, 'b': [other, self], 'c': 1.5}
        def numbers():
            got = yield 1
            try: yield got
            except LookupError: yield 'caught'
        async def wait(n):
            await asyncio.sleep(0)
            return n
        async def both():
            return await asyncio.gather(wait(1), wait(2))
        def fail(): raise ValueError(Box(1))
        Box([]).swap(Box('x' * 5000))
        it = numbers(); next(it); it.send(2); it.throw(LookupError())
        asyncio.run(both())
        try: fail()
        except ValueError: pass
        thread = threading.Thread(target=wait, args=(3,), name='other')
        thread.start(); thread.join()
        """,
    )
    assert result["equal"]
    assert result["difference_count"] == 0
    assert result["records"]["CALL"] > 10
    kinds = {"RETURN", "YIELD", "RESUME", "RAISE", "TASK"}
    assert kinds <= set(result["records"])
    # 3.10 does not tell that something is thrown.
    assert ("THROW" in result["records"]) == (sys.version_info >= (3, 11))
    assert set(counts(result)) == {"address"}


@pytest.mark.skipif(
    "c/frame_eval" not in map(str, available_sides()), reason="3.10 and 3.11"
)
def test_an_exception_that_a_hook_does_not_tell_plugins_is_hidden(
    tmp_path: Path,
) -> None:
    result = found(
        tmp_path,
        """
        import kolo_c
        @kolo_c.plugin
        class Work(kolo_c.Plugin):
            watch = "__main__:work"
            kind = kolo_c.Kind("work", summary="work")
        def work(): raise ValueError
        try: work()
        except ValueError: pass
        """,
        "--sides",
        "c/setprofile,c/frame_eval",
    )
    assert result["equal"]
    assert result["records"]["PLUGIN_END"] == 1


def test_what_plugins_record_is_compared_and_what_they_cost_is_not(
    tmp_path: Path,
) -> None:
    result = found(
        tmp_path,
        """
        import threading
        import kolo_c
        class Work(kolo_c.Plugin):
            watch = ("__main__:work", "__main__:steps")
            kind = kolo_c.Kind("work", summary="{n}")
            def start(self, frame): return {"n": frame.f_locals["n"]}
            def finish(self, frame, value, exception): return {"value": value}
        class Steps(kolo_c.Plugin):
            watch = "__main__:steps"
            kind = kolo_c.Kind("steps")
            boundary = True
        kolo_c.plugin(Steps)
        kolo_c.plugin(Work)
        def work(n): return n
        def steps(n):
            yield n
            thread = threading.Thread(target=work, args=(n,))
            thread.start()
            thread.join()
        work(1)
        list(steps(2))
        """,
    )
    assert result["equal"]
    assert result["records"]["PLUGIN"] == result["records"]["PLUGIN_END"] == 4
    assert result["records"]["RESUME"] == 3
    assert set(counts(result)) <= {"site-in-cache"}


def test_blocks_are_compared_with_their_headers(tmp_path: Path) -> None:
    result = found(
        tmp_path,
        """
        def deep(n, text): return deep(n - 1, text) if n else text
        deep(300, 'x' * 900)
        """,
    )
    assert result["equal"]
    assert result["records"]["CALL"] == 302


def test_the_first_difference_is_shown_with_what_came_before_and_its_line(
    tmp_path: Path,
) -> None:
    source = f"""{SECOND}
def work(n):
    return 'wrong' if second and n == 2 else n
for n in range(4): work(n)
"""
    done = validate(tmp_path, source)
    assert done.returncode == 1
    assert "6 records are equal" in done.stdout
    assert "process program.py, thread MainThread: record 7" in done.stdout
    assert 'before        CALL {"dt": 1' in done.stdout
    assert 'c/setprofile  RETURN {"dt": 1, "value": 2, "locals": []}' in done.stdout
    assert 'c/setprofile  RETURN {"dt": 1, "value": "wrong", ' in done.stdout
    assert f"{tmp_path}/program.py:5  def work(n):" in done.stdout


@pytest.mark.parametrize(
    "change",
    ["True if second else 1", "1.0 if second else 1", "-0.0 if second else 0.0"],
)
def test_values_that_python_calls_equal_differ(tmp_path: Path, change: str) -> None:
    result = found(tmp_path, f"{SECOND}\ndef work(): return {change}\nwork()\n")
    assert result["difference_count"] >= 1
    assert result["differences"][0]["first"]["kind"] == "RETURN"


@pytest.mark.parametrize(
    ("one", "other"),
    [("hex(123456789)", "hex(987654321)"), ("1_700_000_000_001", "1_700_000_000_002"),
     ("hex((1 << 44) - 8)", "hex((1 << 44) - 16)"), ("(1 << 45) + 1", "(1 << 45) + 2")],
)  # fmt: skip
def test_a_number_that_is_no_address_is_compared(
    one: str, other: str, tmp_path: Path
) -> None:
    result = found(
        tmp_path,
        f"{SECOND}\nvalue = {one} if second else {other}\n"
        "def work(value): pass\nwork(value)\nprint(value)\n",
    )
    assert result["differences"][0]["first"]["kind"] == "CALL"
    (stdout,) = result["outputs"]
    assert stdout["what"] == "stdout"


def test_a_program_that_ends_with_an_exception_is_equal_to_itself(
    tmp_path: Path,
) -> None:
    """Its trace says which, with the addresses of it and of its cause."""
    result = found(
        tmp_path,
        """
        def work():
            try: raise ValueError(1)
            except ValueError as error: raise LookupError from error
        work()
        """,
    )
    assert result["equal"], result["differences"]


def test_facts_that_python_calls_equal_differ() -> None:
    one, other = ({"program.py": {"size": size}} for size in (1, True))
    comparison = compare(Recorded(files=one), Recorded(files=other))
    assert [each.what for each in comparison.differences] == ["program.py"]


def test_the_same_object_is_told_from_an_equal_one(tmp_path: Path) -> None:
    result = found(
        tmp_path,
        f"""{SECOND}
class Box: pass
def pair(a, b): pass
box = Box()
pair(box, Box() if second else box)
""",
    )
    assert not result["equal"]
    shown = [
        result["differences"][0][side]["arguments"] for side in ("first", "second")
    ]
    addresses = [[value["items"][1] for value in values] for values in shown]
    assert addresses == [["@1", "@1"], ["@1", "@2"]]


def test_a_definition_that_differs_is_found(tmp_path: Path) -> None:
    result = found(
        tmp_path,
        f"""{SECOND}
exec(compile('def work(b): pass' if second else 'def work(a): pass', __file__, 'exec'))
work(1)
""",
    )
    assert not result["equal"]


def test_output_and_exit_code_are_compared_with_the_untraced_program(
    tmp_path: Path,
) -> None:
    done = validate(
        tmp_path,
        f"""{SECOND}
import sys
def work(): pass
work()
print('two' if second else 'one')
sys.exit(3 if second else 0)
""",
    )
    assert done.returncode == 1
    assert "the program behaves differently: stdout" in done.stdout
    assert "the program behaves differently: exit code" in done.stdout
    assert "untraced      one\n      c/setprofile  two" in done.stdout


def test_standard_input_and_arguments_reach_every_side(tmp_path: Path) -> None:
    source = """
        import sys
        def work(*words): print(words)
        work(sys.stdin.read(), *sys.argv[1:])
        """
    kept = tmp_path / "kept"
    done = validate(
        tmp_path, source, "--output", str(kept), stdin="hello", words=("--json", "x")
    )
    assert done.returncode == 0
    first, second = sorted(kept.iterdir())
    assert (first.name, second.name) == ("1-c-setprofile.json", "2-c-setprofile.json")
    assert first.read_text() == second.read_text()
    trace = json.loads(first.read_text())["traces"][0]
    assert (trace["kind"], trace["name"]) == ("process", "program.py")
    assert trace["threads"][0]["records"][1]["arguments"] == [
        {"$": "TUPLE", "items": ["hello", "--json", "x"]}
    ]


# ---- each normalisation: a program that needs it, and nothing else does it ----

NEEDS = {
    "address": "class A: pass\ndef work(a): return a\nwork(A())\n",
    "address-in-text": "def work(a): return repr(a)\nwork(object())\n",
    "address-as-number": "def work(a): return id(a)\nwork(object())\n",
    "process-id": "import os\ndef work(): return os.getpid()\nwork()\n",
    "thread-ident": "import threading\ndef work(): return threading.get_ident()\nwork()\n",
    "descriptor": """
import selectors
if os.path.basename(os.environ.get('KOLO_C_PATH', '')).startswith('2-'):
    kept = os.open(os.devnull, os.O_RDONLY)
def work(selector, key): return selector, key
selector = selectors.DefaultSelector()
work(selector, selector.register(os.pipe()[0], selectors.EVENT_READ))
""",
    "set-order": """
class Box:
    def __init__(self, n): self.n = n
def work(boxes): return boxes
second = os.path.basename(os.environ.get('KOLO_C_PATH', '')).startswith('2-')
kept = list(map(object.__new__, [Box] * 7 * second))  # those that follow lie elsewhere
work({Box(n) for n in range(300)})
""",
    "site-in-cache": "def work(n): return n\ndef outer(): return work(1)\nouter()\n",
    "hidden-exception": """
def work(n):
    yield n
def fail(): raise ValueError(1)
try: fail()
except ValueError: pass
it = work(1); next(it)
try: it.throw(LookupError())
except LookupError: pass
""",
    "cut-elsewhere": """
class Box: pass
def fail(n): raise type(f'E{n}', (Exception,), {})
def work(boxes): return boxes
for n in range(250):  # until a type's number takes a byte more
    try: fail(n)
    except Exception: pass
work([[Box() for _ in range(300)] for _ in range(12)])
""",
    "block-elsewhere": """
import asyncio
class Box: pass
def fail(n): raise type(f'E{n}', (Exception,), {})
def work(boxes): pass
async def main():
    for n in range(250):
        try: fail(n)
        except Exception: pass
    for _ in range(300): work([Box() for _ in range(100)])
asyncio.run(main())
""",
    "handled-here": """
def work(n):
    try: return n / 0
    except ZeroDivisionError: return n
work(1)
""",
    "child-id": """
import os
def work(n): return n
child = os.fork()
work(1)
if child: os.waitpid(child, 0)
""",
}


SIDES = dict.fromkeys(
    ("site-in-cache", "hidden-exception", "cut-elsewhere", "block-elsewhere"),
    "c/setprofile,c/frame_eval",
)
SIDES["handled-here"] = "c/setprofile,c/monitoring"


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_a_normalisation_is_needed_and_counted(each: Any, tmp_path: Path) -> None:
    much: tuple[str, ...] = ("--set", "items=400", "--set", "record_bytes=32768")
    sides = SIDES.get(each.name)
    if sides is not None:
        if not set(sides.split(",")) <= set(map(str, available_sides())):
            pytest.skip(f"no {sides} here")
        if each.name == "site-in-cache" and sys.version_info < (3, 11):
            pytest.skip("3.10 has no inline caches")
        much += ("--sides", sides, "--set", "exceptions=all")
    result = found(tmp_path, f"import os\n{NEEDS[each.name]}", *much)
    assert result["equal"], result["differences"]
    assert counts(result)[each.name] >= 1
    reasons = {each.name: each.reason for each in ALL}
    for name, applied in result["normalised"].items():
        assert applied["reason"] == reasons[name]


def _equal_but_for_hooks(
    setprofile: list[Any], frame_eval: list[Any], turned: bool
) -> bool:
    one, other, hooks = [setprofile], [frame_eval], ("setprofile", "frame_eval")
    if turned:
        one, other, hooks = other, one, hooks[::-1]
    one, other = without_hook_facts(one, other, hooks, Counter())
    return one == other


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("setprofile", "frame_eval", "equal"),
    [(9, 5, True), (7, 5, True), (5, 5, True), (8, 5, False), (5, 9, False), (10, 5, False)],
)  # fmt: skip
def test_a_place_is_behind_a_cache_of_setprofile_alone(
    setprofile: int, frame_eval: int, equal: bool, turned: bool
) -> None:
    if sys.version_info < (3, 11):
        equal = setprofile == frame_eval
    one, other = ([Kind.YIELD, 1, "value", at] for at in (setprofile, frame_eval))
    assert _equal_but_for_hooks(one, other, turned) == equal
    one, other = ([Kind.PLUGIN, 1, 2, {}, at] for at in (setprofile, frame_eval))
    assert _equal_but_for_hooks(one, other, turned) == equal


@pytest.mark.parametrize("turned", [False, True])
def test_a_throw_is_hidden_no_further_than_the_version_hides_it(turned: bool) -> None:
    begins = [1, None, 2, "code", 3]
    resume = [Kind.RESUME, *begins]
    unknown, one, other = ([Kind.THROW, *begins, what] for what in (None, "E", "F"))
    assert _equal_but_for_hooks(unknown, one, turned)
    assert not _equal_but_for_hooks(one, other, turned)
    hidden = sys.version_info < (3, 11)
    assert _equal_but_for_hooks(resume, one, turned) == hidden


def test_a_set_of_other_objects_is_another_set(tmp_path: Path) -> None:
    result = found(
        tmp_path,
        f"""{SECOND}
class Box:
    def __init__(self, n): self.n = n
def work(boxes): return boxes
work({{Box(n) for n in range(20 + second)}})
""",
    )
    assert not result["equal"]


def test_the_page_lists_every_normalisation() -> None:
    page = (ROOT / "docs" / "explanation" / "validation.md").read_text()
    for each in ALL:
        assert f"| {each.name} | {each.reason} | {each.pythons}" in page
    assert set(NORMALISATIONS) < set(ALL)


# ---- what cannot be compared ----


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sides", "c/setprofile", "program.py"), "two sides make a comparison"),
        (("--sides", "c/setprofile,c/what", "program.py"), "there is no side 'c/what'"),
        (("--hook", "setprofile", "program.py"), "--hook is one side alone"),
        (("--set", "hook=setprofile", "program.py"), "--hook is one side alone"),
        (("--set", "core = c", "program.py"), "--core is one side alone"),
        (("--output", "program.py", "program.py"), "--output program.py: File exists"),
        (("--timeout", "0", "program.py"), "a number above 0 is needed, not '0'"),
        (("--timeout", "nan", "program.py"), "a number above 0 is needed, not 'nan'"),
        (("--generate", "3", "program.py"), "and no program"),
        ((), "there is no program to run"),
        (("nothing.py",), "nothing.py"),
    ],
)
def test_wrong_words_are_refused(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "program.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "kolo_c", "validate", *words],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_program_of_which_nothing_is_recorded_is_no_proof(tmp_path: Path) -> None:
    done = validate(tmp_path, "syntax error")
    assert done.returncode == 1
    assert "nothing of program.py was recorded" in done.stderr


SLEEPER = """
import subprocess, sys
def work(): pass
work()
subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])
"""


def _all_have_ended(folder: Path) -> bool:
    """Of what ran in ``folder``, and of its temporary folder."""
    running = [os.readlink(path) for path in Path("/proc").glob("[0-9]*/cwd")
               if os.access(path, os.R_OK)]  # fmt: skip
    return str(folder) not in running and not os.listdir(folder / "tmp")


def test_a_program_that_does_not_end_is_no_proof_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    """Nor do the processes that it has started go on."""
    (tmp_path / "tmp").mkdir()
    began = time.monotonic()
    done = validate(tmp_path, SLEEPER, "--timeout", "1", TMPDIR=f"{tmp_path}/tmp")
    assert time.monotonic() - began < 20
    assert done.returncode == 1
    assert "program.py took longer than 1 s untraced" in done.stderr
    assert _all_have_ended(tmp_path)


def test_a_side_that_does_not_end_differs(tmp_path: Path) -> None:
    source = f"{SECOND}\ndef work(): pass\nwork()\nwhile second: pass\n"
    done = validate(tmp_path, source, "--timeout", "1")
    assert done.returncode == 1
    assert "exit code\n      untraced      0\n" in done.stdout
    assert "c/setprofile  it took too long" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_all_runs_and_leaves_nothing(
    number: signal.Signals, tmp_path: Path
) -> None:
    """Those that wait for their turn do not begin."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "program.py").write_text(SLEEPER)
    sides = ",".join(["c/setprofile"] * 9)
    process = subprocess.Popen(
        [sys.executable, "-m", "kolo_c", "validate", "--sides", sides, "program.py"],
        cwd=tmp_path,
        env={**environment(), "TMPDIR": f"{tmp_path}/tmp"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    while not list((tmp_path / "tmp").glob("*/*")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    said, _ = process.communicate(timeout=20)
    assert (process.returncode, said) == (128 + number, b"")
    assert _all_have_ended(tmp_path)


def test_the_settings_of_the_project_hold(tmp_path: Path) -> None:
    (tmp_path / ".kolo_c").mkdir()
    (tmp_path / ".kolo_c" / "config.toml").write_text(
        'ignore_frames = ["qualname:work"]\n'
    )
    result = found(tmp_path, "def work(): pass\nwork()\n")
    assert result["records"] == {"CALL": 1, "RETURN": 1}
    assert sorted(os.listdir(tmp_path / ".kolo_c")) == ["config.toml"]
