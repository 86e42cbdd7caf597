"""The standard library between the program's calls: its frames are left out, or not.

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
def visitors(draft: Draft, budget: int) -> list[str]:
    """Classes of the library that call back methods of the program's."""
    draft.need("ast json string collections.abc pickle")
    draft.define(
        fill(
            """
            class Names(ast.NodeVisitor):
                def __init__(self):
                    self.found = []

                def visit_Name(self, node):
                    self.found.append(node.id)

                def visit_Call(self, node):
                    self.found.append("call")
                    self.generic_visit(node)


            class Encoder(json.JSONEncoder):
                def default(self, o):
                    if isinstance(o, set):
                        return sorted(o)
                    return super().default(o)


            class Filled(string.Formatter):
                def get_value(self, key, args, kwargs):
                    return kwargs.get(key, key) if isinstance(key, str) else args[key]


            class Keys(collections.abc.MutableMapping):
                def __init__(self, **kwargs):
                    self.data = kwargs

                def __getitem__(self, key):
                    return self.data[key]

                def __setitem__(self, key, value):
                    self.data[key] = value

                def __delitem__(self, key):
                    del self.data[key]

                def __iter__(self):
                    return iter(self.data)

                def __len__(self):
                    return len(self.data)


            class Saved:
                def __init__(self, state):
                    self.state = state

                def __getstate__(self):
                    return [self.state]

                def __setstate__(self, state):
                    self.state = state[0], "restored"
            """
        )
    )
    return fill(
        """
        visitor = Names()
        visitor.visit(ast.parse("f(x, g(y)) + $n"))
        results = [visitor.found, Encoder().encode({"a": {3, 1}})]
        try:
            Encoder().encode([object])
        except TypeError as error:
            results.append(type(error))
        results.append(Filled().format("{0} {name} {other}", $n, name="x"))
        keys = Keys(a=1, token="secret-of-keys")
        keys.update(b=$value)
        results += [keys.pop("a"), sorted(keys), keys.setdefault("c", 3), "z" in keys]
        try:
            keys.popitem() and keys["missing"]
        except KeyError as error:
            results.append(error)
        Saved.__module__ = __name__
        state = Saved($n).__reduce_ex__(2)
        again = Saved(0)
        again.__setstate__(state[2])
        return results, again.state
        """,
        n=draft.choices.between(1, 99),
        value=value(draft),
    )


@part()
def caches(draft: Draft, budget: int) -> list[str]:
    """Calls that come often, with arguments of changing types."""
    draft.need("functools collections")
    draft.define(
        fill(
            """
            def hot(a, b=1):
                return a + b


            def mixed(value, *, scale=2):
                if type(value) is int and type(scale) is str:
                    value &= 7  # a text of gigabytes shows nothing more
                return value * scale


            class Cell:
                __slots__ = ("n",)

                def __init__(self, n):
                    self.n = n

                def bump(self, by=1):
                    self.n += by
                    return self

                @property
                def twice(self):
                    return hot(self.n, self.n)


            def spread(*values, **names):
                return len(values) + len(names)
            """
        )
    )
    return fill(
        """
        total = 0
        for n in range($times):
            total = hot(total, n)
            hot(*(n,), **{})
        cell = Cell(0)
        for value in (1, 2.5, 10**20, -3):
            cell.bump(value)
        results = [total, cell.twice]
        for value in (1, "a", [1], (2,), 1.5, b"x", True, $number):
            results.append(mixed(value) if value != value or value == 1 else mixed(1))
            try:
                results.append(mixed(value, scale=$scale))
            except (TypeError, ValueError) as error:
                results.append(type(error))
        results.append(spread(*range($wide), **{f"k{n}": n for n in range(3)}))
        return results
        """,
        times=draft.choices.between(5, 30),
        number=value(draft, "number"),
        scale=draft.choices.pick(("1", "0", "'x'", "None")),
        wide=draft.choices.between(1, 50),
    )
