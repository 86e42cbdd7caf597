"""From a program that fails to the few lines that make it fail.

Works on the program's syntax tree: takes statements away, first many at once and then
one by one; puts the body of a compound statement in its place; makes expressions
smaller. What still fails is kept. It ends when nothing more can be taken away, after
``tries`` programs, or when the time is up; what it returns has failed, always.

A candidate may be any nonsense that compiles: ``fails`` runs it with a limit of time,
and answers False for a program that fails in another way than the first one.

Threads: any; ``fails`` is called in this one. Owns: nothing.
Fails: ValueError where the program does not fail to begin with; what ``fails`` raises.
"""

from __future__ import annotations

import ast
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from kolo_c.validate.generate.program import Program

TRIES = 2000


def shrink(
    program: Program,
    fails: Callable[[Program], bool],
    *,
    tries: int = TRIES,
    seconds: float = 600,
) -> Program:
    """The smallest program found for which ``fails`` says True."""
    if not fails(program):
        raise ValueError("this program does not fail: there is nothing to shrink")
    search = _Search(program, fails, tries, time.monotonic() + seconds)
    try:
        search.run()
    except _Enough:
        pass
    return search.best


class _Enough(Exception):
    """As many programs were tried as may be."""


class _Search:
    """The best program so far, and what was tried."""

    def __init__(
        self,
        program: Program,
        fails: Callable[[Program], bool],
        tries: int,
        end: float,
    ) -> None:
        self.best = program
        self.tree = ast.parse(program.source)
        self.fails = fails
        self.tries = tries
        self.end = end
        self.seen: set[str] = set()

    def run(self) -> None:
        """Round after round, until one brings nothing."""
        size = len(self.best.source) + 1
        while len(self.best.source) < size:
            size = len(self.best.source)
            self._statements()
            self._each(_unwrapped)
            self._each(_smaller)

    def _accept(self, tree: ast.Module) -> bool:
        """Whether the tree fails too; it is the best one then."""
        try:
            source = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
            with warnings.catch_warnings():
                warnings.simplefilter("error", SyntaxWarning)
                compile(source, "<shrunk>", "exec")
        except (SyntaxError, SyntaxWarning, ValueError, RecursionError):
            return False
        # The first one is laid out by hand; after that, less text is less program.
        formatted = self.best.source == ast.unparse(self.tree) + "\n"
        if source in self.seen or (formatted and len(source) >= len(self.best.source)):
            return False
        self.seen.add(source)
        if self.tries <= 0 or time.monotonic() > self.end:
            raise _Enough
        self.tries -= 1
        candidate = replace(self.best, source=source)
        if not self.fails(candidate):
            return False
        self.best, self.tree = candidate, ast.parse(source)
        return True

    def _copy(self) -> ast.Module:
        """A tree of its own to change; parsing is five times as fast as copying."""
        return ast.parse(self.best.source)

    def _statements(self) -> None:
        """Take away runs of statements: half of each block, a quarter, … one."""
        index = 0
        while index < len(_blocks(self.tree)):
            self._thin(index)
            index += 1

    def _thin(self, index: int) -> None:
        """Thin out the block of that number, outermost blocks first."""
        size = len(_blocks(self.tree)[index])
        while size:
            at = 0
            while True:
                found = _blocks(self.tree)
                if index >= len(found) or at >= len(found[index]):
                    break
                tree = self._copy()
                body = _blocks(tree)[index]
                kept = body[:at] + body[at + size :]
                body[:] = kept or ([] if tree.body is body else [ast.Pass()])
                if not self._accept(tree):
                    at += size
            size //= 2

    def _each(self, changes: Callable[[ast.AST], Iterator[_Change]]) -> None:
        """Try each change of each node, beginning again at the node that changed."""
        number = 0
        while number < len(list(ast.walk(self.tree))):
            node = _node(self.tree, number)
            for choice in range(len(list(changes(node)))):
                tree = self._copy()
                change = list(changes(_node(tree, number)))[choice]
                change()
                if self._accept(tree):
                    number -= 1
                    break
            number += 1


_Change = Callable[[], object]


def _node(tree: ast.Module, number: int) -> ast.AST:
    return list(ast.walk(tree))[number]


def _blocks(tree: ast.AST) -> list[list[ast.stmt]]:
    """Every list of statements, outer ones before those within."""
    found = []
    for node in ast.walk(tree):
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                found.append(value)
    return found


def _unwrapped(node: ast.AST) -> Iterator[_Change]:
    """A compound statement becomes what is in it; clauses of it go."""
    for _, block in ast.iter_fields(node):
        if not isinstance(block, list):
            continue
        for at, statement in enumerate(block):
            if not isinstance(statement, ast.stmt):
                continue
            for inner in _bodies(statement):
                yield partial(_put, block, at, inner)
    for name in ("orelse", "finalbody", "handlers", "cases"):
        clauses = getattr(node, name, None)
        if isinstance(clauses, list):
            for at in range(len(clauses)):
                yield partial(clauses.pop, at)


def _put(items: list[Any], at: int, others: Sequence[Any]) -> None:
    items[at : at + 1] = others


def _drop(at: int, *lists: list[Any]) -> None:
    for items in lists:
        items.pop(at)


def _bodies(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of a compound statement that can stand alone."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return
    for name in ("body", "orelse", "finalbody"):
        block = getattr(statement, name, None)
        if isinstance(block, list) and block:
            yield block
    for clause in (
        *getattr(statement, "handlers", ()),
        *getattr(statement, "cases", ()),
    ):
        yield clause.body


def _smaller(node: ast.AST) -> Iterator[_Change]:
    """Expressions become None, 0 or a part of themselves; lists lose their items."""
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.expr) and not isinstance(
            getattr(value, "ctx", ast.Load()), (ast.Store, ast.Del)
        ):
            for other in _instead(value):
                yield partial(setattr, node, name, other)
        if isinstance(value, list) and name in _LISTS:
            for at in reversed(range(len(value))):
                yield partial(value.pop, at)
            for at, item in enumerate(value):
                if isinstance(item, ast.expr):
                    for other in _instead(item):
                        yield partial(_put, value, at, [other])
    if isinstance(node, ast.Dict):
        for at in range(len(node.keys)):
            yield partial(_drop, at, node.keys, node.values)
    if isinstance(node, ast.arguments):
        yield from _fewer(node)


_LISTS = (
    *("args", "keywords", "elts", "decorator_list", "bases", "names", "items"),
    *("generators", "ifs", "values", "type_params", "targets"),
)


def _instead(value: ast.expr) -> Iterator[ast.expr]:
    """What may stand where the expression stands; shortest first."""
    if isinstance(value, ast.Constant) and value.value in (None, 0):
        return
    yield ast.Constant(0)
    yield ast.Constant(None)
    for child in ast.iter_child_nodes(value):
        if isinstance(child, ast.expr):
            yield child


def _fewer(node: ast.arguments) -> Iterator[_Change]:
    """A parameter goes, with its default, or the default alone."""
    if node.vararg is not None:
        yield partial(setattr, node, "vararg", None)
    if node.kwarg is not None:
        yield partial(setattr, node, "kwarg", None)
    for at in range(len(node.kwonlyargs)):
        yield partial(_drop, at, node.kwonlyargs, node.kw_defaults)
    for kind in ("posonlyargs", "args"):
        for at in range(len(getattr(node, kind))):
            yield partial(_drop_parameter, node, kind, at)


def _drop_parameter(node: ast.arguments, kind: str, at: int) -> None:
    positional = len(node.posonlyargs) + len(node.args)
    number = at + (len(node.posonlyargs) if kind == "args" else 0)
    default = number - (positional - len(node.defaults))
    getattr(node, kind).pop(at)
    if default >= 0:
        node.defaults.pop(default)
