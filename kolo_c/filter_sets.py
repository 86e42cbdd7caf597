"""The filters of a session's traces: a set for each, and its bit in every verdict.

Most sessions have one set. A trace of its own (a boundary) may have other filters;
equal ones share a set. The core asks once per code object what all sets say of it, and
at each call looks at the bit of its trace. When a set is added or changed, the core is
to ask again.

Threads: any, with the GIL. Owns: the filters. Fails: ``use`` with KoloError where too
many different sets are in use at the same time; ``variant`` with ConfigError.
"""

from __future__ import annotations

from kolo_c.errors import ConfigError, KoloError
from kolo_c.settings import strings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType, FrameType
    from typing import Any

    from kolo_c.filter import Filter, FunctionOptions
    from kolo_c.project import Project

_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
MOST = 8
"""As many as a verdict has bits (src/trace/verdict.h)."""
ALL = (1 << MOST) - 1


class FilterSets:
    """Those of one session; the first is the session's own."""

    def __init__(self, own: Filter) -> None:
        self._filters: list[Filter | None] = [own]
        self._users = [1]

    @property
    def own(self) -> Filter:
        """The session's."""
        own = self._filters[0]
        assert own is not None
        return own

    def variant(self, settings: Mapping[str, Any], project: Project) -> Filter:
        """The session's, where ``settings`` do not say otherwise."""
        changed = {}
        for key in ("include_frames", "ignore_frames"):
            if key in settings:
                try:
                    changed[key] = strings.parse(settings[key])
                except ValueError as error:
                    raise ConfigError(f"{key} {error}") from None
        own = self.own
        return type(own)(own.config.with_(**changed), project) if changed else own

    def replace_own(self, own: Filter) -> None:
        """From now on the session has this one."""
        self._filters[0] = own

    def use(self, filter: Filter) -> tuple[int, bool]:
        """The number of its set for one more trace, and whether that is a new set.

        Who has the first, which is always there, is not counted.
        """
        free = None
        for number, known in enumerate(self._filters):
            if known is not None and known.is_same(filter):
                self._users[number] += number > 0
                return number, False
            if self._users[number] == 0:
                free = number
        if free is None and len(self._filters) < MOST:
            free = len(self._filters)
            self._filters.append(None)
            self._users.append(0)
        if free is None:
            raise KoloError(
                f"{MOST} different filters are in use at the same time already",
                "Give traces that run at the same time the same filters, or let some "
                "of them end first.",
            )
        self._filters[free] = filter
        self._users[free] = 1
        return free, True

    def release(self, number: int) -> None:
        """A trace with this set has ended. It stays, for the next one like it."""
        self._users[number] -= number > 0

    def decide(
        self, path: str, module: str | None, qualname: str
    ) -> tuple[int, FunctionOptions | None]:
        """The bits of the sets that keep the code, and what is different about it.

        Options are those of the first set that keeps it.
        """
        bits = 0
        options = None
        for number, filter in enumerate(self._filters):
            if filter is None:
                continue
            decision = filter.decide(path, module, qualname)
            if decision.keep:
                if bits == 0:
                    options = decision.options
                bits |= 1 << number
        return bits if len(self._filters) > 1 else bits * ALL, options

    def decide_file(self, path: str) -> bool | None:
        """What all sets say of a file as a whole; None: it depends on more."""
        answers = set()
        for filter in self._filters:
            if filter is None:
                continue
            decision = filter.decide_file(path)
            if decision is None or decision.options is not None:
                return None
            answers.add(decision.keep)
        return answers.pop() if len(answers) == 1 else None


class MainText:
    """The program itself, where it is a text that is in no file: -c, standard input."""

    def __init__(self, file: str, source: str | None) -> None:
        self.file = file
        """What its code calls its file; empty where it is in one, or was found."""
        self.source = source
        self.code: CodeType | None = None
        """The program's, where it has functions that it may call. Kept alive, as the
        core knows it by its address."""

    def is_it(self, code: CodeType, asked_by: FrameType) -> bool:
        """Whether ``code``, about to run, is it: of such texts the one nobody calls."""
        below = asked_by.f_back
        if below is not None and below.f_code is code:
            below = below.f_back  # else the hook comes before its frame is there
        if below is not None or code.co_name != "<module>":
            return False
        self.file = ""
        if any(
            hasattr(constant, "co_name") and constant.co_name not in _COMPREHENSIONS
            for constant in code.co_consts
        ):
            self.code = code
        return True
