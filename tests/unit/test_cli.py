"""The frame of the command line, and the commands config, explain and doctor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kolo_c.core
from kolo_c import __version__
from kolo_c.cli.main import COMMANDS, load_command, main
from kolo_c.cli.parser import build_parser
from kolo_c.core import c_import_error, choose_core, load_core
from kolo_c.errors import TracerError
from tests.unit.store_builder import ProcessBuilder

needs_core = pytest.mark.skipif(bool(c_import_error()), reason="no C core")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a package, and the working directory in its root."""
    for key in list(os.environ):
        if key.startswith("KOLO_C_"):
            monkeypatch.delenv(key)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.kolo_c]\n"
        'ignore_frames = ["shop/legacy.py", "qualname:*.skipped"]\n'
        'mask_words = ["voucher"]\n'
        "[[tool.kolo_c.rules]]\n"
        'match = "qualname:Cart.pay"\n'
        'locals = "all"\n'
    )
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "__init__.py").touch()
    (shop / "legacy.py").write_text("def old(): pass\n")
    (shop / "cart.py").write_text(
        "class Cart:\n"
        "    def pay(self):\n"
        "        def inner(): pass\n"
        "    def skipped(self): pass\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys, *words):
    """The parsed output of a command with --json."""
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_its_name_its_help_and_its_line(name, capsys):
    command = load_command(name)
    assert command.name == name
    doc = type(command).__doc__
    assert doc.splitlines()[0] == COMMANDS[name]
    assert build_parser(command).prog == f"kolo-c {name}"
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert COMMANDS[name] in " ".join(capsys.readouterr().out.split())


def test_help_lists_the_commands_and_imports_none_of_them():
    code = (
        "import sys; from kolo_c.cli.main import main; main(['--help']); "
        "print([n for n in sys.modules if n.startswith('kolo_c.cli.') "
        "and n.split('.')[2] in ('run', 'list', 'show')], 'rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[] False"
    for name in COMMANDS:
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["shwo"], 2, "Did you mean kolo-c show?"),
        (["zzzz"], 2, "Commands: run, list, show"),
        (["program.py"], 2, "kolo-c run program.py"),
        (["--json"], 2, "Options come after the command"),
        (["explain"], 2, "kolo-c explain FILE[:FUNCTION]"),
        (["explain", "absent.py"], 1, "absent.py does not exist"),
        (["explain", "shop/cart.py:Cart.pai"], 1, "Did you mean 'Cart.pay'?"),
        (["config", "local"], 1, "Did you mean 'locals'?"),
        (["config", "--set", "locals"], 2, "--set KEY=VALUE"),
        (["config", "--locals", "x"], 1, "must be one of none, raise, all"),
    ],
)
def test_what_is_mistyped_gets_a_message_and_the_nearest(
    words, code, expected, project, capsys
):
    assert main(words) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("kolo-c: error: ")
    assert expected in captured.err


def test_nothing_at_all_prints_the_help_and_the_newest_traces(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert "usage: kolo-c COMMAND" in printed
    assert "kolo-c run script.py" in printed.splitlines()[-1]
    (tmp_path / "program.py").write_text("def f(): pass\nf()\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for number in range(6):
        words = ["run", "-q", "--name", f"number {number}", "program.py"]
        command = [sys.executable, "-m", "kolo_c", *words]
        subprocess.run(command, env=environment, check=True, timeout=60)
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert str(tmp_path / ".kolo_c") in printed
    assert [number for number in range(6) if f"number {number}" in printed] == [
        1, 2, 3, 4, 5,
    ]  # fmt: skip


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kolo-c {__version__}\n"


def test_python_m_kolo_c_is_the_command(tmp_path):
    (tmp_path / "argparse.py").write_text("raise SystemExit('the wrong argparse')")
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-m", "kolo_c", "explain", "--mask", "password"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "values named password are masked" in done.stdout


def test_config_prints_values_and_where_they_come_from(project, capsys):
    assert main(["config"]) == 0
    out = capsys.readouterr().out
    assert f"# root {project}: pyproject.toml is in it" in out
    assert 'locals = "raise"' in out
    line = next(row for row in out.splitlines() if row.startswith("mask_words"))
    assert line.endswith(f"# {project / 'pyproject.toml'}")


def test_config_as_json_and_only_what_changed(project, capsys):
    data = answer(capsys, "config", "--changed", "--set", "depth=3", "--include", "a/")
    values = {key: each["value"] for key, each in data["settings"].items()}
    assert values.keys() == {
        *("include_frames", "ignore_frames", "rules", "depth", "mask_words")
    }
    assert values["include_frames"] == ["a/"]
    assert data["settings"]["depth"] == {"value": 3, "from": "argument depth"}
    assert data["store"] == str(project / ".kolo_c")


def test_ignore_on_the_command_line_adds_to_the_settings(project, capsys):
    data = answer(capsys, "config", "--ignore", "x/")
    ignored = data["settings"]["ignore_frames"]["value"]
    assert ignored == ["x/", "shop/legacy.py", "qualname:*.skipped"]


def test_config_prints_one_value(project, capsys):
    assert main(["config", "locals"]) == 0
    assert capsys.readouterr().out == '"raise"\n'


def test_config_prints_what_holds_before_it_complains(project, capsys, monkeypatch):
    monkeypatch.setenv("KOLO_C_DEPTH", "deep")
    assert main(["config"]) == 1
    captured = capsys.readouterr()
    assert "depth = 4" in captured.out
    assert "environment KOLO_C_DEPTH: depth must be a whole number" in captured.err


def test_explain_says_which_rule_keeps_a_function(project, capsys):
    found = answer(capsys, "explain", "shop/cart.py:Cart.pay")
    assert (found["keep"], found["by"], found["module"]) == (True, "root", "shop.cart")
    assert found["options"]["locals"] == "all"
    assert found["options"]["rules"] == ["rules[1] (qualname:Cart.pay)"]


def test_explain_says_which_rule_skips_a_file(project, capsys):
    found = answer(capsys, "explain", "shop/legacy.py:old")
    assert (found["keep"], found["by"]) == (False, "ignore")
    assert found["rule"] == "shop/legacy.py"
    assert found["where"] == f"ignore_frames of {project / 'pyproject.toml'}"
    assert main(["explain", "shop/legacy.py:old"]) == 0
    out = capsys.readouterr().out
    assert "is skipped, because ignore_frames of" in out
    assert "To keep it" in out


def test_explain_goes_through_the_functions_where_they_differ(project, capsys):
    found = answer(capsys, "explain", "shop/cart.py")["functions"]
    assert {name: each["keep"] for name, each in found.items()} == {
        "Cart.pay": True,
        "Cart.pay.<locals>.inner": True,
        "Cart.skipped": False,
    }
    assert main(["explain", "shop/cart.py"]) == 0
    out = capsys.readouterr().out
    assert "it depends on the function" in out
    assert 'locals = "all"' in out


def test_explain_of_a_library_names_the_reason(project, capsys):
    found = answer(capsys, "explain", json.__file__, "--ignore", "nothing/")
    assert (found["keep"], found["by"]) == (False, "stdlib")


@pytest.mark.parametrize(
    ("name", "masked", "rule", "where"),
    [
        ("user_password", True, "password", "the built-in list"),
        ("token_count", False, "token_count", "the built-in list"),
        ("voucher_code", True, "voucher", "mask_words"),
        ("amount", False, None, None),
    ],
)
def test_explain_says_whether_a_name_is_masked(
    project, capsys, name, masked, rule, where
):
    found = answer(capsys, "explain", "--mask", name)
    assert found == {"name": name, "masked": masked, "rule": rule, "where": where}


@needs_core
def test_doctor_finds_nothing_wrong_here(project, capsys):
    data = answer(capsys, "doctor", "--set", "free_disk_min_bytes=0")
    topics = {finding["topic"]: finding for finding in data["findings"]}
    assert data["works"]
    assert topics["core"]["text"].startswith("c: ")
    assert str(project / ".kolo_c") in topics["store"]["text"]
    assert {"Python", "hook", "root", "disk", "SQLite of Python"} <= topics.keys()


@pytest.mark.parametrize(
    ("value", "level", "said"),
    [
        (None, "info", "not set"),
        ("0", "warning", "which switches kolo_c off"),
        ("maybe", "warning", "it counts as 1"),
        ("1", "warning", "no kolo_c.pth"),
        ("true", "ok", "recorded from its start"),
    ],
)
def test_doctor_says_what_kolo_c_in_the_environment_does(
    project, capsys, monkeypatch, value, level, said
):
    monkeypatch.delenv("KOLO_C", raising=False)
    if value is not None:
        monkeypatch.setenv("KOLO_C", value)
    name = "kolo_c.integrations.startup"
    if value == "true":  # as the line of kolo_c.pth leaves it
        monkeypatch.setitem(sys.modules, name, object())
    else:
        monkeypatch.delitem(sys.modules, name, raising=False)
    data = answer(capsys, "doctor", "--set", "free_disk_min_bytes=0")
    (found,) = [each for each in data["findings"] if each["topic"] == "KOLO_C"]
    assert found["level"] == level
    assert said in found["text"]


def test_doctor_looks_at_a_python_without_sqlite(project, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    data = answer(capsys, "doctor", "--set", "free_disk_min_bytes=0")
    (found,) = [row for row in data["findings"] if row["topic"] == "SQLite of Python"]
    assert (found["level"], found["text"][:4]) == ("info", "none")


def test_doctor_says_what_stops_tracing(project, capsys, monkeypatch):
    (project / ".kolo_c").touch()
    monkeypatch.setenv("KOLO_C_DEPTH", "deep")
    sys.setprofile(lambda *_: None)
    try:
        code = main(["doctor", "--set", "free_disk_min_bytes=1000 TiB", "--json"])
    finally:
        sys.setprofile(None)
    data = json.loads(capsys.readouterr().out)
    assert (code, data["works"]) == (1, False)
    problems = {
        finding["topic"]: finding["text"]
        for finding in data["findings"]
        if finding["level"] in ("problem", "warning")
    }
    assert {"settings", "disk", "profiler", "store"} <= problems.keys()
    assert "test_doctor_says_what_stops_tracing" in problems["profiler"]
    assert main(["doctor", "--set", "free_disk_min_bytes=1000 TiB"]) == 1
    assert "Something stops tracing here" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("3.6.23", "ok"),
        ("3.7.0", "info"),
        ("3.40.1", "info"),
        ("3.51.2", "info"),
        ("3.51.3", "ok"),
        ("3.52.0", "ok"),
    ],
)
def test_doctor_knows_the_range_of_the_wal_reset_bug(version, level):
    from kolo_c.cli.doctor import _sqlite

    assert _sqlite("SQLite", version).level == level


def test_doctor_says_what_a_trace_lacks_and_what_it_cost(tmp_path, capsys, monkeypatch):
    process = ProcessBuilder()
    trace = process.trace("shop.py")
    stream = trace.stream(process.thread("MainThread"))
    stream.call(process.code(process.file("/app/shop.py"), "main", ("n",)), 3)
    stream.ret(None)
    trace.counters.update(lost=3, own_ns=10, masked=2, waited_ns=7_000)
    trace.end()
    process.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--trace"]) == 1
    printed = capsys.readouterr().out
    assert "problem  lost: 3 records" in printed
    assert 'overflow = "wait"' in printed
    assert "held for 7.00 µs" in printed
    assert main(["doctor", "--trace", trace.id[-5:], "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["id"] == trace.id
    topics = {row["topic"] for row in found["findings"]}
    assert topics >= {"lost", "cost", "masked", "waited", "process"}


def test_an_explicit_core_is_obeyed_or_refused():
    assert choose_core("c", c_error="").name == "c"
    assert choose_core("c", c_error="no extension").name == ""
    assert choose_core("python", c_error="").name == "python"
    refused = choose_core("python", c_error="", python_error="no sqlite3")
    assert (refused.name, refused.reason) == ("", "no sqlite3")


def test_the_python_core_stands_in_for_the_c_core():
    found = choose_core("auto", c_error="no extension")
    assert (found.name, found.reason) == ("python", "no extension")
    neither = choose_core("auto", c_error="no extension", python_error="no sqlite3")
    assert (neither.name, neither.reason) == ("", "no extension; no sqlite3")


def test_a_core_that_is_refused_says_what_to_do(monkeypatch):
    monkeypatch.setattr(kolo_c.core, "c_import_error", lambda: "no extension")
    with pytest.raises(TracerError) as caught:
        load_core("c")
    assert "no extension" in caught.value.message
    assert caught.value.hint


def test_a_free_threaded_python_gets_the_python_core_unless_c_is_asked_for(monkeypatch):
    monkeypatch.setattr(kolo_c.core, "is_free_threaded", lambda: True)
    assert choose_core("auto", c_error="").name == "python"
    assert "GIL" in choose_core("auto", c_error="").reason
    assert choose_core("c", c_error="").name == "c"


def test_the_extension_is_not_imported_where_the_environment_forbids_it(monkeypatch):
    monkeypatch.setenv("KOLO_C_NO_EXTENSION", "1")
    assert choose_core("auto").name == "python"
    assert "KOLO_C_NO_EXTENSION" in choose_core("auto").reason
    assert choose_core("c").name == ""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["show", "--functon", "x"], "Did you mean --function?"),
        (["list", "--jsn"], "Did you mean --json?"),
        (["run", "--nmae", "x", "program.py"], "Did you mean --name?"),
    ],
)
def test_a_mistyped_option_gets_the_nearest(words, found, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert found in capsys.readouterr().err


def test_ctrl_c_ends_a_reading_command_quietly_and_passes_run(monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    for name in ("list", "run"):
        monkeypatch.setattr(type(load_command(name)), "run", stop)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == ""
    with pytest.raises(KeyboardInterrupt):
        main(["run"])


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["--help"], ["config"], ["config", "--json"]])
def test_a_full_disk_behind_standard_output_is_an_error_and_no_traceback(
    words, unbuffered, project
):
    """It was one, or came from the interpreter's last breath."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kolo_c", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == ("kolo-c: error: standard output: No space left on device\n")


def test_without_standard_output_a_command_does_its_work(project):
    """As cron starts one; ``show`` had an AttributeError."""
    done = subprocess.run(
        [sys.executable, "-m", "kolo_c", "config"],
        preexec_fn=lambda: os.close(1),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_option_of_python_is_named_with_its_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "python", "-X", "dev", "x.py"]) != 0
    assert "python -X dev -m kolo_c run …" in capsys.readouterr().err
