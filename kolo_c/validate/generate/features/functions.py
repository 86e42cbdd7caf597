"""Plain functions: parameters, closures, recursion, decorators, and calls through C.

Threads: one at a time. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.validate.generate.body import Scope, statements
from kolo_c.validate.generate.features.part import part
from kolo_c.validate.generate.functions import function
from kolo_c.validate.generate.signature import arguments
from kolo_c.validate.generate.text import fill
from kolo_c.validate.generate.values import KINDS, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.validate.generate.draft import Draft


@part()
def calls(draft: Draft, budget: int) -> list[str]:
    """Functions with parameters of every kind, called in every way."""
    scope = Scope(draft, "plain", [], budget)
    lines = []
    for _ in range(draft.choices.between(1, 2)):
        function(draft, "plain", 40)
    for _ in range(draft.choices.between(4, 8)):
        callee = draft.callable("plain", scope.left)
        if callee is None:
            break
        scope.affords(callee.cost)
        given = arguments(draft, callee.signature, scope.names)
        name = scope.word()
        lines += fill(
            """
            try:
                $name = $call
            except Exception as error:
                $name = error
            """,
            name=name,
            call=f"{callee.name}({given})",
        )
        scope.bind(name)
    return [*lines, *statements(scope, 6), f"return {scope.argument()}"]


@part()
def wrong_calls(draft: Draft, budget: int) -> list[str]:
    """Calls that fail before a frame is made, and calls of what is no function."""
    wrong = [
        "exact()",
        "exact(1, 2, 3, 4)",
        "exact(1, 2, nobody=3)",
        "exact(a=1, b=2)",
        "exact(1, 2, c=3, **{'c': 4})",
        "exact(*5)",
        "exact(**{1: 2})",
        "exact(1)(2)",
        "exact.missing()",
        "exact.__doc__(1)",
        "undefined_function(exact(1, 2))",
        "exact(1, 2, c=[].pop())",
    ]
    chosen = draft.choices.some(wrong, draft.choices.between(3, 6))
    draft.define(
        fill(
            """
            def exact(a, /, b, *, c=None):
                return [a, b, c]
            """
        )
    )
    return fill(
        """
        results = []
        for call in ($calls,):
            try:
                results.append(call())
            except (TypeError, NameError, AttributeError, IndexError) as error:
                results.append(type(error).__name__)
        results.append(exact(1, 2))
        return results
        """,
        calls=", ".join(f"lambda: {text}" for text in chosen),
    )


@part()
def closures(draft: Draft, budget: int) -> list[str]:
    """Cells: of arguments and locals, shared, rebound, deleted, unbound."""
    draft.define(
        fill(
            """
            def counter(start, step=$step, *, token=$token):
                total = start
                history = []

                def add(times=1, *, by=step):
                    nonlocal total
                    history.append(total)
                    for _ in range(times):
                        total += by
                    return total

                def forget():
                    nonlocal start
                    gone = start, token
                    del start
                    return gone

                def read():
                    return start

                return add, forget, read, lambda: (history, total)


            def late(count):
                made = []
                for n in range(count):
                    made.append(lambda extra=n: (n, extra))
                return made


            def captured_argument(value, *rest, **more):
                def inner(depth):
                    if depth:
                        return inner(depth - 1)
                    return value, rest, sorted(more)

                return inner
            """,
            step=draft.choices.between(1, 9),
            token=value(draft, "secret"),
        )
    )
    return fill(
        """
        add, forget, read, look = counter($start)
        results = [add(), add($times), add(by=10), look(), read(), forget()]
        try:
            read()
        except NameError as error:
            results.append(type(error).__name__)
        results.append([made() for made in late($late)])
        results.append(captured_argument($value, 1, 2, key=3)($deep))
        return results
        """,
        start=draft.choices.below(100),
        times=draft.choices.between(2, 5),
        late=draft.choices.between(1, 4),
        value=value(draft),
        deep=draft.choices.between(1, 6),
    )


@part()
def recursion(draft: Draft, budget: int) -> list[str]:
    """Functions that call themselves, and one another."""
    draft.define(
        fill(
            """
            def fibonacci(n, memo=None):
                if memo is not None and n in memo:
                    return memo[n]
                result = n if n < 2 else fibonacci(n - 1, memo) + fibonacci(n - 2, memo)
                if memo is not None:
                    memo[n] = result
                return result


            def is_even(n):
                return True if n == 0 else is_odd(n - 1)


            def is_odd(n):
                return False if n == 0 else is_even(n - 1)


            def walk(tree, path=()):
                if not isinstance(tree, dict):
                    return [(path, tree)]
                found = []
                for key, child in tree.items():
                    found.extend(walk(child, (*path, key)))
                return found


            def fails_below(n, *, seen):
                seen.append(n)
                try:
                    if n == 0:
                        raise $error
                    return fails_below(n - 1, seen=seen)
                finally:
                    seen.append(-n)


            def permutations(items):
                if not items:
                    yield ()
                for index in range(len(items)):
                    for rest in permutations(items[:index] + items[index + 1:]):
                        yield (items[index], *rest)
            """,
            error=value(draft, "error"),
        )
    )
    return fill(
        """
        tree = {"a": {"b": 1, "c": {"d": $leaf}}, "e": $leaf}
        results = [fibonacci($few), fibonacci($more, {}), is_even($parity), walk(tree)]
        seen = []
        try:
            fails_below($deep, seen=seen)
        except BaseException as error:
            results.append(error)
        return results, seen, list(permutations([1, 2, 3][:$many]))
        """,
        few=draft.choices.between(2, 6),
        more=draft.choices.between(5, 15),
        parity=draft.choices.between(1, 60),
        leaf=value(draft, "small"),
        deep=draft.choices.between(1, 30),
        many=draft.choices.between(1, 3),
    )


@part()
def decorators(draft: Draft, budget: int) -> list[str]:
    """Functions, classes and methods wrapped by functions, instances and C."""
    draft.need("functools", "Decorators")
    draft.define(
        fill(
            """
            @labelled("outer")
            @passing
            @Counting
            def wrapped(a, *rest, key=None):
                return None if a is None else (a, rest, key)


            @functools.lru_cache(maxsize=4)
            def remembered(n, /):
                return n * $factor


            @functools.singledispatch
            def by_type(value):
                return "any"


            @by_type.register(int)
            def _(value):
                return "int", value


            @by_type.register(list)
            @by_type.register(tuple)
            def _(value):
                return "items", [by_type(item) for item in value]


            def add_repr(cls):
                cls.describe = lambda self, prefix="it": f"{prefix} {self.n}"
                return cls


            @add_repr
            class Decorated:
                def __init__(self, n):
                    self.n = n

                @passing
                def method(self, by):
                    return self.n + by

                @classmethod
                @passing
                def build(cls, n):
                    return cls(n)

                @staticmethod
                @labelled("static")
                def nothing(_):
                    return None

                @functools.cached_property
                def once(self):
                    return self.method(100)
            """,
            factor=draft.choices.between(2, 9),
        )
    )
    return fill(
        """
        results = [wrapped($first, 1, key=$key), wrapped(None)]
        results.append([remembered(n) for n in (1, 2, 1, 3, 2)])
        results.append(by_type([1, ("x", 2), $any]))
        it = Decorated.build($n)
        results += [it.method(1), it.nothing(0), it.once, it.once, it.describe()]
        return results
        """,
        first=value(draft),
        key=value(draft, "small"),
        any=value(draft, "small"),
        n=draft.choices.below(50),
    )


@part()
def through_c(draft: Draft, budget: int) -> list[str]:
    """Functions that C calls: sort keys, map, partial, reduce, callbacks."""
    draft.need("functools itertools re json copy operator heapq bisect")
    draft.define(
        fill(
            """
            def key_of(item, /, sign=1):
                return sign * (item % $modulo), item


            def compare(left, right):
                return (left > right) - (left < right)


            def fails_on(wanted, item):
                if item == wanted:
                    raise LookupError(item)
                return item


            class Sortable:
                def __init__(self, n):
                    self.n = n

                def __lt__(self, other):
                    return self.n < other.n

                def __deepcopy__(self, memo):
                    return Sortable(copy.deepcopy([self.n], memo)[0])
            """,
            modulo=draft.choices.between(2, 5),
        )
    )
    calls = [
        "sorted(items, key=key_of)",
        "sorted(items, key=functools.partial(key_of, sign=-1))",
        "sorted(items, key=functools.cmp_to_key(compare))",
        "max(items, key=lambda item: -item)",
        "list(map(key_of, items))",
        "list(filter(lambda item: item % 2, items))",
        "functools.reduce(lambda total, item: total + item, items, 0)",
        "list(itertools.accumulate(items, lambda a, b: a * b))",
        "[(key, list(group)) for key, group in itertools.groupby(items, key_of)]",
        "list(itertools.takewhile(lambda item: item != 2, items))",
        "list(itertools.starmap(compare, zip(items, reversed(items))))",
        "re.sub('[aeiou]', lambda found: found[0].upper(), 'regular text')",
        "json.loads('[{\"a\": 1}, {}]', object_hook=lambda found: [*found])",
        "json.dumps({'x': object()}, default=lambda value: 'made')",
        "[one.n for one in sorted(map(Sortable, items))]",
        "copy.deepcopy([Sortable(3), Sortable(4)])[0].n",
        "heapq.nsmallest(2, items, key=key_of)",
        "bisect.bisect(sorted(items), 2, key=lambda item: item)",
        "list(iter(iter([1, 2, 3, 4]).__next__, 3))",
        "operator.methodcaller('n', 1)(type('T', (), {'n': lambda self, a: a})())",
        "list(map(functools.partial(fails_on, 2), items))",
        "sorted(items, key=functools.partial(fails_on, 1))",
        "dict(zip(items, map(str, items)))",
        "any(fails_on(9, item) == 2 for item in items)",
        "''.join(chr(97 + item) for item in items)",
        "(lambda *args, **kwargs: [args, kwargs])(*items, **{'k': 1})",
        "eval('key_of(3)')",
        "type('Made', (), {'__init__': lambda self: print('made')})() and None",
        "list(enumerate(map(lambda item: item + 1, items), 1))",
        "all(map(lambda item: item < 3, items))",
        "int.__add__(*map(lambda one: one, (1, 2)))",
        "min((), default=len(items))",
    ]
    chosen = draft.choices.some(calls, draft.choices.between(5, 9))
    return fill(
        """
        items = [$items]
        results = []
        for call in (
            $calls
        ):
            try:
                results.append(call())
            except LookupError as error:
                results.append(error)
        return results
        """,
        items=", ".join(str(draft.choices.below(4)) for _ in range(5)),
        calls=[f"lambda: {text}," for text in chosen],
    )


@part()
def nesting(draft: Draft, budget: int) -> list[str]:
    """Functions in functions in functions, and calls in calls in calls."""
    depth = draft.choices.between(3, 12)
    lines = []
    for level in range(depth):
        pad = "    " * level
        lines += [f"{pad}def level{level}(a{level}, *, b{level}={level}):"]
    pad = "    " * depth
    seen = ", ".join(f"a{level}" for level in range(0, depth, 2))
    lines.append(f"{pad}return [{seen}, b{depth - 1}]")
    for level in reversed(range(1, depth)):
        pad = "    " * level
        lines.append(f"{pad}return level{level}(a{level - 1} + 1, b{level}=a0)")
    draft.define(lines)
    draft.define(
        fill(
            """
            def nest(depth, function, *values):
                if depth == 0:
                    return function(*values)
                return (lambda *inner: nest(depth - 1, function, *inner))(*values)
            """
        )
    )
    return fill(
        """
        return level0($start), nest($deep, lambda *values: len(values), $value, 2)
        """,
        start=draft.choices.below(9),
        deep=draft.choices.between(5, 60),
        value=value(draft),
    )


@part()
def values(draft: Draft, budget: int) -> list[str]:
    """Values of every kind, as arguments, results and locals of what fails."""
    draft.define(
        fill(
            """
            def give_back(value, /, *rest, name=None, **more):
                return value


            def keep_and_fail(value, password=None):
                local, secret = [value], password
                cell = value
                reader = lambda: cell
                del reader
                raise RuntimeError(local)
            """
        )
    )
    lines = ["results = []"]
    kinds = [kind for kind in KINDS if kind != "small"]
    for _ in range(draft.choices.between(10, 20)):
        text = value(draft, draft.choices.pick(kinds))
        other = value(draft, "", 3)
        lines.append(
            draft.choices.pick(
                (
                    f"results.append(give_back({text}))",
                    f"results.append(give_back({text}, {other}))",
                    f"results.append(give_back({text}, name={other}))",
                    f"results.append(give_back({other}, secret={text}, given={other}))",
                )
            )
        )
    lines += fill(
        """
        for _ in range($times):
            try:
                keep_and_fail($value, $secret)
            except RuntimeError as error:
                results.append(len(error.args))
        say("values", *results)
        return len(results)
        """,
        times=draft.choices.between(1, 2),
        value=value(draft, "", 3),
        secret=value(draft, "secret"),
    )
    return lines
