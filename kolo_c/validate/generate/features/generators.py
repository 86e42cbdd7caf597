"""Generators: driven by hand, delegating, left suspended, and ended in odd ways.

Threads: one at a time. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.validate.generate.features.part import part
from kolo_c.validate.generate.functions import function
from kolo_c.validate.generate.signature import arguments
from kolo_c.validate.generate.text import fill
from kolo_c.validate.generate.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.validate.generate.draft import Draft


def script(draft: Draft) -> str:
    """What ``drive`` does with a generator, as the source of a tuple."""
    steps = []
    for _ in range(draft.choices.between(2, 9)):
        steps.append(
            draft.choices.weighted(
                [
                    (8, "('__next__',)"),
                    (5, f"('send', {value(draft, '', 1)})"),
                    (2, "('send', None)"),
                    (4, f"('throw', {value(draft, 'error')})"),
                    (1, "('throw', GeneratorExit())"),
                    (1, "('close',)"),
                ]
            )
        )
    return "(" + " ".join(f"{step}," for step in steps) + ")"


@part()
def generators(draft: Draft, budget: int) -> list[str]:
    """Generators at random, driven by send, throw and close."""
    draft.need("", "drive")
    if draft.choices.chance(60):
        function(draft, "generator", 60)
    lines = ["results = []"]
    for _ in range(draft.choices.between(2, 4)):
        callee = draft.callable("generator", budget)
        if callee is None:
            callee = function(draft, "generator", 60)
        given = arguments(draft, callee.signature, [])
        lines += [
            f"it = {callee.name}({given})",
            f"results.append(drive(it, {script(draft)}))",
        ]
        lines += draft.choices.pick(
            (
                ["it.close()"],
                ["results.append(len(list(it)))"],
                ["for one in it:", "    results.append(one is None)"],
                [f"first, *rest = it, {value(draft)}", "it.close()"],
            )
        )
        budget -= callee.cost
    return [*lines, "return results"]


@part()
def echoes(draft: Draft, budget: int) -> list[str]:
    """A generator that answers what it is sent, and handles what is thrown in."""
    draft.need("", "drive Problem")
    draft.define(
        fill(
            """
            def echo(limit, answer=None):
                received = []
                for _ in range(limit):
                    try:
                        got = yield answer
                        received.append(got)
                        answer = got
                    except (ValueError, LookupError) as error:
                        received.append(error)
                        answer = "handled"
                    except GeneratorExit:
                        received.append("closed")
                        $closing
                return received
            """,
            closing=draft.choices.pick(
                ("raise", "return received", "break", "raise StopIteration(3)")
            ),
        )
    )
    return fill(
        """
        it = echo($limit)
        outcomes = drive(it, $script)
        try:
            it.close()
        except RuntimeError as error:
            outcomes.append(error)
        fresh = echo(2)
        try:
            fresh.send(1)
        except TypeError as error:
            outcomes.append(type(error))
        unstarted = echo(3)
        try:
            unstarted.throw($error)
        except BaseException as error:
            outcomes.append(error)
        never = echo(1)
        never.close()
        return outcomes, it.gi_frame is None, fresh.gi_running
        """,
        limit=draft.choices.between(1, 6),
        script=script(draft),
        error=value(draft, "error"),
    )


@part()
def delegation(draft: Draft, budget: int) -> list[str]:
    """``yield from``: chains, results, iterators of classes, and exceptions within."""
    draft.need("", "drive Problem")
    draft.define(
        fill(
            """
            class Stepper:
                \"\"\"An iterator that can be sent to and thrown into.\"\"\"

                def __init__(self, count):
                    self.count, self.log = count, []

                def __iter__(self):
                    return self

                def __next__(self):
                    return self.send(None)

                def send(self, value):
                    self.count -= 1
                    if self.count < 0:
                        raise StopIteration(self.log)
                    self.log.append(value)
                    return self.count

                def throw(self, error, *rest):
                    self.log.append(error)
                    if isinstance(error, LookupError):
                        return "swallowed"
                    raise error

                def close(self):
                    self.log.append("close")


            def leaf(count, name="leaf"):
                total = 0
                try:
                    for n in range(count):
                        total += 1
                        got = yield name, n
                        if got is not None:
                            total += 1
                except ValueError as error:
                    yield "leaf handled", error
                finally:
                    say("leaf ends", total)
                return total


            def branch(depth, count):
                if depth == 0:
                    return (yield from leaf(count))
                try:
                    first = yield from branch(depth - 1, count)
                except $handled:
                    first = yield from leaf(1, "spare")
                second = yield from $second
                return first, second
            """,
            handled=draft.choices.pick(("LookupError", "(TypeError, OSError)")),
            second=draft.choices.pick(
                ("Stepper(2)", "[1, 2]", "leaf(1)", "Stepper(1)", "(n for n in 'ab')")
            ),
        )
    )
    return fill(
        """
        it = branch($depth, $count)
        outcomes = drive(it, $script)
        outcomes.append([one for one in it])
        again = branch($depth, $count)
        outcomes.append(drive(again, $second_script))
        again.close()
        stepper = Stepper(3)

        def over(inner):
            return (yield from inner)

        outcomes.append(drive(over(stepper), $third_script))
        return outcomes, len(stepper.log)
        """,
        depth=draft.choices.between(0, 4),
        count=draft.choices.between(1, 3),
        script=script(draft),
        second_script=script(draft),
        third_script=script(draft),
    )


@part(prompt=True)
def suspended(draft: Draft, budget: int) -> list[str]:
    """Generators nobody ends: finalised where the last reference goes."""
    draft.need("gc sys", "say")
    draft.define(
        fill(
            """
            def open_ended(name, own=None):
                own = [own]
                try:
                    with_index = 0
                    for _ in range(100):
                        with_index += 1
                        yield name, with_index
                finally:
                    say("finalised", name, with_index)
                    helps_ending(name)


            def helps_ending(name):
                return [name]


            def holder(name):
                it = open_ended(name)
                next(it)
                return next(it)


            def delegating(name):
                yield from open_ended(name)


            def ignores_exit(name):
                try:
                    yield 1
                except GeneratorExit:
                    yield name
            """
        )
    )
    pieces = [
        ["it = open_ended('direct')", "next(it)", "del it", "gc.collect()"],
        ["results.append(holder('within'))", "gc.collect()"],
        [
            "it = open_ended('cycle')",
            "next(it)",
            "loop = [it]",
            "loop.append(loop)",
            "del it, loop",
            "gc.collect()",
        ],
        [
            "it = delegating('inner')",
            "results.append([next(it), next(it)])",
            "it = None",
            "gc.collect()",
        ],
        ["it = open_ended('unstarted')", "del it", "gc.collect()"],
        [
            "it = ignores_exit('stubborn')",
            "next(it)",
            "kept, sys.unraisablehook = sys.unraisablehook, lambda seen: results"
            ".append(type(seen.exc_value))",
            "try:",
            "    del it",
            "    gc.collect()",
            "finally:",
            "    sys.unraisablehook = kept",
        ],
        [
            "it = open_ended('exhausting')",
            "for name, index in it:",
            "    if index == 3:",
            "        break",
            "del it",
            "gc.collect()",
        ],
        [
            "them = [open_ended(n) for n in range(3)]",
            "results.extend(map(next, them))",
            "while them:",
            "    them.pop()",
            "    gc.collect()",
        ],
        [
            "lazy = (helps_ending(n) for n in range(5))",
            "results.append(next(lazy))",
            "del lazy",
        ],
    ]
    chosen = draft.choices.some(pieces, draft.choices.between(2, 4))
    return [
        "results = []",
        *(line for piece in chosen for line in piece),
        "return results",
    ]


@part()
def stop_iteration(draft: Draft, budget: int) -> list[str]:
    """StopIteration where it becomes a RuntimeError, and where it does not."""
    draft.need("", "drive")
    draft.define(
        fill(
            """
            def stops(how):
                yield "first"
                if how == "raise":
                    raise StopIteration("out of a generator")
                if how == "next":
                    next(iter(()))
                if how == "from":
                    try:
                        next(iter(()))
                    except StopIteration as stop:
                        raise ValueError("from") from stop
                yield "second"
                return how


            def plain_stop(value):
                raise StopIteration(value)


            class Once:
                def __iter__(self):
                    self.left = $left
                    return self

                def __next__(self):
                    if self.left == 0:
                        raise StopIteration
                    self.left -= 1
                    return self.left
            """,
            left=draft.choices.below(4),
        )
    )
    how = draft.choices.some(("raise", "next", "from", "none"), 3)
    return fill(
        """
        results = [drive(stops(how), (("__next__",),) * 4) for how in $how]
        try:
            plain_stop($value)
        except StopIteration as stop:
            results.append(stop.value)
        results.append([[*Once()], sum(Once()), max(Once(), default=None)])
        try:
            results.append(list(plain_stop(n) if n else n for n in range(3)))
        except RuntimeError as error:
            results.append([error, error.__cause__])
        return results
        """,
        how=repr(how),
        value=value(draft),
    )


@part()
def pipelines(draft: Draft, budget: int) -> list[str]:
    """Generators that feed one another, and their steps from different callers."""
    draft.define(
        fill(
            """
            def numbers(limit):
                yield from range(limit)


            def doubled(source):
                for one in source:
                    yield one * 2


            def batched(source, size):
                batch = []
                for one in source:
                    batch.append(one)
                    if len(batch) == size:
                        yield batch
                        batch = []
                if batch:
                    yield batch


            def take(source, count):
                return [next(source, None) for _ in range(count)]


            def averager():
                total = count = 0
                average = None
                while True:
                    sent = yield average
                    if sent is None:
                        return total
                    total, count = total + sent, count + 1
                    average = total / count


            def outer_averager(results, key):
                while True:
                    results[key] = yield from averager()
            """
        )
    )
    return fill(
        """
        source = numbers($limit)
        chain = batched(doubled(source), $size)
        results = [next(chain), take(source, 1), list(chain)]
        sums = {}
        collector = outer_averager(sums, "key")
        next(collector)
        for sent in ($sent, None, 5.5, None):
            results.append(collector.send(sent))
        collector.close()
        lazy = (a + b for a in numbers(3) for b in doubled(numbers(2)) if a != b)
        return results, sums, take(lazy, 3), sum(lazy)
        """,
        limit=draft.choices.between(2, 9),
        size=draft.choices.between(1, 3),
        sent=", ".join(str(draft.choices.below(50)) for _ in range(3)),
    )
