"""Exceptions: raised, handled, chained, grouped, swallowed; context managers.

Threads: one at a time. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.validate.generate.body import Scope, statements
from kolo_c.validate.generate.features.part import part
from kolo_c.validate.generate.text import fill
from kolo_c.validate.generate.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.validate.generate.draft import Draft


@part()
def exceptions(draft: Draft, budget: int) -> list[str]:
    """Raised deep down, handled further up, at every level in another way."""
    draft.need("", "Problem say")
    depth = draft.choices.between(2, 6)
    scope = Scope(draft, "plain", ["n"], 30, ["n"])
    draft.define(
        ["def bottom(n, unused=None):"]
        + [f"    {line}" for line in statements(scope, 2)]
        + [f"    raise {value(draft, 'error')}"]
    )
    below = "bottom"
    for _ in range(depth):
        name = draft.name("layer")
        way = draft.choices.pick(
            (
                "raise",
                "raise Problem(n) from error",
                "raise Problem(n) from None",
                "raise LookupError(n)",
                "say('passing', error)\n        raise error",
                "say('looking', error)\n        raise",
                "raise error.with_traceback(None)",
                "error.extra = n\n        raise",
            )
        )
        last = draft.choices.pick(("pass", "say('finally', n)", "n = None", "del n"))
        kind = draft.choices.pick(
            ("Exception", "Exception", "BaseException", "KeyError")
        )
        lines = [
            f"def {name}(n):",
            "    kept = [n]",
            "    try:",
            f"        return {below}(n + 1)",
            f"    except {kind} as error:",
            f"        {way}",
            "    finally:",
            f"        {last}",
        ]
        draft.define(lines)
        below = name
    return fill(
        """
        results = []
        for n in range($times):
            try:
                results.append($top(n))
            except Exception as error:
                link, seen = error, 0
                while link is not None and seen < 5:
                    results.append(link)
                    link, seen = link.__cause__ or link.__context__, seen + 1
        return results
        """,
        times=draft.choices.between(1, 3),
        top=below,
    )


@part()
def swallowed(draft: Draft, budget: int) -> list[str]:
    """Loops that go on after each failure; handlers with an order."""
    draft.need("sys contextlib", "Problem")
    draft.define(
        fill(
            """
            def may_fail(n):
                if n % 3 == 0:
                    raise Problem(n)
                if n % 3 == 1:
                    raise WorseProblem(n, detail=$detail)
                return n


            def look_up(mapping, *keys):
                for key in keys:
                    with contextlib.suppress(KeyError, TypeError):
                        return mapping[key]
                return None


            def tries(n):
                for attempt in range(n):
                    try:
                        return 10 // (attempt - 2 + n % 2) + len(may_fail.__name__)
                    except ZeroDivisionError:
                        continue
                    else:
                        break
                    finally:
                        n -= 1
                return "gave up"


            def pending():
                seen = [sys.exc_info()[0]]
                try:
                    may_fail(0)
                except Problem:
                    seen.append(sys.exc_info()[0])
                    inner = [sys.exc_info()[0] for _ in range(1)]
                    try:
                        may_fail(1)
                    except ValueError:
                        seen.append(sys.exc_info()[0])
                    seen.append(sys.exc_info()[0])
                    seen += inner
                seen.append(sys.exc_info()[0])
                return seen
            """,
            detail=value(draft),
        )
    )
    return fill(
        """
        results = []
        for n in range($times):
            try:
                results.append(may_fail(n))
            except WorseProblem as error:
                results.append(["worse", error.code])
            except Problem as error:
                results.append(error)
        results.append(look_up({"a": 1, 2: $value}, "b", [], $key))
        results.append([tries(n) for n in range($tries)])
        return results, pending()
        """,
        times=draft.choices.between(2, 8),
        value=value(draft),
        key=draft.choices.pick(("2", "'a'", "3")),
        tries=draft.choices.between(1, 5),
    )


@part()
def finals(draft: Draft, budget: int) -> list[str]:
    """``finally`` on every way out, and failures within it."""
    scope = Scope(draft, "plain", ["way", "log"], 30)
    draft.define(
        [
            "def leaves(way, log):",
            "    for turn in range(3):",
            "        try:",
            "            if way == 'return':",
            "                return turn, noted(log, 'value')",
            "            if way == 'raise':",
            f"                raise {value(draft, 'error')}",
            "            if way == 'break':",
            "                break",
            "            if way == 'continue':",
            "                continue",
            *(f"            {line}" for line in statements(scope, 1)),
            "        finally:",
            "            noted(log, way)",
            "            if way == 'fail':",
            "                noted(log, missing=way)",
            "    else:",
            "        noted(log, 'else')",
            "    return 'end'",
        ]
    )
    draft.define(
        fill(
            """
            def noted(log, word):
                log.append(word)
                return word
            """
        )
    )
    ways = draft.choices.some(
        ("return", "raise", "break", "continue", "fail", "go on"), 4
    )
    return fill(
        """
        log, results = [], []
        for way in $ways:
            try:
                results.append(leaves(way, log))
            except BaseException as error:
                results.append([error, error.__context__])
        return results, log
        """,
        ways=repr(ways),
    )


@part(since=(3, 11))
def groups(draft: Draft, budget: int) -> list[str]:
    """Exceptions in groups: split, handled in part, nested, with notes."""
    draft.define(
        fill(
            """
            def fails_singly(n):
                if n % 2:
                    raise ValueError(n)
                raise $other


            def gather_failures(count):
                found = []
                for n in range(count):
                    try:
                        fails_singly(n)
                    except Exception as error:
                        error.add_note(f"number {n}")
                        found.append(error)
                inner = ExceptionGroup("inner", [OSError(5, "io")])
                raise ExceptionGroup("several", [*found, inner])


            def handles_some(count, log):
                try:
                    gather_failures(count)
                except* ValueError as group:
                    log.append(len(group.exceptions))
                except* (TypeError, OSError) as group:
                    log.append(note(group))
                    $again


            def note(group):
                return group.message


            def note_free(error):
                return not getattr(error, "__notes__", None)
            """,
            other=draft.choices.pick(
                ("TypeError('odd')", "KeyError(n)", value(draft, "error"))
            ),
            again=draft.choices.pick(("pass", "raise", "raise RuntimeError('more')")),
        )
    )
    return fill(
        """
        results = []
        for count in range(1, $count):
            log = []
            try:
                handles_some(count, log)
            except* Exception as rest:
                results.append(rest.split(lambda error: note_free(error))[0] is None)
                results.append(len(rest.exceptions))
            results.append(log)
        return results
        """,
        count=draft.choices.between(2, 4),
    )


@part()
def contexts(draft: Draft, budget: int) -> list[str]:
    """Context managers of classes and of generators, nested, swallowing, failing."""
    draft.need("contextlib", "Manager Problem")
    draft.define(
        fill(
            """
            @contextlib.contextmanager
            def noting(log, name, swallow=()):
                log.append(("in", name))
                try:
                    yield name
                except swallow as error:
                    log.append(("swallowed", error))
                finally:
                    log.append(("out", name))


            @contextlib.contextmanager
            def raising_after(error):
                yield
                raise error


            class Reentrant(contextlib.ContextDecorator):
                depth = 0

                def __enter__(self):
                    type(self).depth += 1
                    return self.depth

                def __exit__(self, *raised):
                    type(self).depth -= 1


            @Reentrant()
            def decorated(n):
                return Reentrant.depth + (decorated(n - 1) if n else 0)


            def returns_within(log):
                with noting(log, "return") as name, Manager("inner"):
                    return name
            """
        )
    )
    blocks = [
        ["with noting(log, 'a', ValueError):", "    raise ValueError(1)"],
        ["with noting(log, 'b', KeyError):", "    raise ValueError(2)"],
        ["with Manager('c', fails=Problem('exit')):", "    raise KeyError('body')"],
        [
            "with Manager('d', swallows=Exception):",
            f"    raise {value(draft, 'error')}",
        ],
        ["with raising_after(LookupError('late')):", "    log.append('body')"],
        [
            "with contextlib.ExitStack() as stack:",
            "    for name in 'xyz':",
            "        stack.enter_context(noting(log, name, ValueError))",
            "    stack.callback(log.append, 'callback')",
            "    stack.push(lambda *raised: log.append(raised[0]))",
            "    raise ValueError('in the stack')",
        ],
        ["with noting(log, 'e') as a, noting(log, 'f', OSError) as b:", "    a + 1"],
        ["log.append(decorated(3))"],
        ["log.append(returns_within(log))"],
        [
            "with contextlib.closing(n for n in range(3)) as it:",
            "    log.append(next(it))",
        ],
        ["with contextlib.nullcontext(5) as five:", "    log.append(five)"],
        ["with 5:", "    pass"],
    ]
    lines = ["log = []"]
    for chosen in draft.choices.some(blocks, draft.choices.between(3, 6)):
        lines += fill(
            """
            try:
                $chosen
            except Exception as error:
                log.append((type(error), error.__context__))
            """,
            chosen=chosen,
        )
    return [*lines, "return log, len(log)"]


@part()
def tracebacks(draft: Draft, budget: int) -> list[str]:
    """Programs that look at their own frames, lines and tracebacks."""
    draft.need("sys traceback", "say")
    draft.define(
        fill(
            """
            def places(error):
                found, step = [], error.__traceback__
                while step is not None:
                    frame = step.tb_frame
                    found.append((frame.f_code.co_name, step.tb_lineno - frame.f_code
                                  .co_firstlineno, sorted(frame.f_locals)[:4]))
                    step = step.tb_next
                return found


            def raises(value, *rest):
                local = (value, rest)
                middle = [
                    one / zero
                    for one, zero in [(1, 1), (2, 0)]
                ]
                return local, middle


            def caller_names(depth=2):
                frame, names = sys._getframe(1), []
                for _ in range(depth):
                    names.append((frame.f_code.co_name, frame.f_lineno > 0))
                    frame = frame.f_back
                return names


            def looks(n, *, key=$key):
                before = dict(locals())
                n = $value
                again = sys._getframe().f_locals
                return sorted(before), again["n"] is n, caller_names()


            def gen_frame():
                frame = sys._getframe()
                yield frame.f_lineno - frame.f_code.co_firstlineno
                yield caller_names(1)
            """,
            key=value(draft, "small"),
            value=value(draft),
        )
    )
    return fill(
        """
        results = [looks($n), list(gen_frame())]
        try:
            raises($value, 2)
        except ZeroDivisionError as error:
            results.append(places(error)[-1][1])
            results.append([one[0] for one in places(error)][:2])
            results.append(len(traceback.extract_tb(error.__traceback__)) > 1)
            kept = error
        try:
            raise kept
        except ZeroDivisionError as error:
            results.append(error is kept)
        return results
        """,
        n=draft.choices.below(5),
        value=value(draft),
    )
