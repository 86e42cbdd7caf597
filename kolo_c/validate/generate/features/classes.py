"""Classes: how they are made, what their attributes do, and their operators.

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
def classes(draft: Draft, budget: int) -> list[str]:
    """Properties, class and static methods, inheritance and ``super``."""
    draft.define(
        fill(
            """
            class Base:
                registry = []

                def __init_subclass__(cls, /, label=None, **options):
                    super().__init_subclass__(**options)
                    cls.registry.append((cls.__name__, label))

                def __init__(self, size, password="base-password"):
                    self.size = size
                    self._password = password

                @property
                def area(self):
                    return self.size * self.factor()

                @area.setter
                def area(self, value):
                    if value < 0:
                        raise ValueError(value)
                    self.size = value

                @area.deleter
                def area(self):
                    del self.size

                @classmethod
                def of(cls, *sizes):
                    return [cls(size) for size in sizes]

                @staticmethod
                def limit(value, most=$most):
                    return min(value, most)

                def factor(self):
                    return 1

                def __repr__(self):
                    return f"{type(self).__name__}({self.size})"


            class Left(Base, label="left"):
                def factor(self):
                    return 2 * super().factor()


            class Right(Base):
                def factor(self):
                    return 3 + super(Right, self).factor()


            class Both(Left, Right, label=$label):
                def __init__(self, *args, extra=None, **kwargs):
                    super().__init__(*args, **kwargs)
                    self.extra = extra

                def __getattr__(self, name):
                    if name.startswith("dynamic_"):
                        return name[8:]
                    raise AttributeError(name)
            """,
            most=draft.choices.between(1, 20),
            label=value(draft, "small"),
        )
    )
    return fill(
        """
        both = Both($size, extra=$extra)
        results = [both.area, both.limit(30), both.dynamic_name, repr(both)]
        both.area = $area
        results += [both.size, [one.area for one in Both.of(1, 2)], Base.registry]
        for action in (lambda: setattr(both, "area", -1), lambda: both.unknown,
                       lambda: delattr(both, "area"), lambda: both.area):
            try:
                action()
            except (ValueError, AttributeError) as error:
                results.append(error.args)
        return results
        """,
        size=draft.choices.between(1, 9),
        extra=value(draft),
        area=draft.choices.between(0, 9),
    )


@part()
def metaclasses(draft: Draft, budget: int) -> list[str]:
    """Classes made by a metaclass, by ``type``, in functions; bodies that call."""
    draft.need("", "Meta Descriptor")
    draft.define(
        fill(
            """
            def computed(n):
                return [n] * 2


            class Made(metaclass=Meta, option=$option):
                field = computed($n)
                total = sum(one for one in field)
                table = {key: key * 2 for key in range(2)}

                class Inner:
                    value = computed(3)

                    def method(self):
                        return self.value

                def __new__(cls, *args):
                    made = super().__new__(cls)
                    made.args = args
                    return made

                def __init__(self, *args):
                    self.first = args[0] if args else None

                def __class_getitem__(cls, key):
                    return cls.__name__, key


            class Measured:
                width = Positive()
                height = Positive()

                def __init__(self, width, height):
                    self.width = width
                    self.height = height


            def build(name, **names):
                class Local(Made, **names):
                    made_by = name

                    def who(self):
                        return __class__.__name__, self.made_by

                Local.__name__ = name
                return Local


            def failing_body():
                class Never:
                    before = computed(1)
                    raise $error
            """,
            n=draft.choices.between(1, 5),
            option=value(draft, "small"),
            error=value(draft, "error"),
        )
    )
    return fill(
        """
        made = Made($args)
        results = [made.called_with, made.args, Made.prepared, Made[1], Made.Inner()
                   .method(), build("Local", extra=1)().who(), len(Meta.made) > 1]
        dynamic = type("Dynamic", (Measured,), {"area": lambda self: self.width * 2})
        results.append(dynamic(2, 3).area())
        shape = Measured($w, 2)
        for change in (lambda: setattr(shape, "width", -1), lambda: failing_body(),
                       lambda: delattr(shape, "height"), lambda: Made(1, 2).first):
            try:
                results.append(change())
            except BaseException as error:
                results.append(error)
        return results, shape.height, type(Measured.width)
        """,
        args=", ".join(value(draft) for _ in range(draft.choices.below(3))),
        w=draft.choices.between(0, 4),
    )


@part()
def operators(draft: Draft, budget: int) -> list[str]:
    """Methods that operators, loops and builtins call."""
    draft.define(
        fill(
            """
            class Vector:
                __slots__ = ("x", "y")
                __match_args__ = ("x", "y")
                __hash__ = None

                def __init__(self, x, y):
                    self.x, self.y = x, y

                def __add__(self, other):
                    if not isinstance(other, Vector):
                        return NotImplemented
                    return Vector(self.x + other.x, self.y + other.y)

                def __radd__(self, other):
                    return self if other == 0 else NotImplemented

                def __iadd__(self, other):
                    self.x += other
                    return self

                def __neg__(self):
                    return Vector(-self.x, -self.y)

                def __matmul__(self, other):
                    return self.x * other.x + self.y * other.y

                def __eq__(self, other):
                    return isinstance(other, Vector) and other.pair() == self.pair()

                def __lt__(self, other):
                    return self.pair() < other.pair()

                def pair(self):
                    return self.x, self.y

                def __len__(self):
                    return 2

                def __iter__(self):
                    yield self.x
                    yield self.y

                def __getitem__(self, index):
                    if isinstance(index, slice):
                        return [self.x, self.y][index]
                    return (self.x, self.y)[index]

                def __setitem__(self, index, value):
                    setattr(self, "xy"[index], value)

                def __delitem__(self, index):
                    raise TypeError(f"no {index}")

                def __contains__(self, value):
                    return value in self.pair()

                def __bool__(self):
                    return any(self.pair())

                def __call__(self, *args, **kwargs):
                    return len(args), sorted(kwargs)

                def __format__(self, spec):
                    return f"<{self.x:{spec or 'd'}}>"

                def __index__(self):
                    return self.x

                def __reversed__(self):
                    return iter([self.y, self.x])
            """
        )
    )
    tests = [
        "tuple(a + b)",
        "tuple(sum([a, b, a]))",
        "a == b, a != b, a == 3",
        "a < b, a > b",
        "sorted([b, a])[0].pair()",
        "max(a, b).pair()",
        "len(a), bool(a), not b",
        "a[0], a[-1], a[:]",
        "3 in a, list(a), [*b]",
        "a(1, 2, key=3)",
        "f'{a:03d} {b}'",
        "[10, 20, 30, 40][a] if a.x < 4 else None",
        "list(reversed(a)), hex(a)",
        "a @ b, (-a).pair()",
        "a + 3",
        "1 + a",
        "hash(a)",
        "(lambda v: v.__setitem__(1, 9) or v.pair())(Vector(1, 2))",
        "(lambda v: v.__delitem__(1))(a)",
        "(lambda x, y: (x, y))(*a)",
        "dict([a, b])",
        "a[5]",
    ]
    chosen = draft.choices.some(tests, draft.choices.between(6, 10))
    return fill(
        """
        a, b = Vector($ax, $ay), Vector($bx, $by)
        results = []
        for test in (
            $tests
        ):
            try:
                results.append(test())
            except (TypeError, IndexError) as error:
                results.append(type(error))
        a += 1
        match a:
            case Vector(0, y) if y > 1:
                results.append(y)
            case Vector(x=x):
                results.append(["x", x])
        return results
        """,
        ax=draft.choices.below(4),
        ay=draft.choices.below(4),
        bx=draft.choices.below(4),
        by=draft.choices.below(2),
        tests=[f"lambda: ({text})," for text in chosen],
    )


@part()
def data_classes(draft: Draft, budget: int) -> list[str]:
    """Dataclasses, named tuples, enums: methods that nobody wrote in the file."""
    draft.need("dataclasses", "Point Pair Color")
    return fill(
        """
        point = Point($x, y=$y)
        moved = point.moved($by)
        results = [point == moved, moved.x, moved.shifted, point == Point($x, $y)]
        results.append(sorted([Version(2), Version(1, 5)])[0].minor)
        results.append(len({Version(1): 1, Version(1, 0): 2}))
        results.append(dataclasses.asdict(Point(1, [2]))["y"])
        row = Row("key", $count).twice()
        results += [row.count, row.api_key, Pair(1, 2)._replace(left=0)]
        results += [Color.RED.describe(), Color("first").name, Color["BLUE"].value]
        results.append([color.describe() for color in Color])
        for wrong in (lambda: Color("none"), lambda: setattr(Version(1), "major", 2),
                      lambda: Point()):
            try:
                wrong()
            except (ValueError, AttributeError, TypeError) as error:
                results.append(type(error).__mro__[1])
        return results, (Access.READ | Access.WRITE) is Access.BOTH
        """,
        x=draft.choices.below(100),
        y=value(draft, "number"),
        by=draft.choices.below(9),
        count=draft.choices.below(9),
    )


@part(prompt=True)
def finalizers(draft: Draft, budget: int) -> list[str]:
    """``__del__`` and weak references: they run where the program says ``del``."""
    draft.need("gc weakref", "say Slotted")
    draft.define(
        fill(
            """
            class Ending:
                def __init__(self, name, other=None):
                    self.name, self.other = name, other

                def __del__(self):
                    say("gone", self.name)
                    self.other = note_end(self.name)


            def note_end(name):
                return [name]


            def makes_and_drops(name):
                ending = Ending(name)
                return ending.name


            def raises_with(name):
                ending = Ending(name)
                raise ValueError(ending.name)
            """
        )
    )
    pieces = [
        ["ending = Ending('deleted')", "del ending", "gc.collect()"],
        ["makes_and_drops('dropped')", "gc.collect()"],
        [
            "first, second = Ending('first'), Ending('second')",
            "first.other, second.other = [first], None",
            "del second",
            "gc.collect()",
            "del first",
            "gc.collect()",
        ],
        [
            "try:",
            "    raises_with('raised')",
            "except ValueError as error:",
            "    results.append(error)",
            "results.clear()",
            "gc.collect()",
        ],
        [
            "held = Slotted(1)",
            "seen = weakref.ref(held, lambda ref: say('callback', ref() is None))",
            "del held",
            "gc.collect()",
            "results.append(seen())",
        ],
        [
            "held = Slotted(2)",
            "end = weakref.finalize(held, note_end, 'finalize')",
            "results.append(end.alive)",
            "del held",
            "gc.collect()",
            "results.append(end.alive)",
        ],
        ["Ending('replaced')", "gc.collect()", "results.append(len(gc.garbage) < 0)"],
    ]
    chosen = draft.choices.some(pieces, draft.choices.between(2, 4))
    return [
        "results = []",
        *(line for piece in chosen for line in piece),
        "return results",
    ]
