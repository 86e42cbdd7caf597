"""Functions and modules: written as their names; twin of ``src/trace/value_name.c``.

Threads, Owns, Fails: as value.py.
"""

from __future__ import annotations

import gc
import types

from kolo_c.reference import value_text
from kolo_c.reference.instance import type_dict
from kolo_c.reference.value_shape import DESCRIPTORS, borrow_entry, type_name
from kolo_c.wire import Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.reference.value import Values
    from kolo_c.reference.wire import Cursor

_NAME_TEXT_BYTES = 400
"""module.qualname"""
_METHOD_LEVELS = 8
"""A method of a method of …: no program's own."""
_module_dict = type_dict(types.ModuleType)["__dict__"].__get__


class _Name:
    """Parts, joined by dots; the first may take half of the room."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = b""

    def add(self, text: Any) -> None:
        if type(text) is not str:
            return
        room = _NAME_TEXT_BYTES // 2
        if self.data:
            self.data += b"."
            room = _NAME_TEXT_BYTES - len(self.data)
        self.data += value_text.copy_text(text, room)

    def add_utf8(self, text: str) -> None:
        """A name that is no str in C: cut wherever the room ends."""
        room = _NAME_TEXT_BYTES // 2
        if self.data:
            self.data += b"."
            room = _NAME_TEXT_BYTES - len(self.data)
        self.data += text.encode("utf-8", "surrogatepass")[:room]

    def write(self, values: Values, cursor: Cursor, value: Any, tag: Tag) -> None:
        if len(self.data) + 8 > values.room(cursor):
            values.cut(cursor, value, None)
            return
        cursor.tag(tag, 1)
        cursor.str(self.data)


def _module_name(module: Any) -> Any:
    """From the module's dict, not by __getattr__."""
    entries = _module_dict(module)  # None until 3.10 where __init__ did not run
    return None if entries is None else borrow_entry(entries, "__name__")


def _self_of(function: Any) -> tuple[bool, Any]:
    """What a C function is bound to, if it is. `__self__` is None also for those bound
    to nothing, and for static ones, which C has bound to their type or module."""
    bound = function.__self__
    if bound is not None:
        return True, bound
    module = function.__module__
    held = gc.get_referents(function)
    if module is not None and held and held[-1] is module:
        held.pop()
    return (True, held[0]) if held else (False, None)


def _add_cfunction(name: _Name, function: Any) -> None:
    is_bound, bound = _self_of(function)
    if not is_bound:
        name.add(function.__module__)
    elif issubclass(type(bound), types.ModuleType):
        name.add(_module_name(bound))
    else:
        owner = bound if issubclass(type(bound), type) else type(bound)
        name.add_utf8(type_name(owner))
    name.add_utf8(function.__name__)


def write_function(values: Values, cursor: Cursor, value: Any) -> bool:
    """A function of any kind; False for a method of a callable object: the object is
    what matters."""
    name = _Name()
    levels = 0
    while type(value) is types.MethodType and levels < _METHOD_LEVELS:
        value = value.__func__
        levels += 1
    cls = type(value)
    if cls is types.FunctionType:
        name.add(value.__module__)
        name.add(value.__qualname__)
    elif issubclass(cls, types.BuiltinFunctionType):
        _add_cfunction(name, value)
    elif any(cls is kind for kind in DESCRIPTORS):
        name.add_utf8(type_name(value.__objclass__))
        name.add(value.__name__)
    else:
        return False
    name.write(values, cursor, value, Tag.FUNCTION)
    return True


def write_module(values: Values, cursor: Cursor, value: Any) -> None:
    """A module, or an instance of a subclass."""
    name = _Name()
    name.add(_module_name(value))
    name.write(values, cursor, value, Tag.MODULE)
