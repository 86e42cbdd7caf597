"""The shrinker: what fails becomes a few lines that fail in the same way."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest

from kolo_c.validate.generate import Program, Target, generate, shrink

# 3.11's unparse; the text is the same on all, but for what only newer ones can say.
TARGET = Target((3, 10))


def _calls(program: Program, name: str) -> int:
    """How often the source calls something of that name; no run is needed for it."""
    return sum(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == name
        for node in ast.walk(ast.parse(program.source))
    )


def _program_with(name: str) -> Program:
    programs = (generate(seed, TARGET) for seed in range(200))
    return next(program for program in programs if _calls(program, name))


@pytest.mark.parametrize("name", ["throw", "create_task"])
def test_a_failing_program_becomes_a_line_or_two(name: str) -> None:
    program = _program_with(name)
    smallest = shrink(program, lambda one: _calls(one, name) > 0)
    assert _calls(smallest, name) == 1
    assert len(program.source.splitlines()) > 200
    assert len(smallest.source.splitlines()) <= 4, smallest.source
    assert smallest.seed == program.seed


def test_what_runs_wrong_is_shrunk_by_running_it() -> None:
    """As validate does; the failure is a line of the transcript."""
    source = """
def helper(value, *rest, key=None):
    try:
        if rest:
            return [value for value in rest]
    finally:
        print('helper', key)
    return value * 2

class Other:
    def method(self):
        return helper(3)

def steps(count):
    for n in range(count):
        got = yield helper(n, key=n)
        if got:
            print('FOUND', got)
    return None

def main():
    print(Other().method(), helper(1, 2, 3))
    it = steps(3)
    with open('/dev/null') as null:
        next(it)
        it.send('it')
        null.read()
    if helper(0) == 0:
        list(it)

main()
"""
    program = Program(0, TARGET, source)
    tried: list[int] = []

    def fails(one: Program) -> bool:
        printed: list[str] = []
        tried.append(len(one.source))
        names = {"print": lambda *values: printed.append(str(values[0]))}
        try:
            exec(compile(one.source, "shrunk", "exec"), names)
        except Exception:
            return False
        return "FOUND" in printed

    smallest = shrink(program, fails)
    assert fails(smallest)
    assert len(smallest.source.splitlines()) <= 12, smallest.source
    assert "helper" not in smallest.source
    assert "Other" not in smallest.source


def test_it_ends_after_so_many_programs() -> None:
    program = generate(3, TARGET)
    tried: list[Program] = []

    def fails(one: Program) -> bool:
        tried.append(one)
        return True

    shrink(program, fails, tries=20)
    assert len(tried) <= 21


def test_it_ends_when_the_time_is_up() -> None:
    program = generate(3, TARGET)
    assert shrink(program, lambda _: True, seconds=-1) == program


def test_what_it_gives_has_failed() -> None:
    """Also where nothing can be taken away."""
    program = generate(4, TARGET)
    only = shrink(program, lambda one: one.source == program.source, tries=50)
    assert only == program


def test_a_program_that_does_not_fail_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fail"):
        shrink(generate(1, TARGET), lambda _: False)


def test_candidates_are_programs_without_warnings() -> None:
    """A replaced part of an expression may make nonsense of it; that is not tried."""
    program = replace(
        generate(5, TARGET), source="x = [1, 2](3)\nprint((lambda: 0)())\n"
    )
    seen: list[str] = []

    def fails(one: Program) -> bool:
        seen.append(one.source)
        return "lambda" in one.source

    shrink(program, fails)
    assert "0()" not in "".join(seen)
    assert "None()" not in "".join(seen)
