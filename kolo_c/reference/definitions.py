"""Numbered strings, code objects, types, files; twin of src/session/definitions.c.

A definition is written to the log once, before the first record that needs it, and is
never dropped; its number is the process's. A definition that cannot be kept (the table
is full, no block is to be had) is number 0, and the record that needed it is lost and
counted. Threads, tasks and traces are in definitions_traces.py.

The log's blocks come from the pool; the queue always knows the one being filled, so
that the writer saves definitions before the records that need them.

Threads: any, with the session's lock.
Owns: the log's stream, the tables, references to the names in them.
Fails: by number 0.

A type is known by its address, its name object and its module's. They are held, so a
type of another name or module at the same address is told apart from the old one.
"""

from __future__ import annotations

import sys
from stat import S_ISREG

from kolo_c.reference import clock, system, text
from kolo_c.reference.block import BLOCK_DEFINITIONS
from kolo_c.reference.definitions_traces import TraceDefinitions
from kolo_c.reference.status import Status
from kolo_c.reference.stream import Stream
from kolo_c.wire import Definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType

    from kolo_c.reference.mapping import Mapping
    from kolo_c.reference.queue import Queue
    from kolo_c.reference.wire import Cursor

PATH_MAX_BYTES = 4096
SOURCE_MAX_BYTES = 24576
"""In the log itself; longer text is left out."""
LINE_TABLE_MAX_BYTES = 16384
NAMES_MAX = 255
NAME_MAX_BYTES = 1024
TYPES_MOST = 65536
_IS_PYPY = sys.implementation.name == "pypy"
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE

_DICT_OF = type.__dict__["__dict__"].__get__
_QUALNAME_OF = type.__dict__["__qualname__"].__get__
_FLAGS_OF = type.__dict__["__flags__"].__get__
_NAME_OF = type.__dict__["__name__"].__get__


class CodeFacts:
    """What a CODE definition says. ``argument_count`` slots are arguments."""

    __slots__ = (
        "argument_count",
        "brief",
        "code",
        "file",
        "module",
        "qualname",
        "self_kind",
    )

    def __init__(
        self,
        file: int,
        code: CodeType,
        qualname: str,
        module: str | None,
        argument_count: int,
        self_kind: int,
    ) -> None:
        self.file = file
        self.code = code
        self.qualname = qualname
        self.module = module
        self.argument_count = argument_count
        self.self_kind = self_kind  # 0 none, 1 self, 2 cls
        self.brief = False  # without lines and names of locals: too long otherwise


class Definitions(TraceDefinitions):
    """See the module."""

    def __init__(self, mapping: Mapping, queue: Queue) -> None:
        self.mapping = mapping
        self.queue = queue
        self.log = Stream(0, 0)
        self.last = 0
        """The highest number so far: what a block handed over now may need."""
        self._types: dict[int, tuple[str | None, str | None, int]] = {}
        self._strings: dict[str, int] = {}
        self._files: dict[str, int] = {}

    # ---- the log ----

    def _next_block(self) -> bool:
        """Give the log a new block; the old one goes to the queue in the same step."""
        block = self.mapping.take()
        if block is None:
            return False
        log = self.log
        first_before = log.next_node
        full = log.take_block(None, 0)
        at, end = log.at, log.end
        if full is not None:
            full.definition = first_before  # its first number
            at, end = full.bytes(), full.bytes()
        log.give_block(block, BLOCK_DEFINITIONS, clock.ns())
        block.definition = self.last + 1
        log.next_node = self.last + 1
        if self.queue.set_definitions(block, full) is Status.OK:
            return True
        # Nobody would ever save the new block: stay with the full one, where nothing
        # fits.
        log.take_block(None, 0)
        self.mapping.give(block)
        log.next_node = first_before
        log.next_sequence -= 1
        log.block = full
        log.at, log.end = at, end
        return False

    def write(self, kind: int, fields: int, fill: Callable[[Cursor], None]) -> int:
        """Write definition ``kind`` with ``fields`` fields after its number.

        ``fill`` writes them, at most twice: the second time in a new block. Its number;
        0 where no block is left.
        """
        for attempt in range(2):
            number = self.last + 1
            cursor = self.log.begin_plain()
            if cursor.status is Status.OK:
                cursor.array(fields + 2)
                cursor.uint(kind)
                cursor.uint(number)
                fill(cursor)
            # A signal's handler may have come between, with a definition of its own.
            if cursor.status is Status.OK and self.last + 1 == number:
                self.log.commit(cursor, self.log.last_ns)
                self.last = number
                return number
            if attempt == 0 and not self._next_block():
                break
        return 0

    def resync(self) -> None:
        """What struck in the middle of a definition is over: how many are there?"""
        block = self.log.block
        if block is not None:
            self.log.at = block.bytes()
            self.last = self.log.next_node - 1 + block.record_count

    # ---- strings ----

    def string(self, string: str) -> int:
        """The number of ``string``, which a code object or type owns."""
        number = self._strings.get(string, 0)
        if number == 0:
            number = self.write(
                Definition.STRING,
                1,
                lambda cursor: text.write(cursor, string, NAME_MAX_BYTES),
            )
            if number != 0:
                self._strings[string] = number
        return number

    # ---- types ----

    def type(self, type: type) -> int:
        """The number of ``type``, defining it first where it is new.

        Runs no user code.
        """
        qualname, module = _names(type)
        known = self._types.get(id(type))
        if (
            known is not None
            and _is_same(known[0], qualname)
            and _is_same(known[1], module)
        ):
            return known[2]
        if len(self._types) >= TYPES_MOST:
            return 0
        number = self.write(Definition.TYPE, 2, lambda cursor: _fill_type(cursor, type))
        if number != 0:
            self._types[id(type)] = (qualname, module, number)
        return number

    # ---- files and code ----

    def file(self, path: str, source: str | None) -> int:
        """The number of the file ``path``; ``source`` is its text if it is in none."""
        number = self._files.get(path, 0)
        if number != 0:
            return number
        about = None
        if source is None:
            try:
                about = system.stat(path)
            except OSError:
                pass
            except ValueError:  # a path that the file system cannot spell
                pass
            if about is not None and not S_ISREG(about.st_mode):
                about = None

        def fill(cursor: Cursor) -> None:
            text.write(cursor, path, PATH_MAX_BYTES)
            if about is not None:
                cursor.uint(about.st_size)
                cursor.uint(about.st_mtime_ns)
            else:
                cursor.nil()
                cursor.nil()
            write_name(cursor, source, SOURCE_MAX_BYTES)

        number = self.write(Definition.FILE, 4, fill)
        if number != 0:
            self._files[path] = number
        return number

    def code(self, facts: CodeFacts) -> int:
        """The number of a new CODE; twice called it is defined twice."""
        number = self.write(Definition.CODE, 10, lambda c: _fill_code(c, facts))
        if number == 0:
            facts.brief = True
            number = self.write(Definition.CODE, 10, lambda c: _fill_code(c, facts))
        return number


def _names(cls: type) -> tuple[str | None, str | None]:
    """The name objects of a type that may die, and of its module."""
    if not _FLAGS_OF(cls) & _HEAP_TYPE:
        return None, None
    module = _module_of(cls)
    return _QUALNAME_OF(cls), module if type(module) is str else None


def _module_of(cls: type) -> object:
    """What its dict has; no key but exact strings is compared."""
    for name, entry in list(_DICT_OF(cls).items()):
        if type(name) is str and name == "__module__":
            return entry
    return None


def _is_same(one: str | None, other: str | None) -> bool:
    """Whether it is the same name object; PyPy makes one anew each time."""
    return one is other or (_IS_PYPY and one == other)


def write_name(cursor: Cursor, name: object, most: int) -> None:
    """A text, cut to ``most`` bytes; nil where it is none."""
    if type(name) is str or issubclass(type(name), str):
        assert isinstance(name, str)
        text.write(cursor, name, most)
    else:
        cursor.nil()


def _fill_type(cursor: Cursor, type: type) -> None:
    """Module and qualified name; of static types as their one name tells them."""
    if _FLAGS_OF(type) & _HEAP_TYPE:
        write_name(cursor, _module_of(type), NAME_MAX_BYTES)
        write_name(cursor, _QUALNAME_OF(type), NAME_MAX_BYTES)
        return
    module: object = type.__module__
    cursor.text(module if isinstance(module, str) else "builtins")
    cursor.text(_NAME_OF(type))


def slot_names(code: CodeType) -> Sequence[str]:
    """The names of a frame's slots: arguments and locals, cells, free variables.

    From 3.11 on an argument that a closure has captured is a cell in its own slot.
    PyPy gives class bodies their namespace as an argument: that is left out.
    """
    names = code.co_varnames[own_arguments(code) :]
    cells: Sequence[str] = code.co_cellvars
    if sys.version_info >= (3, 11):
        cells = [name for name in cells if name not in names]
    return (*names, *cells, *code.co_freevars)


def own_arguments(code: CodeType) -> int:
    """How many arguments are the interpreter's own, and not the program's."""
    return int(_IS_PYPY and code.co_varnames[:1] == ("__locals__",))


def _fill_names(cursor: Cursor, names: Sequence[str]) -> None:
    shown = names[:NAMES_MAX]
    cursor.array(len(shown))
    for name in shown:
        text.write(cursor, name, NAME_MAX_BYTES)


def line_table(code: CodeType) -> bytes:
    """``co_linetable``; what other Pythons have in its place is told in CPython's way:
    as entries of a line and no columns (Objects/locations.md)."""
    if not _IS_PYPY:
        return code.co_linetable
    table = bytearray()
    before = code.co_firstlineno
    for start, end, line in code.co_lines():
        units = (end - start) // 2
        while units > 0:
            length = min(units, 8)
            units -= length
            if line is None:
                table.append(0x80 | 15 << 3 | length - 1)
                continue
            table.append(0x80 | 13 << 3 | length - 1)
            delta, before = line - before, line
            number = -delta << 1 | 1 if delta < 0 else delta << 1
            while number > 63:
                table.append(0x40 | number & 63)
                number >>= 6
            table.append(number)
    return bytes(table)


def _fill_code(cursor: Cursor, facts: CodeFacts) -> None:
    code = facts.code
    names = slot_names(code)
    cursor.uint(facts.file)
    text.write(cursor, facts.qualname, NAME_MAX_BYTES)
    write_name(cursor, facts.module, NAME_MAX_BYTES)
    cursor.int(code.co_firstlineno)
    cursor.uint(code.co_flags)
    _fill_names(cursor, names[: facts.argument_count])
    _fill_names(cursor, () if facts.brief else names[facts.argument_count :])
    lines = line_table(code)
    if not facts.brief and len(lines) <= LINE_TABLE_MAX_BYTES:
        cursor.bin(lines)
    else:
        cursor.nil()
    cursor.uint(facts.self_kind)
    text.write(cursor, code.co_name, NAME_MAX_BYTES)
