"""Forty forms of secret, planted in one program: none is in a file of the store.

Each form plants a secret of its own; all come by the standard input and the command
line, so that none stands in the program's source. docs/explanation/secrets.md lists the
same forms.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.spec.test_masking import all_bytes
from tests.spec.tracing import Traced, environment, recover

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "secrets.md"

# By form what the program does with `s`, its secret.
FORMS = {
    "an argument": "def login(user, password): return user\nlogin('ann', s)",
    "arguments in *args and **kwargs":
        "def call(*args, **kwargs): return len(args)\n"
        "call({'token': s}, ('secret', s), api_key=s)",
    "a local variable":
        "def check(read):\n"
        "    passphrase = read()\n"
        "    raise LookupError('no')\n"
        "suppressed(check, kolo_c.skip(lambda: s))",
    "what a function returns": "def get_password(): return s\nget_password()",
    "what a generator yields, and is sent":
        "def secrets():\n"
        "    password = yield s\n"
        "    yield len(password)\n"
        "g = secrets(); next(g); g.send(s + 'z')",
    "an attribute of an object":
        "class Account:\n"
        "    def __init__(self, token): self.token = token\n"
        "    def fail(self): raise LookupError('no')\n"
        "def use(account): account.fail()\n"
        "suppressed(use, Account(s))",
    "an attribute in __slots__":
        "class Slim:\n"
        "    __slots__ = ('client_secret',)\n"
        "slim = Slim(); slim.client_secret = s\n"
        "def use(thing): return 1\n"
        "use(slim)",
    "a field of a dataclass, a NamedTuple, a TypedDict":
        "@dataclasses.dataclass(frozen=True)\n"
        "class Settings:\n"
        "    db_password: str\n"
        "class Pair(typing.NamedTuple):\n"
        "    user: str\n"
        "    pwd: str\n"
        "class Options(typing.TypedDict):\n"
        "    auth: str\n"
        "def use(settings): return settings\n"
        "use(Settings(s)); use(Pair('ann', s)); use(Options(auth=s))",
    "nested dicts and lists":
        "def use(data): return 1\n"
        "use({'a': [{'b': {'access_token': s}}]})",
    "a container of secrets":
        "def use(data): return 1\n"
        "use({'passwords': [s], 'credentials': {'x': s}, 'tokens': 3})\n"
        "use({'cookies': (s,), 'secrets': {s}})",
    "pairs of name and value": "def use(pairs): return 1\nuse([('password', s)])",
    "headers, also as bytes":
        "def use(headers): return 1\n"
        "use([(b'authorization', s.encode()), ('X-Api-Key', s)])",
    "a WSGI environ":
        "def app(environ, start_response): return [b'']\n"
        "app({'HTTP_COOKIE': 'sid=' + s, 'HTTP_AUTHORIZATION': 'Basic ' + s,\n"
        "     'QUERY_STRING': 'page=2&token=' + s}, len)",
    "an ASGI scope":
        "async def app(scope, receive, send): return None\n"
        "asyncio.run(app({'type': 'http', 'query_string': b'token=' + s.encode(),\n"
        "                 'headers': [(b'cookie', b'sessionid=' + s.encode())]}, 1, 2))",
    "the text of a cookie":
        "def use(line): return line\n"
        "use('Cookie: theme=dark; sessionid=' + s)\n"
        "use('Set-Cookie: sessionid=' + s + '; Path=/; HttpOnly')",
    "a URL with credentials":
        "def fetch(url): return url\n"
        "fetch('postgres://ann:' + s + '@db.example.org:5432/app')",
    "a URL with a secret in its query":
        "def fetch(url): return url\n"
        "fetch('https://example.org/a?page=2&access_token=' + s + '&q=b')",
    "a connection string": "def connect(dsn): return dsn\n"
        "connect('host=db user=ann password=' + s + ' dbname=app')\n"
        "connect('Server=db;User Id=ann;Pwd=' + s + ';Encrypt=yes')",
    "the environment":
        "os.environ['DB_PASSWORD'] = s\n"
        "def use(environ): return 1\n"
        "use(os.environ); use(dict(os.environ)); use(os.environb)",
    "an option of a command line":
        "def main(argv): return argv\n"
        "main(['--password=' + s, '--user', 'ann'])\n"
        "main('prog --api-key ' + s)\n"
        "main(['--token', s])",
    "an option of the program itself":
        "def main(argv): return argv\nmain(sys.argv)",
    "a child's command line":
        "import subprocess\n"
        "subprocess.run([sys.executable, '-c', 'pass', '--password', s], env={})",
    "a positional SQL parameter":
        "db.execute('INSERT INTO account (name, password) VALUES (?, ?)', ('a', s))",
    "a named SQL parameter":
        "db.execute('UPDATE account SET password = :p', {'p': s})",
    "a literal in SQL": "db.execute(f\"UPDATE account SET password = '{s}'\")\n"
        "def sql(text): return text\n"
        "sql(f\"SELECT 1 FROM account WHERE password = '{s}'\")",
    "a row of a database":
        "db.execute('DELETE FROM account')\n"
        "db.execute('INSERT INTO account (name, password) VALUES (?, ?)', ('a', s))\n"
        "def rows(): return db.execute('SELECT name, password FROM account').fetchall()\n"
        "rows()",
    "the message of an exception":
        "def check(read):\n"
        "    password = read()\n"
        "    raise ValueError(f'no user with {password} here')\n"
        "suppressed(check, kolo_c.skip(lambda: s))\n"
        "def login(password): raise ValueError(f'no user with {password} here')\n"
        "suppressed(login, s)",
    "a database's message that quotes it":
        "def insert(read):\n"
        "    raise RuntimeError('duplicate key value violates unique constraint '\n"
        "        f'\"u\"\\nDETAIL: Key (email, password)=(a@b, {read()}) exists.')\n"
        "suppressed(insert, kolo_c.skip(lambda: s))",
    "what an exception carries":
        "class Denied(Exception):\n"
        "    def __init__(self, password): self.password = password\n"
        "def fail(password): raise Denied(password) from KeyError(password)\n"
        "suppressed(fail, s)",
    "the same under a harmless name":
        "def login(password): pass\n"
        "def show(text, more): return text\n"
        "login(s); show(s, [s.encode(), {'a': s}])",
    "the same inside a longer text":
        "def login(password): pass\n"
        "def show(text): return text\n"
        "login(s); show(f'ann/{s}/x'); show(b'<' + s.encode() + b'>')",
    "JSON as a text":
        "def send(body): return body\n"
        "send(json.dumps({'user': 'ann', 'password': s, 'n': [1]}))\n"
        "send(json.dumps({'token': {'value': s}}).encode())",
    "a form as a text":
        "def send(body): return body\n"
        "send('user=ann&password=' + s + '&n=1')\n"
        "send(b'token=' + s.encode())",
    "a line of a log":
        "logging.basicConfig(level=10, stream=io.StringIO())\n"
        "logging.info('logging in with password=%s', s)\n"
        "logging.info('%s', {'token': s})\n"
        "logging.info('args %(password)s', {'password': s})",
    "what the program prints": "print('password:', s)",
    "a note, an attribute, a trace's name":
        "kolo_c.note('a login', password=s)\n"
        "kolo_c.note('password=' + s)\n"
        "kolo_c.current().set(api_token=s, text='token=' + s)\n"
        "kolo_c.current().name = 'reset password=' + s",
    "a JSON Web Token":
        "def use(text): return text\n"
        "use(s); use('got ' + s + ', ok')",
    "a private key in PEM": "def use(text): return text\nuse(s); use({'file': s})",
    "a cloud provider's key":
        "def use(text): return text\n"
        "use(s); use(f'key {s}')",
    "a token of a service": "def use(text): return text\nuse(s); use(f'({s})')",
}  # fmt: skip

BASE64 = "Abcdefghij0123456789KLMNOPqrstuv4567"
SHAPED = {
    "a JSON Web Token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.dBjftJeZ4CVPmB92K27",
    "a private key in PEM": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAAS"
    "\nCBKcwggSjAgEAAoIBAQC7\n-----END PRIVATE KEY-----",
    "a cloud provider's key": "AKIA" + "IOSFODNN7EXAMPLE",
    "a token of a service": "ghp_" + BASE64,
}


def make_secret(form: str) -> str:
    """As nobody would mask it who does not know where it stood."""
    number = list(FORMS).index(form)
    return SHAPED.get(form, f"wolf{number:02}Staple-9")


SECRETS = {form: make_secret(form) for form in FORMS}


def tell_tales(form: str) -> list[bytes]:
    """What must not be found: any part of it that gives it away."""
    secret = SECRETS[form]
    texts = secret.splitlines() if "\n" in secret else [secret]
    parts = [text for text in texts if "-----" not in text]
    return [part.encode(code) for part in parts for code in ("utf-8", "utf-16-le")]


PRELUDE = """
    import asyncio, dataclasses, io, json, kolo_c, logging, os, sqlite3, sys, typing
    db = sqlite3.connect(':memory:')
    db.execute('CREATE TABLE account (name, password)')
    @kolo_c.skip
    def suppressed(function, *arguments):
        try: function(*arguments)
        except Exception as error: handled(error)
    def handled(error): return str(error)
    secrets_by_form = json.load(sys.stdin)
    """


def program(before: str) -> str:
    parts = [textwrap.dedent(PRELUDE), textwrap.dedent(before)]
    for number, source in enumerate(FORMS.values()):
        body = textwrap.indent(source, "    ")
        parts.append(f"@kolo_c.skip\ndef form_{number}(s):\n{body}\n")
    parts.append("for n, s in enumerate(secrets_by_form):")
    parts.append("    globals()[f'form_{n}'](s)")
    return "\n".join(parts) + "\n"


def found_in(data: bytes) -> list[str]:
    """The forms whose secrets are in ``data``."""
    return [form for form in FORMS if any(part in data for part in tell_tales(form))]


@pytest.fixture
def planted(trace):
    """The program has run, and this is what it left."""

    def run(before: str = "", after: str = "", **options) -> Traced:
        return trace(
            program(before) + textwrap.dedent(after),
            "--password", SECRETS["an option of the program itself"],
            stdin=json.dumps(list(SECRETS.values())), **options,
        )  # fmt: skip

    return run


def kolo(traced: Traced, *words: str) -> bytes:
    """What a command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "kolo_c", *words],
        cwd=traced.project, env=environment(), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout
    return done.stdout + done.stderr


def test_of_forty_forms_of_secret_none_is_in_a_file_of_the_store(planted):
    traced = planted()
    assert len(FORMS) == 40
    assert found_in(all_bytes(traced)) == []
    text = traced.calls()
    assert "login(user='ann', password=<masked, " in text
    assert "page=2&token=***" in text
    assert traced.trace().info.count("masked") >= 80


def test_none_is_there_with_all_locals_and_fields(planted):
    config = {"locals": "all", "self": "fields", "compress": 0, "sql_rows": "always"}
    assert found_in(all_bytes(planted(config=config))) == []


def test_none_is_in_what_a_killed_program_leaves(planted):
    """The mapping, the write-ahead log; and what the recovery makes of them."""
    traced = planted(
        after="import signal; os.kill(os.getpid(), signal.SIGKILL)",
        fails=True, clean=False,
    )  # fmt: skip
    left = b"".join(path.read_bytes() for path in traced.files())
    assert list((traced.store / "segments").glob("*.map"))
    assert b"page=2&token=***" in left
    assert found_in(left) == []
    recover(traced)
    assert found_in(all_bytes(traced)) == []


def test_none_is_in_a_trace_that_is_held(planted):
    """Killed before it was decided whether the trace is stored."""
    traced = planted(
        before="""
            from kolo_c.scope import SCOPE, active_session
            number, _ = active_session().begin_boundary('held', 'test', held=True)
            SCOPE.set(number)
            """,
        after="os._exit(1)", fails=True, clean=False,
    )  # fmt: skip
    left = b"".join(path.read_bytes() for path in traced.files())
    assert b"page=2&token=***" in left
    assert found_in(left) == []


def test_none_is_in_an_export_or_in_what_a_command_prints(planted, core):
    traced = planted()
    trace_id = traced.infos()[0].id
    kolo(traced, "export", trace_id, "given.kolo")
    kolo(traced, "export", trace_id, "given.json", "--format", "speedscope")
    told = b"".join(
        (traced.project / f"given.{end}").read_bytes() for end in ("kolo", "json")
    )
    for words in (
        ("dump",), ("show", "--json"), ("show",), ("why",), ("list", "--json"),
        ("dump", "--db", "given.kolo"), ("grep", "login"),
    ):  # fmt: skip
        told += kolo(traced, *words)
    assert b"login" in told
    assert found_in(told) == []


def test_words_that_only_look_secret_stay_readable(trace):
    traced = trace(
        """
        def use(token_count, page_token, tokens, next_page_token): pass
        use(5, 'page-2', ['a', 'word'], 'Cg9pdGVtLTEy')
        use(6, 'CAUQAA', [], None)
        def text(text): pass
        text('token_count=5&page_token=CAUQAA&author=Ann')
        """
    )
    assert "masked" not in traced.calls()
    assert "***" not in traced.calls()


def test_the_page_lists_the_forms_of_this_test():
    listed = re.findall(r"^\d+\. (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [text.partition(":")[0].rstrip(".") for text in listed] == list(FORMS)
