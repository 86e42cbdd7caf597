"""Differences that are known and explained: one list, each line as narrow as can be.

A line holds for the tests, versions, hooks and cores that it names, and only if what
the test says of its failure is what the line expects. With ``by_any`` the same test
must fail as well under a callback that does nothing, in the hook's place: such a
difference is CPython's, and whoever profiles makes it. The command looks each time.

A line that applies to a test which ran, and did not differ, is reported: strike it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Side:
    """A hook and a core to trace with."""

    hook: str
    core: str

    def __str__(self) -> str:
        return f"{self.hook}/{self.core}"


@dataclass(frozen=True)
class Known:
    """A difference that is explained."""

    test: str
    """The test's id; ``*`` stands for any text."""
    says: str
    """A regular expression that is found in what the test says."""
    reason: str
    hooks: tuple[str, ...] = ()
    """Empty: under every hook."""
    cores: tuple[str, ...] = ()
    since: tuple[int, ...] = (3, 10)
    until: tuple[int, ...] = (4,)
    """The first version that does not have it any more."""
    by_any: bool = True
    """A callback that does nothing makes the same difference."""

    def applies(self, side: Side, version: tuple[int, ...]) -> bool:
        """Whether this is to be expected there at all."""
        return (
            self.since <= version < self.until
            and (not self.hooks or side.hook in self.hooks)
            and (not self.cores or side.core in self.cores)
        )

    def covers(self, test: str) -> bool:
        """Whether ``test`` is meant."""
        return fnmatchcase(test, self.test)

    def explains(self, test: str, says: str) -> bool:
        """Whether this is why ``test`` differs."""
        return self.covers(test) and re.search(self.says, says) is not None


KNOWN: tuple[Known, ...] = (
    Known(
        test="test.test_frame.TestIncompleteFrameAreInvisible.test_sneaky_frame_object",
        says=r"AssertionError: <frame at .* code f> is not <frame at",
        reason="It expects that the very next allocation is a certain frame object's. "
        "A profile function has the interpreter make that object earlier.",
        hooks=("setprofile",),
        since=(3, 11),
        until=(3, 13),
    ),
    Known(
        test="test.test_profile.ProfileTest.test_calling_conventions",
        says=r"Bad return.*\('profile', 0,",
        reason="sys.setprofile() called under a profile function: the new function is "
        "told that this very call returns, which profile.Profile does not expect. "
        "Before 3.12 only where no test before has taken the place.",
        hooks=("setprofile",),
    ),
    Known(
        test="test.test_threading.ThreadTests.test_getprofile_all_threads",
        says=r"!= \[None, <function",
        reason="It expects that a new thread has no profile function, and "
        "sys.getprofile() tells that it has.",
        hooks=("setprofile",),
        since=(3, 12),
    ),
    Known(
        test="test.test_sys_setprofile.TestGetProfile.test_empty",
        says=r"ProfileFunction object at 0x\w+> is not None",
        reason="It expects that there is no profile function, and sys.getprofile() "
        "tells that there is.",
        hooks=("setprofile",),
        cores=("python",),
        by_any=False,
    ),
    Known(
        test="test.test_monitoring.*",
        says=r"AssertionError: \d+ != 0",
        reason="It takes the tool ids 2, 3 and 4 without asking whether they are free, "
        "and expects that none of them has events: 4 is ours.",
        since=(3, 12),
    ),
    Known(
        test="test_code",
        says=r"(?s)crashed \(SIGSEGV\).*esult: SUCCESS.*Fatal Python error",
        reason="It asks for a code extra index, with a function that frees what was "
        "kept. The interpreter calls it for whatever code object has extras, ours "
        "too, and so at its own end, when ctypes has freed that function. "
        "Whoever uses code extras makes it; the C core does before 3.12.",
        cores=("c",),
        until=(3, 12),
    ),
    Known(
        test="test_code",
        says=r"(?s)_Py_call_instrumentation_arg|Fatal Python error: Segmentation fault",
        reason="test_invalid_bytecode leaves a call of code that the interpreter can "
        "tell no event of by an exception. 3.15 looks for its tools where there are "
        "none, and crashes: sys.setprofile(print) is enough.",
        hooks=("setprofile",),
        since=(3, 15),
    ),
    Known(
        test="test.test_contextlib.*.test_nokeepref",
        says=r"AssertionError: <.*\.A object at 0x\w+> is not None",
        reason="Before 3.13 whoever reads a frame's f_locals leaves the values in the "
        "frame, until they are read again or it ends. Python has no other way to a "
        "call's arguments; the C core reads them in place.",
        hooks=("setprofile",),
        cores=("python",),
        until=(3, 13),
        by_any=False,
    ),
    Known(
        test="test.test_frame.ClearTest.test_clear_*",
        says=r"AssertionError: None is not <.*\.C object at 0x\w+>",
        reason="Before 3.13 whoever reads a frame's f_locals leaves the values there, "
        "and frame.clear() does not clear them. Python has no other way to a call's "
        "arguments; the C core reads them in place.",
        cores=("python",),
        until=(3, 13),
        by_any=False,
    ),
    Known(
        test="test.test_frame.TestIncompleteFrameAreInvisible.test_sneaky_frame_object",
        says=r"AssertionError: <frame at .* code f> is not <frame at",
        reason="It expects that the very next allocation is a certain frame object's. "
        "A callback in Python makes frames of its own.",
        hooks=("monitoring",),
        cores=("python",),
        until=(3, 13),
        by_any=False,
    ),
    Known(
        test="test.test_gc.GCCallbackTests.test_collect_garbage",
        says=r"AssertionError: 6 != 4",
        reason="It counts the objects that cannot be collected. Python reads the "
        "fields of an instance by its __dict__, which the first read makes an object.",
        cores=("python",),
        since=(3, 11),
        by_any=False,
    ),
    Known(
        test="test.test_generators.FinalizationTest.test_frame_resurrect",
        says=r"AssertionError: <generator object .*\.gen at 0x\w+> is not None",
        reason="3.10 itself reads a frame's f_locals for every event of a profile "
        "function in Python: the values stay in the frame.",
        cores=("python",),
        until=(3, 11),
    ),
    Known(
        test="test.test_generators.FinalizationTest.test_refcycle",
        says=r"AssertionError: False is not true",
        reason="3.10 itself reads a frame's f_locals for every event of a profile "
        "function in Python: the values stay in the frame.",
        cores=("python",),
        until=(3, 11),
    ),
    Known(
        test="test.test_generators.SignalAndYieldFromTest.test_raise_and_yield_from",
        says=r"KeyboardInterrupt",
        reason="It sends itself a signal, and expects that a certain frame is the next "
        "to look for one. A profile function in Python looks before.",
        cores=("python",),
    ),
    Known(
        test="test.test_with.InterruptDuringEnter.test_exit_called_after_interrupt",
        says=r"AssertionError: True is not false",
        reason="It sends itself a signal, and expects that 3.15 looks for one only "
        "when the block is entered. A profile function in Python looks before.",
        hooks=("setprofile",),
        cores=("python",),
        since=(3, 15),
    ),
)


def applying(side: Side, version: tuple[int, ...]) -> list[Known]:
    """The lines that hold for ``side`` on ``version``."""
    return [known for known in KNOWN if known.applies(side, version)]


def unmet(
    lines: Iterable[Known], ran: Iterable[str], differ: Iterable[str]
) -> list[Known]:
    """Those of ``lines`` whose tests ran, and did not differ."""
    ran = list(ran)
    differ = list(differ)
    return [
        known
        for known in lines
        if any(known.covers(test) for test in ran)
        and not any(known.covers(test) for test in differ)
    ]
