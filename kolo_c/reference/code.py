"""What the tracer knows of a kept code object. Twin of src/trace/code.c.

Made once, when the verdict is KEEP; found through the verdict; gone with the code
object, of which only the address is kept.

The C core reads the slots of a frame; here they are read by their names from
``frame.f_locals``, which has the values of cells and leaves out what is unbound. Two
things follow. A variable of a comprehension that 3.12 and newer inlined into a module
or class body is in no dict that a frame shows: it is always unbound here. And up to
3.12 ``f_locals`` is a dict that the frame keeps: the program's own ``locals()`` of that
frame, if it has one, is brought up to date by our looking (see ``arguments_of``).

Threads: any. Owns: its tables. Fails: never.
"""

from __future__ import annotations

import gc
import sys
from types import FunctionType

from kolo_c.reference.definitions import own_arguments, slot_names
from kolo_c.reference.instance import borrow_entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import CodeType, FrameType
    from typing import Any

    from kolo_c.reference.mask import Mask
    from kolo_c.reference.plugin_match import Plugin
    from kolo_c.reference.value_state import Options

CO_OPTIMIZED = 0x1
CO_VARARGS = 0x4
CO_VARKEYWORDS = 0x8
CO_GENERATOR = 0x20
CO_COROUTINE = 0x80
CO_ITERABLE_COROUTINE = 0x100
CO_ASYNC_GENERATOR = 0x200
SUSPENDING_FLAGS = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR

# What an instruction is, for the question how a call ended or began.
EXIT_OTHER = 0
EXIT_YIELD = 1  # leaving here suspends
EXIT_RETURN = 2  # leaving here returns
EXIT_START = 4  # entering here is a fresh start
EXIT_RESUME = 8  # entering here goes on; leaving here suspends (3.13)
EXIT_HANDLER = 16  # an except, finally or with takes an exception up here
EXIT_CLEANUP = 32  # one that leaves such a part comes by here

ARGUMENT_PLAIN = 0
ARGUMENT_SECRET = 1
ARGUMENT_SELF = 2

LOCALS_NONE = 0
LOCALS_RAISE = 1
LOCALS_ALL = 2

DEPTH_MAX = 0xFFFFFFFF

_SNAPSHOTS = sys.version_info < (3, 13) or sys.implementation.name != "cpython"
_WRITES_BACK = sys.implementation.name == "cpython"
_HAS_QUALNAME = sys.version_info >= (3, 11)
REPORTS_UNSTARTED = sys.implementation.name == "cpython" and sys.version_info[:2] == (
    3,
    11,
)
"""The closing of a generator that never started is reported, as a call that an
exception leaves at once; it stands before its first RESUME. Nothing of it ran."""
_SELF_KINDS = {"self": 1, "cls": 2, "mcs": 2}


class Slot:
    """A variable of the function."""

    __slots__ = ("flags", "name")

    def __init__(self, name: str, flags: int) -> None:
        self.name = name
        self.flags = flags
        """ARGUMENT_SECRET, ARGUMENT_SELF."""


class CodeRules:
    """What the rules say of one function; from the filter's decision."""

    __slots__ = (
        "boundary",
        "has_options",
        "locals",
        "max_depth",
        "options",
        "secret_names",
        "shallow",
        "values",
    )

    def __init__(self, options: Options) -> None:
        """What holds where nothing is said."""
        self.values = True
        self.shallow = False
        self.boundary = False
        self.locals = LOCALS_RAISE
        self.max_depth = DEPTH_MAX
        self.has_options = False
        self.options = options
        self.secret_names: Sequence[str] = ()
        """Masked in this function too; "*" is every value of it."""


class Code:
    """See the module."""

    __slots__ = (
        "argument_count",
        "boundary",
        "call_count",
        "counted",
        "counted_calls",
        "counted_ns",
        "exits",
        "flags",
        "key",
        "locals",
        "max_depth",
        "number",
        "options",
        "plugins",
        "secret",
        "secret_result",
        "secret_slots",
        "self_kind",
        "shallow",
        "skipped",
        "slots",
        "special",
        "start_at",
        "suspends",
        "truncated_run",
        "values",
    )

    def __init__(
        self,
        code: CodeType,
        number: int,
        rules: CodeRules,
        mask: Mask,
        plugins: tuple[Plugin, ...] = (),
    ) -> None:
        """``number`` is of its definition, 0 where its calls are shown to ``plugins``
        alone."""
        self.plugins = plugins
        self.number = number
        self.key = id(code)
        self.flags = code.co_flags
        self.suspends = (code.co_flags & SUSPENDING_FLAGS) != 0
        self.values = rules.values
        """False: arguments, results and locals are not written."""
        self.secret = "*" in rules.secret_names
        name = code.co_name
        self.secret_result = mask.name(name.encode("utf-8", "surrogatepass"))[0]
        """The function's name says that its result is one."""
        self.self_kind = self_kind(code)
        self.locals = rules.locals
        self.shallow = rules.shallow
        self.boundary = rules.boundary
        """Each call is a trace of its own."""
        self.skipped = False
        """The program asked for it while calls of it were running."""
        self.special = self.suspends or self.boundary or bool(plugins)
        self.max_depth = rules.max_depth
        self.argument_count = argument_count(code)
        self.slots = _find_slots(code, rules, mask)
        """Arguments first, then locals."""
        self.secret_slots = any(slot.flags & ARGUMENT_SECRET for slot in self.slots)
        """One of them has a secret name."""
        self.exits = find_exits(code.co_code)
        """EXIT_… by instruction; the setprofile hook needs them."""
        self.start_at = next(
            (at for at, exit in enumerate(self.exits) if exit & EXIT_START), 0
        )
        """The first instruction that is a start; 0 where none is marked."""
        self.options = rules.options if rules.has_options else None
        """None: the session's."""
        self.truncated_run = 0
        """Records in a row that hit the budget."""
        self.call_count = 0
        """Recorded so far."""
        self.counted = False
        """Past the trace's limit: counts instead of records."""
        self.counted_calls = 0
        """Since the last COUNTED mark."""
        self.counted_ns = 0

    def is_fresh(self, lasti: int) -> bool:
        """Whether a frame that is entered there begins, and does not go on.

        3.11 shows a generator that is closed before its start there too.
        """
        return (
            lasti < 0
            or (self.exit_at(lasti) & EXIT_START) != 0
            or (not REPORTS_UNSTARTED and lasti < self.start_at)
        )

    def exit_at(self, lasti: int) -> int:
        """The EXIT_… bits of the instruction at ``lasti``, in code units."""
        return self.exits[lasti] if 0 <= lasti < len(self.exits) else EXIT_OTHER


# ---- its slots ----


def argument_count(code: CodeType) -> int:
    """How many of the slots are arguments."""
    return (
        code.co_argcount
        - own_arguments(code)
        + code.co_kwonlyargcount
        + ((code.co_flags & CO_VARARGS) != 0)
        + ((code.co_flags & CO_VARKEYWORDS) != 0)
    )


def self_kind(code: CodeType) -> int:
    """0: no self; 1: self; 2: cls. By the first argument's name."""
    if code.co_argcount == 0:
        return 0
    return _SELF_KINDS.get(code.co_varnames[0], 0)


def _find_slots(code: CodeType, rules: CodeRules, mask: Mask) -> list[Slot]:
    slots = []
    for at, name in enumerate(slot_names(code)):
        flags = ARGUMENT_PLAIN
        if mask.name(name.encode("utf-8", "surrogatepass"))[0]:
            flags |= ARGUMENT_SECRET
        if name in rules.secret_names:
            flags |= ARGUMENT_SECRET
        if at == 0 and self_kind(code) != 0:
            flags |= ARGUMENT_SELF
        slots.append(Slot(name, flags))
    return slots


def lasti_of(frame: FrameType) -> int:
    """The last instruction that began, in code units; -1 before the first."""
    lasti = frame.f_lasti
    return lasti // 2 if lasti >= 0 else -1


def raised_at(exception: BaseException, frame: FrameType | None) -> int | None:
    """Where ``frame`` stood when ``exception`` came to it, if its traceback says so."""
    traceback = _traceback_of(exception)
    if traceback is None or traceback.tb_frame is not frame:
        return None
    return int(traceback.tb_lasti) // 2


# Read past what a class of the program's may have put in its place.
_traceback_of = BaseException.__dict__["__traceback__"].__get__


def yielded(value: object) -> object:
    """What an asynchronous generator yields is wrapped, to be told from what it awaits;
    the wrapper has no attribute, but the collector knows what it refers to."""
    if type(value).__name__ != "async_generator_wrapped_value":
        return value
    held = gc.get_referents(value)
    return held[-1] if held else value


def locals_of(frame: FrameType) -> Mapping[str, Any]:
    """The values of the frame's slots by name; unbound ones are not in it.

    From 3.12 on a module and a class body have slots for their comprehensions. Where
    one runs, each asking gives a mapping of its own, which has them; else it is the
    namespace, and what has such a name there is no slot's value.
    """
    found = frame.f_locals
    if (frame.f_code.co_flags & CO_OPTIMIZED) == 0 and frame.f_locals is found:
        return {}
    return found


def arguments_of(
    frame: FrameType, code: Code, *, in_profile_function: bool
) -> Mapping[str, Any]:
    """The same at the beginning of a call; the frame keeps nothing for it.

    A frame that keeps a dict would keep each argument alive to its end, whatever the
    function does with it: destructors would run later. So the dict is emptied again;
    at this moment nobody else can have it. But up to 3.12 CPython writes what a profile
    function has read back to the frame (3.10 reads it of itself): an empty dict would
    unbind all. There arguments live as long as their call.
    """
    found = frame.f_locals
    if not _SNAPSHOTS or (code.flags & CO_OPTIMIZED) == 0:
        return found
    kept = dict(found)
    if not (in_profile_function and _WRITES_BACK):
        found.clear()
    return kept


# ---- its instructions ----


def find_exits(bytecode: bytes) -> bytes:
    """What each instruction is.

    Where an event finds the frame differs: 3.10 shows the instruction before YIELD_FROM
    for an await, 3.13.0 the RESUME behind a yield. A RESUME with an operand is always
    behind a suspension, and nothing else can leave the frame there.
    """
    exits = bytearray(exit_of(bytecode, i) for i in range(len(bytecode) // 2))
    for i, opcode in enumerate(bytecode[2::2]):
        if opcode == _YIELD_FROM and exits[i] == EXIT_OTHER:
            exits[i] = EXIT_YIELD
    return bytes(exits)


def exit_of(bytecode: bytes, at: int) -> int:
    """What instruction number ``at`` is; EXIT_OTHER before the first."""
    if at < 0:
        return EXIT_OTHER
    opcode = bytecode[2 * at]
    if opcode in (_YIELD_VALUE, _YIELD_FROM):
        return EXIT_YIELD
    if opcode in (_RETURN_VALUE, _RETURN_CONST):
        return EXIT_RETURN
    if opcode == _RESUME:
        starts = (bytecode[2 * at + 1] & 3) == 0
        return EXIT_START if starts else EXIT_RESUME | EXIT_YIELD
    if opcode == _PUSH_EXC_INFO:
        return EXIT_HANDLER
    if opcode == _COPY and bytecode[2 * at + 2 : 2 * at + 3] == _POP_EXCEPT:
        return EXIT_CLEANUP
    return EXIT_OTHER


def _opcode(name: str) -> int:
    """The number of an instruction; one that this Python does not have is no byte."""
    from opcode import opmap  # noqa: PLC0415 - not for who imports this for its names

    return opmap.get(name, -1)


_YIELD_VALUE = _opcode("YIELD_VALUE")
_YIELD_FROM = _opcode("YIELD_FROM")
_RETURN_VALUE = _opcode("RETURN_VALUE")
_RETURN_CONST = _opcode("RETURN_CONST")
_RESUME = _opcode("RESUME")
_PUSH_EXC_INFO = _opcode("PUSH_EXC_INFO")
_COPY = _opcode("COPY")
_POP_EXCEPT = bytes([max(_opcode("POP_EXCEPT"), 0)])


# ---- its names ----

# What a class is made of, read without asking its metaclass.
_read_mro = type.__dict__["__mro__"].__get__
_read_dict = type.__dict__["__dict__"].__get__


def code_names(code: CodeType, frame: FrameType) -> tuple[str | None, str]:
    """Module (None where unknown) and qualified name of the function that runs.

    On 3.10, where code has no qualified name, methods are found through the type of
    their first argument. Runs no user code.
    """
    module = None
    if isinstance(frame.f_globals, dict):
        name = borrow_entry(frame.f_globals, "__name__")
        if type(name) is str:
            module = name
    if _HAS_QUALNAME:
        return module, getattr(code, "co_qualname", code.co_name)
    qualname = None
    if code.co_argcount > 0:
        # Not arguments_of(): it may be another moment than the call's beginning.
        values = locals_of(frame)
        if code.co_varnames[0] in values:
            qualname = _name_by_first(values[code.co_varnames[0]], code)
    return module, code.co_name if qualname is None else qualname


def _name_by_first(first: Any, code: CodeType) -> str | None:
    kind = type(first)
    found = _name_in_type(first, code) if type in _read_mro(kind) else None
    return found if found is not None else _name_in_type(kind, code)


def _name_in_type(owner: type, code: CodeType) -> str | None:
    """The qualified name of ``code`` as a method of ``owner`` or one of its bases."""
    for base in _read_mro(owner) or ():  # None: it is being made
        found = _unwrap(borrow_entry(_read_dict(base), code.co_name))
        if type(found) is FunctionType and found.__code__ is code:
            return found.__qualname__
    return None


def _unwrap(found: Any) -> Any:
    """The function in a classmethod, staticmethod or property (exactly those)."""
    if type(found) in (classmethod, staticmethod):
        return found.__func__
    return found.fget if type(found) is property else found
