"""Which kind of value a type's instances are; twin of ``src/trace/value_shape.c``.

Decided from type flags, the order of the type's bases, and the names of library
classes, once per type and anew when slots come to it or its bases change. What is made
in C is recognised by identity or as a type that no `class` statement makes; a class of
the program can only pretend to be a library class whose fields are read through its own
slots.

Threads: any. Owns: nothing: no class is kept alive. Fails: never.
"""

from __future__ import annotations

import sys
import types

from kolo_c.reference import instance
from kolo_c.reference.instance import borrow_entry as borrow_entry
from kolo_c.reference.instance import type_dict, type_flags, type_mro
from kolo_c.reference.value_chosen import chosen_fields
from kolo_c.reference.value_state import Shape, ValueKind

_PYPY = sys.implementation.name == "pypy"

DESCRIPTORS: tuple[type, ...] = ()
if not _PYPY:  # there they are functions and classmethods
    DESCRIPTORS = (
        types.MethodDescriptorType,
        types.ClassMethodDescriptorType,
        types.WrapperDescriptorType,
    )

_EXACT: dict[type, ValueKind] = {
    int: ValueKind.INT,
    str: ValueKind.STR,
    float: ValueKind.FLOAT,
    range: ValueKind.RANGE,
    memoryview: ValueKind.VIEW,
    **dict.fromkeys(DESCRIPTORS, ValueKind.DESCRIPTOR),
    types.BuiltinFunctionType: ValueKind.CFUNCTION,
    types.FunctionType: ValueKind.FUNCTION,
    types.MethodType: ValueKind.METHOD,
    types.CodeType: ValueKind.REF_ONLY,
    types.FrameType: ValueKind.REF_ONLY,
    types.TracebackType: ValueKind.REF_ONLY,
    types.GeneratorType: ValueKind.REF_ONLY,
    types.CoroutineType: ValueKind.REF_ONLY,
    types.AsyncGeneratorType: ValueKind.REF_ONLY,
    types.CellType: ValueKind.REF_ONLY,
    property: ValueKind.REF_ONLY,
    types.GetSetDescriptorType: ValueKind.REF_ONLY,
    types.MemberDescriptorType: ValueKind.REF_ONLY,
}
"""Types that are looked at by identity alone."""

_BUILTIN: dict[type, ValueKind] = {
    int: ValueKind.INT,
    str: ValueKind.STR,
    float: ValueKind.FLOAT,
    bytes: ValueKind.BYTES,
    bytearray: ValueKind.BYTEARRAY,
    list: ValueKind.LIST,
    tuple: ValueKind.TUPLE,
    dict: ValueKind.DICT,
    set: ValueKind.SET,
    frozenset: ValueKind.FROZENSET,
    complex: ValueKind.COMPLEX,
    type: ValueKind.CLASS,
    types.ModuleType: ValueKind.MODULE,
}
"""Builtin types that are also looked at through their subclasses."""

DICTS: tuple[type, ...] = (dict,)
if sys.version_info >= (3, 15):
    import builtins

    DICTS = (dict, builtins.frozendict)


try:
    # Not `datetime`: a script's folder may hold a datetime.py of its own.
    import _datetime  # type: ignore[import-not-found, unused-ignore]
except ImportError:  # no module made in C
    import datetime as _datetime

DATETIME: dict[type, ValueKind] = {
    _datetime.datetime: ValueKind.DATETIME,
    _datetime.date: ValueKind.DATE,
    _datetime.time: ValueKind.TIME,
    _datetime.timedelta: ValueKind.TIMEDELTA,
}
TIMEZONE = _datetime.timezone
_type_name = type.__dict__["__name__"].__get__
_type_module = type.__dict__["__module__"].__get__


def _told_name(cls: type) -> str | None:
    """The name of ``cls`` in C, which is told nowhere else than in the message
    "int.__new__(NAME): NAME is not a subtype of int"."""
    other = bytes if issubclass(cls, int) else int
    try:
        other.__new__(cls)
    except TypeError as error:
        text = str(error)
        start = text.find("(") + 1
        end = text.find("): ", start)
        if 0 < start < end and text.startswith(f"{other.__name__}.__new__("):
            return text[start:end]
    return None


def type_name(cls: type) -> str:
    """The name that C knows ``cls`` by: with its module, where it was made in C."""
    told = None if _PYPY else _told_name(cls)
    if told is not None:
        return told
    name: str = _type_name(cls)
    module = None if is_python(cls) else _type_module(cls)
    return name if module in (None, "builtins") else f"{module}.{name}"


def is_python(cls: type) -> bool:
    """Whether ``cls`` was made by a `class` statement: a type that may be changed. (A
    few types made in C may be, too.)"""
    made = instance.HEAPTYPE | instance.IMMUTABLETYPE
    return bool(type_flags(cls) & made == instance.HEAPTYPE)


def _is_class(cls: type, name: str, *modules: str) -> bool:
    """Whether the class ``name`` was defined in one of ``modules``, by its own
    account."""
    if _type_name(cls) != name or not is_python(cls):
        return False
    defined = borrow_entry(type_dict(cls), "__module__")
    return type(defined) is str and defined in modules


def _of_library(base: type) -> ValueKind:
    """A class of the library, by name: those made in Python are read through their
    slots, those made in C by their own methods."""
    kind = DATETIME.get(base) if type(base) is type else None
    if kind is not None:
        return kind
    if _PYPY and _is_class(base, "Decimal", "decimal", "_decimal"):
        return ValueKind.DECIMAL
    if is_python(base):
        if _is_class(base, "UUID", "uuid"):
            return ValueKind.UUID
        if _is_class(base, "PurePath", "pathlib", "pathlib._local"):
            return ValueKind.PATH
        return ValueKind.OBJECT
    name = type_name(base)
    if name == "decimal.Decimal":
        return ValueKind.DECIMAL
    if name in ("array.array", "mmap.mmap"):
        return ValueKind.BUFFER
    if name.startswith("numpy."):
        return numpy_kind(base, name)
    return ValueKind.OBJECT


NUMPY_SCALARS = frozenset(
    "numpy.bool numpy.bool_ numpy.int8 numpy.uint8 numpy.int16 numpy.uint16 numpy.int32"
    " numpy.uint32 numpy.int64 numpy.uint64 numpy.longlong numpy.ulonglong"
    " numpy.float32".split()
)


def numpy_kind(base: type, name: str) -> ValueKind:
    """NumPy's types are static ones, which no `class` statement makes."""
    if type_flags(base) & instance.HEAPTYPE:
        return ValueKind.OBJECT
    if name == "numpy.ndarray":
        return ValueKind.NDARRAY
    return ValueKind.NUMPY_SCALAR if name in NUMPY_SCALARS else ValueKind.OBJECT


def _is_enum(cls: type) -> bool:
    """Whether ``cls`` is an Enum: its metaclass says so."""
    meta = type(cls)
    return meta is not type and any(
        _is_class(base, "EnumType", "enum") or _is_class(base, "EnumMeta", "enum")
        for base in type_mro(meta)
        if issubclass(type(base), type)
    )


def _find_names(cls: type) -> tuple[str, ...] | None:
    """The `_fields` of a tuple's subclass: a tuple of strings, or None."""
    for base in type_mro(cls):
        if not issubclass(type(base), type):
            continue
        names = borrow_entry(type_dict(base), "_fields")
        if names is not None:
            if type(names) is tuple and all(type(name) is str for name in names):
                return names
            return None
    return None


def _of_tuple(shape: Shape, cls: type) -> None:
    """What a tuple's subclass is: a namedtuple, a struct sequence (os.stat_result),
    neither."""
    names = _find_names(cls)
    if names is not None:
        shape.kind = ValueKind.NAMEDTUPLE
        shape.names = names
        return
    if borrow_entry(type_dict(cls), "n_sequence_fields") is not None:
        shape.kind = ValueKind.STRUCTSEQ
        # Members without a name, which os.stat_result has, come last.
        shape.names = tuple(borrow_entry(type_dict(cls), "__match_args__") or ())


def _by_bases(shape: Shape, cls: type) -> None:
    for at, base in enumerate(type_mro(cls)):
        if base is object or not issubclass(type(base), type):
            continue
        kind = _BUILTIN.get(base) if type(base) is type else None
        if kind is None:
            kind = _of_library(base)
        if kind is not ValueKind.OBJECT:
            shape.kind = kind
            shape.base = at
            shape.exact = base is cls
            break
    if shape.kind is ValueKind.TUPLE and not shape.exact:
        _of_tuple(shape, cls)


def _exact_kind(cls: type) -> ValueKind | None:
    if type(cls) is not type:
        return None
    kind = _EXACT.get(cls)
    if kind is None and types.BuiltinFunctionType in cls.__bases__:
        return ValueKind.CFUNCTION  # of a method that is told its class
    return kind


def decide(cls: type) -> Shape:
    """The shape of ``cls`` as it is now."""
    shape = Shape(instance.Slots(cls))
    kind = _exact_kind(cls)
    if kind is not None:
        shape.kind = kind
    elif issubclass(cls, BaseException):
        shape.kind = ValueKind.EXCEPTION
    elif _is_enum(cls):
        shape.kind = ValueKind.ENUM
    elif issubclass(cls, DICTS):
        shape.kind = ValueKind.DICT
        shape.exact = cls is dict
    else:
        _by_bases(shape, cls)
        slots = shape.slots
        is_bare = not slots.list and not slots.has_dict
        # A class without a dict has slots: this is none.
        is_bare = is_bare and borrow_entry(type_dict(cls), "__slots__") is None
        if shape.kind is ValueKind.OBJECT and is_bare:
            shape.kind = ValueKind.OPAQUE
    if shape.kind is ValueKind.OBJECT:
        shape.chosen = chosen_fields(cls, _is_class)
    return shape
