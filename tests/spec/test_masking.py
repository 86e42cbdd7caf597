"""Secrets never reach the disk: the bytes of every file of the store are searched."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.spec.tracing import Traced, environment, knows_exceptions

SECRET = "hunter2-correct-horse"


def all_bytes(traced: Traced) -> bytes:
    """What the files hold, and what their compressed blocks hold."""
    data = b"".join(path.read_bytes() for path in traced.files())
    for info in traced.infos():
        for block in info.process.blocks(info.row.number):
            data += block.fetch_data()
    return data


def assert_absent(traced: Traced, *secrets: str) -> None:
    data = all_bytes(traced)
    assert b"program" in data
    for secret in secrets:
        assert secret.encode() not in data
        assert secret.encode("utf-16-le") not in data


# The program reads its secret from the standard input, so that it is not in its source.
PROGRAM = """
    import json, sys
    def use(password): return len(password)
    def fields(settings): return settings['n']
    def nested(request): pass
    def pairs(headers): pass
    def returns(): return word
    def text(message): pass
    def raises(password): raise ValueError(password)
    class Login:
        def __init__(self, password): self.password = password
        def go(self, other): return other
    def handled(): pass
    word = sys.stdin.readline().strip()
    use(word)
    use(password=word)
    fields({'n': 1, 'api_key': word})
    nested({'body': [{'deep': {'access_token': word}}]})
    pairs([('authorization', word), ('x', 'y')])
    returns()
    text(word)
    text([word])
    try: raises(word)
    except ValueError: handled()
    Login(word).go(Login(word))
    json.dumps({'password': word})
    """


@pytest.mark.parametrize("locals", ["none", "raise", "all"])
def test_a_secret_is_in_no_file_of_the_store(trace, locals):
    """Not in arguments, returns, locals, exceptions, containers, fields, texts."""
    traced = trace(
        PROGRAM,
        stdin=SECRET + "\n",
        config={"locals": locals, "self": "fields", "compress": 0},
    )
    assert_absent(traced, SECRET)
    assert traced.trace().info.count("masked") >= 10


def test_a_secret_is_in_no_file_of_a_process_that_was_killed(trace):
    traced = trace(
        PROGRAM + "\n    import os\n    os._exit(0)",
        stdin=SECRET + "\n",
        clean=False,
    )
    assert list((traced.store / "segments").glob("*.map"))
    assert_absent(traced, SECRET)


def test_a_secret_in_argv_is_in_no_file(trace):
    traced = trace(
        "import sys\ndef f(argv): pass\nf(sys.argv)",
        "--token=ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "https://user:wonderland77@example.com/x",
    )
    assert_absent(traced, "ghp_0123456789abcdefghijABCDEFGHIJ012345", "wonderland77")


def test_a_secret_in_the_source_is_in_no_file(trace):
    key = "AKIA" + "IOSFODNN7EXAMPLE"
    traced = trace(
        f"""
        KEY = {key!r}
        PASSWORD = 'ghp_' + '0123'
        def f(n): return n
        f(1)
        """
    )
    assert_absent(traced, key)
    assert "f(n=1) -> 1" in traced.calls()


def test_a_secret_in_code_given_on_the_command_line_is_in_no_file(trace):
    key = "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345"
    traced = trace("", target=("-c", f"program = {key!r}\ndef f(a): pass\nf(program)"))
    assert_absent(traced, key)


def test_known_shapes_are_masked_under_any_name(trace):
    secrets = [
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    ]
    traced = trace(
        """
        import sys
        def f(n, text): return text
        for n, line in enumerate(sys.stdin.read().split()):
            f(n, line)
            f(n, 'in a text: ' + line + ' and more')
        """,
        stdin="\n".join(secrets),
        config={"compress": 0},
    )
    assert_absent(traced, *secrets)
    assert "and more" in traced.calls() or "masked" in traced.calls()


def test_numbers_under_a_secret_name_are_masked(trace):
    traced = trace(
        """
        def pay(card_number, otp, count): return count
        pay(4111111111111111, 123456, 7)
        """
    )
    text = traced.calls()
    assert "4111111111111111" not in text and "123456" not in text
    assert text.endswith("count=7) -> 7")


def test_names_that_only_look_secret_are_kept(trace):
    traced = trace(
        """
        def f(token_count, author, passage, tokenizer): return author
        f(5, 'Ann Author', 'a passage', 'bpe words')
        """
    )
    assert traced.calls() == (
        "f(token_count=5, author='Ann Author', passage='a passage',"
        " tokenizer='bpe words') -> 'Ann Author'"
    )


def test_what_was_masked_once_is_masked_wherever_it_is_met(trace):
    traced = trace(
        """
        import sys
        def login(password): pass
        def echo(text): return text
        word = sys.stdin.read().strip()
        login(word)
        echo(word)
        echo([word, {'a': word}])
        """,
        stdin=SECRET,
    )
    assert SECRET not in traced.whole()
    assert_absent(traced, SECRET)


QUOTED = """
    import kolo_c, sys
    read = kolo_c.skip(iter(sys.stdin.read().split()).__next__)
    @kolo_c.skip
    def suppressed(function):
        try: function()
        except ValueError as error: handled(error)
    def handled(error): pass
    def leaves():
        password = read()
        raise ValueError("failed for " + password)
    def leaves_with_a_cell():
        password = read()
        def ask(): return password
        raise ValueError("failed for " + password)
    def leaves_changed(password=None):
        password = read()
        raise ValueError("failed for " + password)
    def leaves_with_several():
        passwords = [read()]
        raise ValueError("failed for " + passwords[0])
    def yields():
        password = read()
        yield 1
        raise ValueError("failed for " + password)
    def exhausts():
        for _ in yields(): pass
    def catches():
        password = read()
        try: int(password)
        except ValueError: return 1
    def takes(text, password, more): pass
    for one in (
        leaves, leaves_with_a_cell, leaves_changed, leaves_with_several, exhausts,
        catches,
    ):
        suppressed(one)
    word = read()
    takes("use " + word, word, [word])
    """
QUOTED_SECRETS = [f"wolf{n}Staple-9" for n in range(8)]


@pytest.mark.parametrize("locals", ["none", "raise", "all"])
def test_a_record_that_quotes_a_slot_of_its_own_frame_does_not_tell(trace, locals):
    """An exception is written before the locals of the frame that it leaves: where one
    of them held the secret, its message told it. So did an argument before another."""
    traced = trace(QUOTED, stdin="\n".join(QUOTED_SECRETS), config={"locals": locals})
    text = traced.calls()
    assert "takes(text='use ***', password=<masked, 13 long>, more=[<masked" in text
    if knows_exceptions():
        assert "leaves() raises ValueError('failed for ***')" in text
    assert_absent(traced, *QUOTED_SECRETS)


def test_a_result_that_quotes_a_local_does_not_tell(trace):
    """With all locals: they are written behind the result."""
    traced = trace(
        """
        import kolo_c, sys
        @kolo_c.skip
        def read(): return sys.stdin.read().strip()
        def tell():
            password = read()
            return "the word is " + password
        tell()
        """,
        stdin=SECRET,
        config={"locals": "all"},
    )
    assert "tell() -> 'the word is ***'" in traced.calls()
    assert_absent(traced, SECRET)


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_a_text_that_was_clean_before_is_so_no_more(trace, letter):
    """What is masked from now on may have stood in a long text that was kept whole."""
    traced = trace(
        f"""
        import sys
        def f(text): return len(text)
        def use(password): return len(password)
        secret = sys.stdin.read().strip()
        text = secret + " " + "{letter}" * 600
        f(text); f(text)
        use(secret)
        f(text); f(text[:-1] + "y")
        """,
        stdin=SECRET,
    )
    first, again, later, other = traced.whole().split("f(text=")[1:]
    assert SECRET in first and SECRET in again
    assert SECRET not in later and SECRET not in other
    assert "***" in later and "***" in other


def test_own_words_and_exceptions(trace):
    traced = trace(
        "def f(badge, session): pass\nf('blue badge 17', 'first session')",
        config={"mask_words": ["badge"], "mask_exceptions": ["session"]},
    )
    assert traced.calls() == (
        "f(badge=<masked, 13 long>, session='first session') -> None"
    )


@pytest.mark.parametrize("command", ["show", "dump", "list"])
def test_no_command_prints_a_secret(trace, command):
    traced = trace(PROGRAM, stdin=SECRET + "\n", config={"locals": "all"})
    done = subprocess.run(
        [sys.executable, "-m", "kolo_c", command],
        cwd=traced.project, env=environment(), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_the_result_of_a_function_with_a_secret_name_is_masked(trace):
    """Found in the clean_password of a form: what it returns has no other name."""
    traced = trace(
        """
        class Form: pass
        def clean_password(data): return data["x"]
        def get_passwords(): return ["first-secret", "second-secret"]
        def has_password(form): return True
        def make_password_form(): return Form()
        def passwords():
            yield "third-secret"
        def use(text): return text
        clean_password({"x": "hunter22"})
        use("hunter22")
        use(get_passwords()[1])
        has_password(make_password_form())
        for text in passwords(): pass
        """
    )
    text = traced.calls()
    for secret in ("hunter22", "first-secret", "second-secret", "third-secret"):
        assert secret not in text.partition("use(")[2]
    assert "get_passwords() -> <masked" in text
    assert "passwords() yields <masked, 12 long> -> None" in text
    assert "has_password(form=<Form>) -> True" in text
    assert "make_password_form() -> <Form>" in text
