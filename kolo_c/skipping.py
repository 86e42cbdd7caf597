"""The code behind what ``kolo_c.skip`` is given, and the table of it.

Threads: any. Owns: weak references to the code objects in ``SKIPPED``.
Fails: TypeError for what has no code.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    WrapperDescriptorType,
)
from weakref import ref

from kolo_c.scope import SKIPPED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

    from kolo_c.session import Session

_IN_C = (
    BuiltinFunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
_WITH_FUNC = (functools.partial, functools.partialmethod, functools.cached_property)
_PARTS_OF_A_FUNCTION = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
_LAYERS = 100


def skip_all(target: object, session: Session | None) -> None:
    """Let no further call of ``target`` be recorded, by ``session`` either."""
    for code in list(_codes(target)):
        for part in _with_comprehensions(code):
            _remember(part)
            if session is not None:
                session.skip_code(part)


def _remember(code: CodeType) -> None:
    key = id(code)
    if key not in SKIPPED:
        SKIPPED[key] = ref(code, lambda _: SKIPPED.pop(key, None))


def _codes(target: object) -> Iterator[CodeType]:
    if isinstance(target, type):
        yield from _codes_of_class(target)
        return
    found = False
    for function in _functions(target):
        found = True
        if _is_python(function):
            yield function.__code__
    if not found:
        raise TypeError(
            "kolo_c.skip() takes a function, a method or a class, "
            f"not {type(target).__name__}"
        )


def _codes_of_class(owner: type) -> Iterator[CodeType]:
    for member in list(vars(owner).values()):
        if isinstance(member, type):
            # A class that stands in it, not one that it only has a name for.
            if member.__qualname__.startswith(f"{owner.__qualname__}."):
                yield from _codes_of_class(member)
            continue
        for function in _functions(member):
            if _is_python(function):
                yield function.__code__


def _is_python(function: object) -> TypeGuard[FunctionType]:
    """PyPy's functions in C are of that type too, with code of another one."""
    return isinstance(function, FunctionType) and isinstance(
        function.__code__, CodeType
    )


def _functions(target: object, layers: int = 0) -> Iterator[object]:
    """The functions that ``target`` stands for: Python's, or one of C's as it is."""
    if layers > _LAYERS:
        return
    if isinstance(target, property):
        inner = [target.fget, target.fset, target.fdel]
    elif isinstance(target, _WITH_FUNC):
        inner = [target.func]
    elif isinstance(target, (MethodType, staticmethod, classmethod)):
        inner = [target.__func__]
    elif hasattr(target, "__wrapped__"):
        inner = [target.__wrapped__]
    elif isinstance(target, (FunctionType, *_IN_C)):
        yield target
        return
    elif callable(target) and not isinstance(target, type):
        inner = [getattr(type(target), "__call__", None)]  # noqa: B004 - not to ask
    else:
        return
    for function in inner:
        yield from _functions(function, layers + 1)


def _with_comprehensions(code: CodeType) -> Iterator[CodeType]:
    """A comprehension is a part of its function, which newer Pythons have inlined."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and constant.co_name in _PARTS_OF_A_FUNCTION:
            yield from _with_comprehensions(constant)
