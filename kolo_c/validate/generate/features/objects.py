"""Objects that travel: copies, pickles, protocols, and what the program says to us.

Threads: one at a time. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.validate.generate.features.part import part
from kolo_c.validate.generate.text import fill
from kolo_c.validate.generate.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.validate.generate.draft import Draft


@part()
def protocols(draft: Draft, budget: int) -> list[str]:
    """Old and odd protocols: items, missing, lengths, attributes, copies."""
    draft.need("copy operator", "Subclasses")
    draft.define(
        fill(
            """
            class ByIndex:
                def __init__(self, *items):
                    self.items = items

                def __getitem__(self, index):
                    return self.items[index]

                def __length_hint__(self):
                    return len(self.items) + 5


            class Recording:
                def __init__(self, log=None):
                    object.__setattr__(self, "log", [] if log is None else log)

                def __getattribute__(self, name):
                    if name != "log":
                        object.__getattribute__(self, "log").append(("get", name))
                    return object.__getattribute__(self, name)

                def __setattr__(self, name, value):
                    self.log.append(("set", name))
                    object.__setattr__(self, name, value)

                def __delattr__(self, name):
                    self.log.append(("del", name))

                def __dir__(self):
                    return ["made", "up"]

                def __copy__(self):
                    return Recording([*self.log, "copied"])

                def __reduce__(self):
                    return Recording, (["reduced"],)

                def method(self):
                    return len(self.log)


            class Converts:
                def __int__(self):
                    return $n

                def __float__(self):
                    return $n / 2

                def __complex__(self):
                    return complex($n, 1)

                def __bytes__(self):
                    return b"bytes"

                def __round__(self, digits=None):
                    return digits

                def __divmod__(self, other):
                    return self.__int__(), other

                def __fspath__(self):
                    return "/dev/null"

                def __instancecheck__(self, other):
                    return other == $n
            """,
            n=draft.choices.between(1, 9),
        )
    )
    return fill(
        """
        items = ByIndex(1, $value, 3)
        results = [[*items], 3 in items, operator.length_hint(items), items[-1]]
        first, *rest = items
        results.append(len(rest))
        it = Recording()
        it.field = $value
        del it.field
        results += [it.method(), dir(it), len(copy.copy(it).log)]
        results.append(copy.deepcopy(it).log)
        one = Converts()
        results += [int(one), float(one), complex(one), bytes(one), round(one, 2)]
        with open(one) as null:
            results.append([divmod(one, 2), null.read(), isinstance($n, one)])
        missing = Defaults()
        results += [missing["a"], missing["b"], dict(missing)]
        results += [sum([Count(1), Count(2)], Count(0)), Stack().push(1).push(2)]
        return results
        """,
        value=value(draft),
        n=draft.choices.between(1, 9),
    )


@part()
def regions(draft: Draft, budget: int) -> list[str]:
    """What a program says itself: regions, notes, pauses, functions left out."""
    draft.need("contextlib asyncio", "say kolo")
    draft.define(
        fill(
            """
            def inside(n, *, note=None):
                if note:
                    tell(note, n=n, password=$secret)
                return n + 1


            @left_out
            def not_seen(n):
                return inside(n)


            @named("decorated region")
            def in_region(n):
                return [inside(n)]


            def region_steps(count):
                with region("in a generator"):
                    for n in range(count):
                        yield inside(n)


            def ends_in_pause(pause):
                pause.__enter__()
                return inside(4)


            async def in_task(name):
                with region(name):
                    await asyncio.sleep(0)
                    return inside(len(name))


            async def in_tasks():
                return await asyncio.gather(in_task("one"), in_task("second"))
            """,
            secret=value(draft, "secret"),
        )
    )
    pieces = [
        [
            f"with region('outer {draft.choices.below(9)}'):",
            "    with region('inner'):",
            f"        results.append(inside({value(draft, 'number')}))",
        ],
        [
            "try:",
            "    with region('fails'):",
            "        inside('text')",
            "except TypeError as error:",
            "    results.append(type(error))",
        ],
        [f"tell('a note', value={value(draft, '', 3)})", "inside(1, note='in a call')"],
        ["with quiet():", "    results.append(inside(2))", "inside(3)"],
        ["results.append(not_seen(5))"],
        ["results.append(in_region(6))"],
        [
            "it = region_steps(3)",
            "results.append(next(it))",
            "with region('around'):",
            "    results.append(next(it))",
            "results += list(it)",
        ],
        [
            "with quiet():",
            "    it = region_steps(2)",
            "    next(it)",
            "results.append(list(it))",
        ],
        ["pause = quiet()", "ends_in_pause(pause)", "pause.__exit__(None, None, None)"],
        ["results.append(asyncio.run(in_tasks()))"],
        [
            "with region('boundary', boundary=True):",
            "    results.append(inside(7, note='elsewhere'))",
        ],
        [
            "it = region_steps(4)",
            "next(it)",
            "with region('other trace', boundary=True):",
            "    results.append(next(it))",
            "results += list(it)",
        ],
    ]
    chosen = draft.choices.some(pieces, draft.choices.between(3, 6))
    return [
        "results = []",
        "tell('begins', number=1)",
        "with region('all of it'):",
        "    inside(0)",
        *(line for piece in chosen for line in piece),
        "return results",
    ]
