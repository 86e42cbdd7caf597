"""Expressions for values of every kind that the encoder knows, and some it does not.

What a set holds hashes by its value: sets of texts are in the same order for the same
PYTHONHASHSEED, sets of objects never.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.validate.generate.draft import Draft


class Sample(NamedTuple):
    """An expression, and what it needs: modules, pieces, a version."""

    text: str
    imports: str = ""
    pieces: str = ""
    since: tuple[int, int] = (3, 10)


SMALL = [Sample(text) for text in ("0", "1", "-1", "7", "None", "True", "'a'", "2.5")]

NUMBERS = [
    Sample(text)
    for text in (
        *("31", "32", "-32", "-33", "127", "128", "-128", "-129", "255", "256"),
        *("65535", "65536", "-32768", "-32769", "2**31", "2**32", "-(2**31) - 1"),
        *("2**63 - 1", "2**63", "2**64 - 1", "2**64", "-(2**63)", "-(2**63) - 1"),
        *("10**30", "-(10**40)", "1 << 4000", "-(1 << 9000)", "1 << 70000"),
        *("0.0", "-0.0", "1e308", "5e-324", "float('inf')", "float('-inf')"),
        *("float('nan')", "0.1 + 0.2", "1j", "complex('nan-infj')", "False"),
    )
]

TEXTS = [
    Sample(text)
    for text in (
        *("''", "'plain'", "'x' * 31", "'x' * 32", "'x' * 255", "'x' * 256"),
        *("'x' * 1023", "'x' * 1024", "'x' * 1025", "'x' * 70000", "'é' * 300"),
        *("'a' + 'é' * 600", "'ab' + '€' * 400", "'abc' + '\\U0001f600' * 300"),
        *("'\\ud800'", "'a\\udfffb'", "'x' * 1023 + '\\ud83d'", "'\\udc80' * 400"),
        *("'\\x00\\x01\\x7f\\x80\\x9f'", "'\\x1b[31mred\\x1b[0m'", "'\\u202eabc'"),
        *("'two\\nlines\\r\\n\\ttab'", "'\"quoted\" \\'text\\' \\\\'", "'日本語'"),
        *("b''", "b'\\x00\\xff'", "b'x' * 255", "b'x' * 256", "b'y' * 1025"),
        *("b'z' * 70000", "bytearray(b'abc')", "bytearray(5000)", "'%s'", "'{}'"),
    )
]

CONTAINERS = [
    *(
        Sample(text)
        for text in (
            *("[]", "()", "{}", "set()", "frozenset()", "[None]", "(1,)", "[[]]"),
            *("list(range(31))", "list(range(32))", "list(range(33))", "[0] * 5000"),
            *("tuple(range(40))", "set(range(50))", "frozenset((1, 2, 3))"),
            *("dict.fromkeys(range(40))", "dict(zip('abc', range(3)))"),
        )
    ),
    Sample("{1: 'int', None: 'none', (1, 2): [3], b'k': {}, 1.5: 2}"),
    Sample("{'k' * 300: 1, '': 2, 'a b': {3: {4: {5: {6: 7}}}}}"),
    Sample("[[list(range(40))] * 40] * 40"),
    Sample("['t' * 900] * 30"),
    Sample("[{'id': n, 'tags': ('a', 'b')} for n in range(3)]"),
    Sample("{n: n * n for n in range(5)}"),
    Sample("({'a': [1, {'b': (2, {3})}]}, [[], [[]]], {})"),
    Sample("{'red', 'green', 'blue'}"),
    Sample("{(1, 'a'), (2, 'b')}"),
    Sample("nested(3)", "", "loops"),
    Sample("nested(12)", "", "loops"),
    Sample("nested(60)", "", "loops"),
    *(
        Sample(f"with_itself({kind!r})", "", "loops")
        for kind in ("list", "dict", "pair", "namespace")
    ),
    Sample("collections.deque([1, 2], maxlen=3)", "collections"),
    Sample("collections.OrderedDict(a=1, b=[2])", "collections"),
    Sample("collections.defaultdict(list, a=[1])", "collections"),
    Sample("collections.Counter('abca')", "collections"),
    Sample("collections.ChainMap({'a': 1}, {'b': 2})", "collections"),
    Sample("types.MappingProxyType({'a': 1})", "types"),
    Sample("array.array('d', [1.5, 2.5])", "array"),
    Sample("memoryview(b'abcdef')"),
    Sample("memoryview(bytearray(100))[::2]"),
    Sample("{}.keys()"),
    Sample("{'a': 1}.items()"),
]

LIBRARY = [
    Sample("range(10)"),
    Sample("range(5, -(10**30), -7)"),
    Sample("slice(1, None, 2)"),
    Sample("..."),
    Sample("NotImplemented"),
    Sample("datetime.datetime(2024, 2, 29, 23, 59, 59, 999999)", "datetime"),
    Sample(
        "datetime.datetime(1, 1, 1, tzinfo=datetime.timezone.utc, fold=1)", "datetime"
    ),
    Sample(
        "datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone("
        "datetime.timedelta(hours=-5, minutes=30)))",
        "datetime",
    ),
    Sample("datetime.date(9999, 12, 31)", "datetime"),
    Sample("datetime.time(1, 2, 3, 4)", "datetime"),
    Sample("datetime.timedelta(days=-1, seconds=5, microseconds=7)", "datetime"),
    *(
        Sample(f"decimal.Decimal({text!r})", "decimal")
        for text in ("0.10", "-0E-8", "NaN", "sNaN12", "-Infinity", "1E+999999")
    ),
    Sample("decimal.Decimal('9' * 400)", "decimal"),
    Sample("fractions.Fraction(1, 3)", "fractions"),
    Sample("uuid.UUID(int=2**127 + 5)", "uuid"),
    Sample("pathlib.Path('/srv/data') / 'file.txt'", "pathlib"),
    Sample("pathlib.PurePosixPath('a', '..', 'b')", "pathlib"),
    Sample("pathlib.PureWindowsPath('C:/x')", "pathlib"),
    Sample("types.SimpleNamespace(a=1, password='opensesame1')", "types"),
    Sample("re.compile('a+')", "re"),
    Sample("io.StringIO('abc')", "io"),
    Sample("functools.partial(max, 1, key=abs)", "functools"),
    Sample("threading.Lock()", "threading"),
    Sample("weakref.ref(Slotted)", "weakref", "Slotted"),
    Sample("iter([1, 2])"),
    Sample("zip((1,), (2,))"),
    Sample("reversed([1, 2])"),
    Sample("sys.version_info", "sys"),
    Sample("math", "math"),
    Sample("len"),
    Sample("[].append"),
    Sample("str.join"),
    Sample("int.__add__"),
    Sample("property(len)"),
    Sample("staticmethod(len)"),
    Sample("list[int]"),
    Sample("int | None"),
    Sample("int"),
    Sample("type"),
    Sample("ValueError"),
    Sample("object()"),
    Sample("show"),
    Sample("show.__code__"),
    Sample("types.CellType([1])", "types"),
]

ERRORS = [
    *(
        Sample(text)
        for text in (
            *("ValueError('bad', 1)", "KeyError(('a', 1))", "StopIteration(5)"),
            *("OSError(2, 'No such file', 'path')", "SystemExit(3)", "Exception()"),
            *("UnicodeDecodeError('utf-8', b'\\xff', 0, 1, 'bad')", "TypeError"),
            *("AssertionError({'a': [1, 2]})", "RuntimeError('x' * 3000)"),
        )
    ),
    Sample("Problem(4, detail=[1])", "", "Problem"),
    Sample("WorseProblem('w')", "", "Problem"),
    Sample("ExceptionGroup('several', [ValueError(1), KeyError(2)])", since=(3, 11)),
]

INSTANCES = [
    Sample("Color.GREEN", "", "Color"),
    Sample("Access.BOTH", "", "Color"),
    Sample("Access(0)", "", "Color"),
    Sample("Level.HIGH", "", "Color"),
    Sample("Color", "", "Color"),
    Sample("Point(1, (2, 3))", "", "Point"),
    Sample("Point(10, y=Point(11, tags=['deep']))", "", "Point"),
    Sample("Version(3, 1)", "", "Point"),
    Sample("Pair('l', ['r'])", "", "Pair"),
    Sample("Row('k', 2, api_key='abcdef123456')", "", "Pair"),
    Sample("Slotted(1)", "", "Slotted"),
    Sample("Slotted([1], b={})", "", "Slotted"),
    Sample("SlottedMore('more')", "", "Slotted"),
    Sample("Account('ann', balance=5)", "", "Account"),
    Sample("Touchy(1)", "", "Touchy"),
    Sample("[Touchy(2), {'k': Touchy(3)}]", "", "Touchy"),
    Sample("TouchyList([1, 2])", "", "TouchyList"),
    Sample("TouchyText('text')", "", "TouchyList"),
    Sample("Celsius(36.6)", "", "Subclasses"),
    Sample("Count(5)", "", "Subclasses"),
    Sample("Label('label')", "", "Subclasses"),
    Sample("Blob(b'blob')", "", "Subclasses"),
    Sample("Stack([1, 2])", "", "Subclasses"),
    Sample("Defaults(a=1)", "", "Subclasses"),
    Sample("Triple((1, 2, 3))", "", "Subclasses"),
    Sample("Bag([1, 2])", "", "Subclasses"),
    Sample("Point", "", "Point"),
    Sample("Touchy", "", "Touchy"),
]

_TAIL = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0"
SECRETS = [
    Sample(repr(text))
    for text in (
        "AKIA" + "ABCDEFGH12345678",
        "ghp_" + _TAIL[:36],
        "sk_live_" + _TAIL[:24],
        "see " + "xoxb-" + "123456789012-123456789012-" + _TAIL[:24] + " there",
        "postgres://user:" + "p4ssw0rd" + "@db.example.org:5432/shop",
        "Bearer " + _TAIL,
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + _TAIL,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE" + _TAIL + "\n-----END RSA "
        "PRIVATE KEY-----",
        "hunter2hunter2",
    )
] + [
    Sample("{'password': 'hunter2hunter2', 'user': 'ann'}"),
    Sample("{'Authorization': 'Basic YWJjOmRlZg==', 'cookies': {'sid': 'abc123xyz'}}"),
    Sample("[('api_key', 'k' * 20), {'nested': {'secret': [1, 'listed-secret']}}]"),
    Sample("{'token': None, 'token_count': 12, 'csrf': 12345, 'pwd': ''}"),
    Sample("{'access_tokens': ['first-token-1', 'second-token-2'], 'otp': b'998877'}"),
]

KINDS = {
    "small": SMALL,
    "number": NUMBERS,
    "text": TEXTS,
    "container": CONTAINERS,
    "library": LIBRARY,
    "error": ERRORS,
    "instance": INSTANCES,
    "secret": SECRETS,
}
_WEIGHTS = [
    *((30, "small"), (8, "number"), (8, "text"), (8, "container")),
    *((6, "library"), (3, "error"), (9, "instance"), (3, "secret")),
]


def value(draft: Draft, kind: str = "", depth: int = 2) -> str:
    """An expression for a value of the kind, or of any."""
    choices = draft.choices
    if not kind and depth and choices.chance(12):
        return _combined(draft, depth)
    samples = [
        sample
        for sample in KINDS[kind or choices.weighted(_WEIGHTS)]
        if sample.since <= draft.target.version
    ]
    sample = choices.pick(samples)
    draft.need(sample.imports, sample.pieces)
    return sample.text


def _combined(draft: Draft, depth: int) -> str:
    choices = draft.choices
    inner = [value(draft, "", depth - 1) for _ in range(choices.between(1, 4))]
    shape = choices.pick(("list", "tuple", "dict", "call"))
    if shape == "list":
        return f"[{', '.join(inner)}]"
    if shape == "tuple":
        return f"({', '.join(inner)},)"
    names = ("id", "name", "password", "items", "session")
    if shape == "dict":
        pairs = zip(choices.some(names, len(inner)), inner, strict=False)
        return "{" + ", ".join(f"{name!r}: {text}" for name, text in pairs) + "}"
    return f"dict(zip(range({len(inner)}), ({', '.join(inner)},)))"
