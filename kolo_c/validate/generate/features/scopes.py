"""Names and code: locals of many kinds, comprehensions, code that is made at run time.

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
def local_names(draft: Draft, budget: int) -> list[str]:
    """Locals that are many, unbound, deleted, cells, starred, global."""
    many = draft.choices.between(10, 70)
    lines = [f"    n{index} = {value(draft, 'small')}" for index in range(many)]
    draft.define(["def has_many(start=0):", *lines, f"    return n0, n{many - 1}"])
    draft.define(
        fill(
            """
            TOTAL = 0


            def with_all(a, b=2, /, c=3, *args, d, e=5, password=$secret, **kwargs):
                global TOTAL
                TOTAL += 1
                bound, deleted, cell = [a], a, {"k": b}
                del deleted
                if TOTAL < 0:
                    never_bound = 1
                reader = lambda extra=bound: (cell, extra)
                (first, *middle), last = (args or (0,)), d
                for index, (key, item) in enumerate(sorted(kwargs.items())):
                    bound.append((index, key))
                _ = [other for other in bound if (walrus := other)]
                with open("/dev/null") as null_device:
                    name = null_device.name
                del null_device
                c = None
                if e == "fail":
                    raise $error
                if e == "unbound":
                    return never_bound
                return first, middle, last, reader()[1], name, walrus
            """,
            secret=value(draft, "secret"),
            error=value(draft, "error"),
        )
    )
    return fill(
        """
        results = [has_many(), with_all($value, d=$value)]
        for how in ("fail", "unbound", "fine"):
            try:
                results.append(with_all(1, 2, 3, 4, 5, d=$other, e=how, z=1, y=2))
            except BaseException as error:
                results.append(error)
        return results, TOTAL > 0
        """,
        value=value(draft),
        other=value(draft),
    )


@part()
def comprehensions(draft: Draft, budget: int) -> list[str]:
    """Comprehensions of every kind, nested, in classes, in lambdas, that fail."""
    draft.define(
        fill(
            """
            def item(n, *rest):
                if n == $bad:
                    raise IndexError(n)
                return n, *rest


            class Table:
                rows = [n * 2 for n in range(3)]
                pairs = {row: [row for _ in range(2)] for row in rows}
                lazy = list(n for n in rows)


            def closures_in():
                called = [(lambda m=m: m)() for m in (1, 2)]
                return [lambda: n for n in range(3)], called


            def shadows(n):
                inner = [n for n in range(2)]
                return n, inner, {n for n in "a"}
            """,
            bad=draft.choices.below(5),
        )
    )
    made = [
        "[item(n) for n in range(3)]",
        "{n: item(n, m) for n in range(2) for m in range(2)}",
        "sorted({item(n)[0] for n in range(4)})",
        "[[item(n, m) for m in range(n)] for n in range(3)]",
        "list(item(n) for n in range(3) if n != 1)",
        "[one for row in [[1, 2], [3]] for one in row if item(one)]",
        "any(item(n)[0] > 1 for n in range(4))",
        "dict((n, item(n)) for n in range(3))",
        "(lambda count: [item(n, count) for n in range(count)])(2)",
        "[f() for f in closures_in()[0]], closures_in()[1]",
        "shadows(7), Table.rows, Table.pairs, Table.lazy",
        "[last := item(n) for n in range(2)], last",
        "[*map(item, range(2)), *[item(6)]]",
    ]
    chosen = draft.choices.some(made, draft.choices.between(4, 8))
    lines = ["results = []"]
    for text in chosen:
        lines += fill(
            """
            try:
                results.append($text)
            except IndexError as error:
                results.append(error)
            """,
            text=f"({text})",
        )
    return [*lines, "return results"]


@part()
def made_at_run_time(draft: Draft, budget: int) -> list[str]:
    """Code of ``exec`` and ``eval``, functions copied, code replaced and forgotten."""
    draft.need("types gc", "say")
    draft.define(
        fill(
            """
            SOURCE = \"\"\"
            def made(n, scale=$scale):
                if n < 0:
                    raise ValueError(n)
                return [n * scale for _ in range(2)]

            class Made:
                def method(self, x):
                    return made(x)
            \"\"\"


            def original(a, b=2):
                return "original", a, b


            def replacement(a, b=3):
                return "replacement", a, b


            def short_lived(n):
                names = {}
                exec(f"def f(x):\\n    return x + {n}", names)
                return names["f"](n)


            def factory(n):
                def same_code(x=n):
                    return x, n

                return same_code
            """,
            scale=draft.choices.between(2, 9),
        )
    )
    return fill(
        """
        names = {}
        exec(SOURCE, names)
        results = [names["made"]($n), names["Made"]().method(2)]
        try:
            names["made"](-1)
        except ValueError as error:
            results.append(error)
        results.append(eval("made(3) + [original(1)]", {**names, "original": original}))
        copied = types.FunctionType(original.__code__, globals(), "copied", ($default,))
        results.append(copied(1))
        original.__code__, kept = replacement.__code__, original.__code__
        results.append(original(1))
        original.__code__ = kept.replace(co_name="renamed")
        results.append(original(2))
        original.__code__ = kept
        results.append([short_lived(n) for n in range($lives)])
        names.clear()
        gc.collect()
        results.append([factory(n)() for n in range(3)])
        return results
        """,
        n=draft.choices.between(1, 5),
        default=value(draft, "small"),
        lives=draft.choices.between(1, 5),
    )


@part()
def matching(draft: Draft, budget: int) -> list[str]:
    """``match`` with patterns of every kind, guards that call, and classes."""
    draft.need("", "Point Color Subclasses")
    scope = Scope(draft, "plain", ["subject"], 30)
    draft.define(
        fill(
            """
            def guard(value, limit=$limit):
                return value > limit


            class Shape:
                __match_args__ = ("kind", "size")

                def __init__(self, kind, size):
                    self.kind = kind
                    self._size = size

                @property
                def size(self):
                    if self._size is None:
                        raise AttributeError("size")
                    return self._size


            def classify(subject):
                match subject:
                    case None | True:
                        return "constant"
                    case int(n) if guard(n):
                        return "big", n
                    case int() | float():
                        return "number"
                    case "":
                        return "empty"
                    case str() as text if text.startswith("a"):
                        return "a text", len(text)
                    case []:
                        return "nothing in it"
                    case [first, *rest] if guard(len(rest), 1):
                        return first, len(rest)
                    case (Point(x=0) | Point(y=0)) as point:
                        return "on an axis", point.x
                    case {"kind": kind, "inner": {"value": found}, **others}:
                        return kind, classify(found), len(others)
                    case Shape("circle", size):
                        return "circle", size
                    case Shape(kind):
                        return "shape", kind
                    case Color.RED | Color.GREEN:
                        return "color"
                    case _:
                        $rest
                        return "unknown"
            """,
            limit=draft.choices.between(0, 50),
            rest=statements(scope, 2),
        )
    )
    subjects = [
        *("None", "True", "100", "1", "2.5", "''", "'abc'", "'b'", "[]", "[1, 2, 3]"),
        *("[1]", "Point(0, 5)", "Point(3)", "Point(3, 4)", "Color.GREEN", "Color.BLUE"),
        *("{'kind': 'k', 'inner': {'value': 7}, 'x': 1}", "{'kind': 1}", "Shape(1, 2)"),
        *("Shape('circle', 2)", "Shape('circle', None)", "Triple((1, 2, 3))", "b'x'"),
        *("{'kind': 'k', 'inner': {'value': [0]}}", "Count(60)", value(draft)),
    ]
    chosen = draft.choices.some(subjects, draft.choices.between(5, 12))
    return [f"return [classify(subject) for subject in ({', '.join(chosen)},)]"]


@part()
def blocks(draft: Draft, budget: int) -> list[str]:
    """Statements at random, and nothing else."""
    scope = Scope(draft, "plain", [], budget)
    lines: list[str] = []
    for _ in range(3):
        lines += statements(scope, 8)
        if lines[-1].split(" ")[0] in ("return", "raise"):
            break
    return [*lines, f"return {scope.argument()}"]


@part(since=(3, 12))
def type_parameters(draft: Draft, budget: int) -> list[str]:
    """Type parameters and aliases: scopes of their own, evaluated when asked for."""
    draft.define(
        fill(
            """
            def bound_of(n):
                return int if n else str


            def first[T: bound_of($n)](items: list[T], /, default: T = $default) -> T:
                return items[0] if items else default


            class Box[T, *Ts, **P]:
                def __init__(self, item: T):
                    self.item = item

                def map[U](self, function) -> "Box[U]":
                    return Box(function(self.item))


            type Alias[T] = dict[str, bound_of(1)] | list[T]
            """,
            n=draft.choices.below(2),
            default=value(draft, "small"),
        )
    )
    return fill(
        """
        results = [first([1, 2]), first([]), Box($value).map(lambda it: [it]).item]
        results.append(first.__type_params__[0].__bound__)
        results.append([str(Alias.__value__)[:9], len(Box.__type_params__)])
        results.append(Box[int, str, [bytes]]($value).item)
        return results
        """,
        value=value(draft),
    )


@part()
def hints(draft: Draft, budget: int) -> list[str]:
    """Annotations that call: when they run is a matter of the version."""
    draft.need("", "say")
    draft.define(
        fill(
            """
            def hint(name):
                say("annotation", name)
                return int


            def annotated(a: hint("a"), *, b: hint("b") = $default) -> hint("return"):
                local: hint("never") = a
                return local, b


            class Annotated:
                field: hint("field") = $n
                other: "text"

                def method(self, x: hint("x")) -> None:
                    self.x: int = x
            """,
            default=value(draft, "small"),
            n=draft.choices.below(9),
        )
    )
    return fill(
        """
        results = [annotated($value), sorted(annotated.__annotations__)]
        results.append(sorted(Annotated.__annotations__))
        Annotated().method(1)
        return results, Annotated.method.__annotations__["x"]
        """,
        value=value(draft),
    )
