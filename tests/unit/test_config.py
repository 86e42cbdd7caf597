"""Where settings come from, which one wins, and what is said of wrong ones."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kolo_c import settings
from kolo_c.config import KINDS, Config, load
from kolo_c.errors import ConfigError
from kolo_c.function_rules import FunctionRule

ROOT = Path(__file__).parents[2]


def write(root: Path, pyproject: str = "", own: str = "") -> Path:
    if pyproject:
        (root / "pyproject.toml").write_text(pyproject)
    if own:
        (root / ".kolo_c").mkdir()
        (root / ".kolo_c" / "config.toml").write_text(own)
    return root


def test_without_any_source_the_defaults_hold(tmp_path):
    loaded = load(tmp_path, {})
    assert loaded.config == Config()
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.require() is loaded.config


def test_every_default_is_a_value_that_may_be_set():
    for key, value in Config().as_dict().items():
        parsed = KINDS[key].parse(value)
        assert parsed == getattr(Config(), key)


def test_a_later_source_wins_and_is_named(tmp_path):
    write(
        tmp_path,
        '[tool.kolo_c]\nlocals = "all"\ndepth = 1\nitems = 2\nthreads = false\n',
        "depth = 5\nitems = 6\n",
    )
    loaded = load(tmp_path, {"KOLO_C_ITEMS": "9"}, {"repr": "user"})
    config = loaded.require()
    assert (config.locals, config.depth, config.items) == ("all", 5, 9)
    assert (config.threads, config.repr) == (False, "user")
    assert loaded.origins["locals"] == str(tmp_path / "pyproject.toml")
    assert loaded.origins["depth"] == str(tmp_path / ".kolo_c" / "config.toml")
    assert loaded.origins["items"] == "environment KOLO_C_ITEMS"
    assert loaded.origins["repr"] == "argument repr"
    assert loaded.origins["hook"] == "default"


def test_KOLO_C_PATH_moves_the_settings_file_too(tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    write(moved, own="depth = 7")
    root = tmp_path / "root"
    root.mkdir()
    assert load(root, {"KOLO_C_PATH": str(moved)}).config.depth == 7
    assert load(root, {"KOLO_C_PATH": str(moved / ".kolo_c")}).config.depth == 7


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('local = "all"', "local is not a setting. Did you mean locals?"),
        ('ignore-frames = ["a"]', "Did you mean ignore_frames?"),
        ("zzzzzz = 1", "Allowed: compress, core, depth"),
        ('locals = "al"', "locals must be one of none, raise, all, not 'al'"),
        ("locals = 3", "locals must be one of"),
        ('depth = "4"', "depth must be a whole number, not '4'"),
        ("depth = true", "depth must be a whole number, not True"),
        ("depth = -1", "depth must be between 0 and 64, not -1"),
        ("depth = 65", "depth must be between 0 and 64, not 65"),
        ("threads = 1", "threads must be true or false, not 1"),
        ('max_bytes = "5 apples"', "max_bytes must be a number of bytes or a text"),
        ("max_bytes = 3", "max_bytes must be at least 1 MiB"),
        ("record_bytes = 40000", "record_bytes must be at most 32 KiB"),
        ("wait_max = nan", "wait_max must be a number of seconds between"),
        ("wait_max = true", "wait_max must be a number of seconds"),
        ('roots = "src"', "roots must be a list of texts: write ['src']"),
        ("roots = [1]", "roots must be a list of texts, but it contains 1"),
        ('mask_words = ["--"]', "mask_words has '--', which has neither letter"),
        ("rules = 3", "rules must be a list of tables"),
        ('rules = [{locals = "all"}]', "rules number 1 has no match"),
        ('rules = [{match = "a", local = 1}]', "unknown key 'local'. Did you mean"),
        ('rules = [{match = "a", values = 1}]', "rules number 1: values must be true"),
        ("rules = [{match = []}]", "match must name at least one pattern"),
    ],
)
def test_a_wrong_setting_names_file_key_and_what_is_allowed(tmp_path, line, expected):
    loaded = load(write(tmp_path, f"[tool.kolo_c]\n{line}\n"), {})
    assert loaded.config == Config()
    with pytest.raises(ConfigError) as caught:
        loaded.require()
    assert expected in caught.value.message
    assert str(tmp_path / "pyproject.toml") in caught.value.message
    assert str(tmp_path / "pyproject.toml") in caught.value.hint


def test_a_wrong_value_leaves_the_one_from_the_source_before(tmp_path):
    write(tmp_path, "[tool.kolo_c]\ndepth = 2")
    loaded = load(tmp_path, {"KOLO_C_DEPTH": "deep"})
    assert loaded.config.depth == 2
    assert "environment KOLO_C_DEPTH: depth must be" in str(loaded.problems[0])


def test_all_problems_are_told_at_once(tmp_path):
    loaded = load(write(tmp_path, "[tool.kolo_c]\nx = 1\ndepth = 'a'"), {}, {"y": 1})
    assert [problem.key for problem in loaded.problems] == ["x", "depth", "y"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[tool.kolo_c\n", "is not TOML"),
        (b"\xff", "cannot be read"),
        (b"[tool]\nkolo_c = 3\n", "must be a table"),
        (b"[tool.kolo-c]\ndepth = 3\n", "write [tool.kolo_c]"),
        (b"[tool.KOLO_C]\ndepth = 3\n", "write [tool.kolo_c]"),
        (b"[tool.kolo_c]\nx = " + b"[" * 99_999, "is not TOML"),
        (b"[tool.kolo_c]\ndepth = " + b"9" * 5_000, "is not TOML"),
    ],
)
def test_a_broken_file_is_named(tmp_path, content, expected):
    (tmp_path / "pyproject.toml").write_bytes(content)
    loaded = load(tmp_path, {})
    assert loaded.config == Config()
    assert expected in str(loaded.problems[0])
    assert str(tmp_path / "pyproject.toml") in str(loaded.problems[0])


def test_a_mark_of_the_byte_order_does_no_harm(tmp_path):
    write(tmp_path, "\ufeff[tool.kolo_c]\ndepth = 3\n")
    assert load(tmp_path, {}).require().depth == 3


def test_the_table_of_pyproject_has_no_place_in_a_file_of_our_own(tmp_path):
    (tmp_path / ".kolo_c").mkdir()
    (tmp_path / ".kolo_c" / "config.toml").write_text("[tool.kolo_c]\ndepth = 3\n")
    (problem,) = load(tmp_path, {}).problems
    assert "without it" in str(problem)


def test_a_size_beyond_every_number_is_a_problem_and_no_crash(tmp_path):
    loaded = load(tmp_path, {"KOLO_C_MAX_BYTES": "9" * 400 + ".5 GiB"})
    assert [problem.key for problem in loaded.problems] == ["max_bytes"]


def test_a_pyproject_of_others_is_fine(tmp_path):
    assert load(write(tmp_path, "tool = 3"), {}).problems == []
    assert load(write(tmp_path, "[tool.ruff]\nline-length = 88"), {}).problems == []


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("max_bytes", "512 MiB", 512 << 20),
        ("max_bytes", "2GB", 2_000_000_000),
        ("max_bytes", "1.5 gib", 3 << 29),
        ("max_bytes", "1048576", 1 << 20),
        ("wait_max", "0.25", 0.25),
        ("threads", "off", False),
        ("threads", "1", True),
        ("include_frames", "a/, module:b ,", ("a/", "module:b")),
        ("include_frames", '["a,b"]', ("a,b",)),
        ("include_frames", "[ab].py", ("[ab].py",)),
        ("mask_words", "apiKey,X-Pin", ("api_key", "x_pin")),
        ("compress", "0", 0),
    ],
)
def test_texts_are_read_from_the_environment(tmp_path, key, text, value):
    loaded = load(tmp_path, {f"KOLO_C_{key.upper()}": text})
    assert getattr(loaded.require(), key) == value


def test_rules_are_read_from_tables_and_from_json(tmp_path):
    write(
        tmp_path,
        """
        [[tool.kolo_c.rules]]
        match = "qualname:f"
        mask = true
        [[tool.kolo_c.rules]]
        match = ["a/", "b/"]
        values = false
        max_depth = 2
        """,
    )
    expected = (
        FunctionRule(match=("qualname:f",), mask=("*",)),
        FunctionRule(match=("a/", "b/"), values=False, max_depth=2),
    )
    loaded = load(tmp_path, {})
    assert loaded.require().rules == expected
    assert [rule.where for rule in loaded.config.rules] == ["rules[1]", "rules[2]"]
    text = '[{"match": "x", "self": "fields"}]'
    rules = load(tmp_path, {"KOLO_C_RULES": text}).require().rules
    assert rules == (FunctionRule(match=("x",), self="fields"),)


def test_variables_that_are_no_settings(tmp_path):
    environ = {"KOLO_C_PATH": "/x", "KOLO_C_DEBUG": "1", "KOLO": "1", "PATH": "/"}
    assert load(tmp_path, environ).problems == []
    loaded = load(tmp_path, {"KOLO_C_DEEPTH": "1"})
    assert "Did you mean KOLO_C_DEPTH?" in str(loaded.problems[0])


def test_no_variable_that_is_read_is_taken_for_a_setting_that_is_none(tmp_path):
    read = [
        "kolo_c",
        "script",
        "tools",
        "setup.py",
        "Makefile",
        "tests/unit/build_encode.py",
    ]
    if not all((ROOT / each).exists() for each in read):
        pytest.skip("beside the sources only")
    files = [
        file
        for each in read
        for file in [ROOT / each, *(ROOT / each).rglob("*")]
        if file.is_file() and file.suffix in ("", ".py")
    ]
    names = {
        name
        for file in files
        for name in re.findall(r"\bKOLO_C_[A-Z][A-Z_]*[A-Z]\b", file.read_text())
    }
    assert {"KOLO_C_PAGER", "KOLO_C_SANITIZE", "KOLO_C_TEST_CFLAGS"} <= names
    problems = load(tmp_path, dict.fromkeys(names, "")).problems
    assert [str(each) for each in problems if "not a setting" in str(each)] == []


def test_the_config_is_plain_data_and_cannot_change():
    config = Config(rules=(FunctionRule(match=("a",), values=False),))
    assert config.as_dict()["rules"] == [{"match": ["a"], "values": False}]
    with pytest.raises(AttributeError):
        config.depth = 3
    assert hash(config) == hash(Config(rules=config.rules))


def test_sizes_read_as_they_are_written():
    for count in (1 << 30, 3 << 20, 1 << 10):
        assert settings.size(0).parse(settings.format_size(count)) == count
    assert settings.format_size(1025) == "1025 bytes"


def test_every_setting_is_documented_and_the_page_is_current():
    for table in (Config, FunctionRule):
        assert table.settings
        for row in table.settings.values():
            assert row.doc.endswith(".")
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "generate_docs.py", "--check"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")
