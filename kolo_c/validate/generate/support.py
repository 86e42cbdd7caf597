"""What programs are built on: functions and classes that parts of them ask for by name.

A piece is put into the program once, behind the pieces that it needs. ``show`` gives a
text that depends on the value alone: no address, and no order of a set.

Threads: any. Owns: nothing. Fails: KeyError for a piece that is not here.
"""

from __future__ import annotations

from typing import NamedTuple


class Piece(NamedTuple):
    """Source text, the modules that it imports, and the pieces it is built on."""

    text: str
    imports: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


PIECES: dict[str, Piece] = {}


def _piece(
    name: str, text: str, imports: str = "", needs: tuple[str, ...] = ()
) -> None:
    PIECES[name] = Piece(text, tuple(imports.split()), needs)


_piece(
    "show",
    '''
    PLAIN = (type(None), bool, float, complex, bytearray, range)


    def show(value, depth=3):
        """A text for the transcript: the same wherever the program runs."""
        kind = type(value)
        if kind in PLAIN:
            return repr(value)
        if kind is int:
            size = value.bit_length()
            return repr(value) if size < 200 else f"int of {size} bits"
        if kind is str or kind is bytes:
            text = ascii(value)
            return text if len(text) < 60 else f"{text[:50]}... {len(value)}"
        if kind is list or kind is tuple:
            if depth == 0:
                return kind.__name__
            inner = [show(item, depth - 1) for item in value[:5]]
            return f"{kind.__name__}({', '.join(inner)}) {len(value)}"
        if kind is dict:
            if depth == 0:
                return "dict"
            parts = []
            for key, item in list(value.items())[:5]:
                parts.append(f"{show(key, 0)}: {show(item, depth - 1)}")
            return f"dict({', '.join(parts)}) {len(value)}"
        if kind is set or kind is frozenset:
            return f"{kind.__name__} of {len(value)}"
        if issubclass(kind, BaseException):
            return f"{kind.__name__}{show(value.args, depth - 1 if depth else 0)}"
        return f"<{kind.__name__}>"
    ''',
)
_piece(
    "say",
    '''
    def say(label, *values):
        """A line of the transcript."""
        print(label, *[show(value) for value in values])
    ''',
    needs=("show",),
)
_piece(
    "attempt",
    '''
    def attempt(label, part):
        """Run a part of the program, and say what came of it."""
        try:
            say(label, part())
        except BaseException as error:
            say(label + " failed", error)
            for link in ("__cause__", "__context__"):
                other, seen = getattr(error, link), 0
                while other is not None and seen < 4:
                    say(f"{label} {link}", other)
                    other, seen = getattr(other, link), seen + 1
    ''',
    needs=("say",),
)
_piece(
    "drive",
    '''
    def drive(generator, script):
        """Do with a generator what the script says; what comes of each step."""
        outcomes = []
        for step, *arguments in script:
            try:
                outcomes.append(getattr(generator, step)(*arguments))
            except StopIteration as stop:
                outcomes.append(("stop", stop.value))
            except Exception as error:
                outcomes.append(error)
            except GeneratorExit:
                outcomes.append("exit")
        return outcomes
    ''',
)
_piece(
    "step_by_hand",
    '''
    def step_by_hand(awaitable, limit=40):
        """Run a coroutine without an event loop: nothing answers what it yields."""
        yielded = []
        for _ in range(limit):
            try:
                yielded.append(awaitable.send(None))
            except StopIteration as stop:
                return yielded, stop.value
            except Exception as error:
                return yielded, error
        awaitable.close()
        return yielded, "closed"
    ''',
)
_piece(
    "Problem",
    '''
    class Problem(Exception):
        """With a constructor of its own, and fields beside its arguments."""

        def __init__(self, code, detail=None):
            super().__init__(code)
            self.code = code
            self.detail = detail

        def __str__(self):
            return f"problem {self.code}"


    class WorseProblem(Problem, ValueError):
        pass
    ''',
)
_piece(
    "Manager",
    '''
    class Manager:
        """Notes how it was left; may swallow, or fail itself."""

        def __init__(self, name, swallows=(), fails=None):
            self.name, self.swallows, self.fails = name, swallows, fails

        def __enter__(self):
            return self

        def __exit__(self, kind, error, traceback):
            say(f"leave {self.name}", error)
            if self.fails is not None:
                raise self.fails
            return kind is not None and issubclass(kind, self.swallows or ())
    ''',
    needs=("say",),
)
_piece(
    "AsyncManager",
    '''
    class AsyncManager:
        """Waits for its turn on the way in and out."""

        def __init__(self, name, swallows=()):
            self.name, self.swallows = name, swallows

        async def __aenter__(self):
            await asyncio.sleep(0)
            return self.name

        async def __aexit__(self, kind, error, traceback):
            await asyncio.sleep(0)
            return kind is not None and issubclass(kind, self.swallows or ())
    ''',
    "asyncio",
)
_piece(
    "Color",
    """
    class Color(enum.Enum):
        RED = 1
        GREEN = "two"
        BLUE = (3, 4)

        def describe(self):
            return self.name.lower()

        @classmethod
        def _missing_(cls, value):
            return cls.RED if value == "first" else None


    class Access(enum.Flag):
        READ = 1
        WRITE = 2
        BOTH = READ | WRITE


    class Level(enum.IntEnum):
        LOW = 1
        HIGH = 10
    """,
    "enum",
)
_piece(
    "Point",
    """
    @dataclasses.dataclass
    class Point:
        x: int
        y: object = 0
        tags: list = dataclasses.field(default_factory=list)

        def __post_init__(self):
            self.shifted = self.x + 1

        def moved(self, by):
            return dataclasses.replace(self, x=self.x + by)


    @dataclasses.dataclass(frozen=True, order=True)
    class Version:
        major: int
        minor: int = 0
    """,
    "dataclasses",
)
_piece(
    "Pair",
    """
    Pair = collections.namedtuple("Pair", "left right")


    class Row(typing.NamedTuple):
        key: str
        count: int = 0
        api_key: str = "none"

        def twice(self):
            return self._replace(count=self.count * 2)
    """,
    "collections typing",
)
_piece(
    "Slotted",
    '''
    class Slotted:
        __slots__ = ("a", "b", "__weakref__")

        def __init__(self, a, b=None):
            self.a = a
            if b is not None:
                self.b = b


    class SlottedMore(Slotted):
        """Slots and a dict."""

        __slots__ = ("c", "__dict__")

        def __init__(self, a):
            super().__init__(a)
            self.d = [a]
    ''',
)
_piece(
    "Account",
    '''
    class Account:
        """Some of its fields are secret."""

        def __init__(self, owner, password="hunter2hunter2", balance=0):
            self.owner = owner
            self.password = password
            self.api_key = {"live": password, "test": None}
            self.token_count = balance

        def check(self, password, *, session=None):
            return self.password == password and session is None
    ''',
)
_piece(
    "Touchy",
    '''
    TOUCHED = []


    class Touchy:
        """Notes every look at it that runs code: only the program may cause one."""

        def __init__(self, value=None):
            self.value = value

        def __repr__(self):
            TOUCHED.append("repr")
            return "touched"

        def __str__(self):
            TOUCHED.append("str")
            return "touched"

        def __len__(self):
            TOUCHED.append("len")
            return 3

        def __iter__(self):
            TOUCHED.append("iter")
            return iter((1, 2, 3))

        def __getattr__(self, name):
            TOUCHED.append(name)
            raise AttributeError(name)

        def __eq__(self, other):
            TOUCHED.append("eq")
            return self is other

        def __hash__(self):
            TOUCHED.append("hash")
            return 7

        def __bool__(self):
            TOUCHED.append("bool")
            return True

        @property
        def __class__(self):
            TOUCHED.append("class")
            return int

        @property
        def shape(self):
            TOUCHED.append("shape")
            raise RuntimeError("property read")
    ''',
)
_piece(
    "TouchyList",
    '''
    class TouchyList(list):
        """A subclass whose iteration and length are its own."""

        def __iter__(self):
            TOUCHED.append("list iter")
            return super().__iter__()

        def __len__(self):
            TOUCHED.append("list len")
            return super().__len__()


    class TouchyText(str):
        def __str__(self):
            TOUCHED.append("text str")
            return "other"

        def __len__(self):
            TOUCHED.append("text len")
            return 0
    ''',
    needs=("Touchy",),
)
_piece(
    "Subclasses",
    """
    class Celsius(float):
        pass


    class Count(int):
        def __add__(self, other):
            return Count(int(self) + int(other))

        __radd__ = __add__


    class Label(str):
        __slots__ = ()


    class Blob(bytes):
        pass


    class Stack(list):
        def push(self, item):
            self.append(item)
            return self


    class Defaults(dict):
        def __missing__(self, key):
            self[key] = value = (key, len(self))
            return value


    class Triple(tuple):
        pass


    class Bag(set):
        pass
    """,
)
_piece(
    "Meta",
    '''
    class Meta(type):
        """Counts its classes, and the calls of them."""

        made = []

        @classmethod
        def __prepare__(mcls, name, bases, **options):
            return {"prepared": sorted(options)}

        def __new__(mcls, name, bases, names, **options):
            cls = super().__new__(mcls, name, bases, dict(names))
            mcls.made.append(name)
            return cls

        def __init__(cls, name, bases, names, **options):
            super().__init__(name, bases, names)

        def __call__(cls, *args, **kwargs):
            made = super().__call__(*args, **kwargs)
            made.called_with = len(args) + len(kwargs)
            return made
    ''',
)
_piece(
    "Descriptor",
    '''
    class Positive:
        """A field that must not be negative."""

        def __set_name__(self, owner, name):
            self.name = "_" + name

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            return getattr(instance, self.name, 0)

        def __set__(self, instance, value):
            if value < 0:
                raise ValueError(self.name)
            setattr(instance, self.name, value)

        def __delete__(self, instance):
            delattr(instance, self.name)
    ''',
)
_piece(
    "loops",
    '''
    def with_itself(kind):
        """Containers that hold themselves."""
        if kind == "list":
            made = [1]
            made.append(made)
        elif kind == "dict":
            made = {"name": 1}
            made["self"] = made
        elif kind == "pair":
            first, second = [], {}
            first.append((second,))
            second["first"] = first
            made = first
        else:
            made = types.SimpleNamespace(value=1)
            made.me = [made]
        return made


    def nested(depth):
        """Deeper than values are written."""
        made = "bottom"
        for level in range(depth):
            made = [made, level] if level % 2 else {"level": level, "inner": made}
        return made
    ''',
    "types",
)
_piece(
    "Decorators",
    '''
    def passing(function):
        @functools.wraps(function)
        def passed(*args, **kwargs):
            return function(*args, **kwargs)

        return passed


    class Counting:
        """A decorator that is an instance."""

        def __init__(self, function):
            self.function, self.calls = function, 0

        def __call__(self, *args, **kwargs):
            self.calls += 1
            return self.function(*args, **kwargs)


    def labelled(label):
        def decorate(function):
            def call(*args, **kwargs):
                result = function(*args, **kwargs)
                return result if result is not None else label

            return call

        return decorate
    ''',
    "functools",
)
_piece(
    "kolo",
    """
    try:
        import kolo_c
    except ImportError:
        kolo_c = None


    def recorded():
        return kolo_c is not None and bool(kolo_c.current())


    # Not recorded, `kolo_c.trace` would begin to.
    def region(name, **how):
        return kolo_c.trace(name, **how) if recorded() else contextlib.nullcontext()


    def tell(text, **values):
        if recorded():
            kolo_c.note(text, **values)


    def quiet():
        return kolo_c.pause() if recorded() else contextlib.nullcontext()


    def left_out(function):
        return function if kolo_c is None else kolo_c.skip(function)


    def named(name):
        return kolo_c.trace(name) if recorded() else lambda function: function
    """,
    "contextlib",
)
