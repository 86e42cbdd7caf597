"""``kolo-c ignore``: what it changes in the file of the settings, and what it leaves."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kolo_c import config_file
from kolo_c.cli.main import main
from kolo_c.config import load
from kolo_c.config_file import TABLE, ConfigFile, file_for
from kolo_c.errors import ConfigError
from tests.spec.tracing import environment
from tests.unit.store_builder import ProcessBuilder

KEY = "ignore_frames"
RULE = "module:shop.cart:Cart.price"


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'shop'\n")
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("KOLO_C_"):
            monkeypatch.delenv(name)
    return tmp_path


def ignore(
    capsys: pytest.CaptureFixture[str], *words: str, code: int = 0
) -> tuple[str, str]:
    """Run it; its stdout and stderr."""
    assert main(["ignore", *words]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def shop(folder: Path, blocks: int = 1) -> None:
    """A trace in which Cart.price is called three times as often as main."""
    process = ProcessBuilder()
    file = process.file(f"{folder}/shop/cart.py")
    main_code = process.code(file, "main", module="shop.cart")
    price = process.code(file, "Cart.price", ("self",), module="shop.cart")
    trace = process.trace("shop.py", id="trc_01J9ZD00000000000000000SHP")
    stream = trace.stream(process.thread("MainThread"))
    for _ in range(blocks):
        for code in (main_code, price, price, price):
            stream.call(code)
            stream.ret()
        stream.cut()
    trace.end()
    process.write(folder)


# Each file, and the same with RULE in it.
LAYOUTS = [
    ("", f'[tool.kolo_c]\nignore_frames = ["{RULE}"]\n'),
    (
        "[tool.kolo_c]\nlocals = 'all'  # keep\n\n[tool.other]\na = 1\n",
        f"[tool.kolo_c]\nlocals = 'all'  # keep\nignore_frames = [\"{RULE}\"]\n\n"
        "[tool.other]\na = 1\n",
    ),
    (
        "[tool.kolo_c]\nignore_frames = ['a', 'b']  # two\n",
        f"[tool.kolo_c]\nignore_frames = ['a', 'b', \"{RULE}\"]  # two\n",
    ),
    (
        "[tool.kolo_c]\nignore_frames = [\n  'a',  # why a\n  # why b\n  'b'\n]\n",
        "[tool.kolo_c]\nignore_frames = [\n  'a',  # why a\n  # why b\n  'b',\n"
        f'  "{RULE}",\n]\n',
    ),
    (
        "[tool.kolo_c]\r\nlocals = 'all'\r\n",
        f"[tool.kolo_c]\r\nlocals = 'all'\r\nignore_frames = [\"{RULE}\"]\r\n",
    ),
    (
        "[[tool.kolo_c.rules]]\nmatch = 'a'\n\n[tool.z]\nb = 1\n",
        f'[tool.kolo_c]\nignore_frames = ["{RULE}"]\n'
        "[[tool.kolo_c.rules]]\nmatch = 'a'\n\n[tool.z]\nb = 1\n",
    ),
    (
        "tool.kolo_c.locals = 'all'\n[x]\ny = 1\n",
        f"tool.kolo_c.locals = 'all'\ntool.kolo_c.ignore_frames = [\"{RULE}\"]\n"
        "[x]\ny = 1\n",
    ),
    (
        "[tool]\nkolo_c = {locals = 'all'}\n",
        f"[tool]\nkolo_c = {{locals = 'all',ignore_frames = [\"{RULE}\"]}}\n",
    ),
    (
        "[tool.kolo_c]\nignore_frames = [\n  # nothing yet\n]\n",
        f'[tool.kolo_c]\nignore_frames = [\n  # nothing yet\n  "{RULE}",\n]\n',
    ),
]


class TestTheFile:
    @pytest.mark.parametrize(("before", "after"), LAYOUTS)
    def test_comments_and_layout_stay(
        self, project: Path, before: str, after: str
    ) -> None:
        path = project / "pyproject.toml"
        path.write_bytes(before.encode())
        file = ConfigFile(str(path), TABLE)
        text = file.with_item(KEY, RULE)
        assert text == after
        file.write(text)
        assert path.read_bytes() == after.encode()
        assert load(project).config.ignore_frames[-1] == RULE
        again = ConfigFile(str(path), TABLE)
        again.write(again.without_item(KEY, RULE))
        assert RULE not in path.read_text()
        assert load(project).problems == []

    def test_mode_and_link_stay(self, project: Path) -> None:
        real = project / "settings" / "real.toml"
        real.parent.mkdir()
        real.write_text("[tool.kolo_c]\n")
        real.chmod(0o640)
        link = project / "pyproject.toml"
        link.unlink()
        link.symlink_to(real)
        file = ConfigFile(str(link), TABLE)
        file.write(file.with_item(KEY, RULE))
        assert link.is_symlink()
        assert RULE in real.read_text()
        assert stat.S_IMODE(real.stat().st_mode) == 0o640
        assert sorted(path.name for path in real.parent.iterdir()) == ["real.toml"]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("[tool.kolo_c", "is not TOML"),
            ("[tool.kolo_c]\nignore_frames = 'a'\n", "must be a list of texts"),
            ("[tool.kolo_c]\nignore_frames = ['a', 3]\n", "must be a list of texts"),
            ("[tool]\nkolo_c = 3\n", "kolo_c must be a table"),
            ("tool = []\n", "tool must be a table"),
            ("[tool.kolo_c]\ndeep = " + "[" * 5000 + "]" * 5000, "is not TOML"),
        ],
    )
    def test_what_is_wrong_is_said_and_the_file_stays(
        self,
        project: Path,
        capsys: pytest.CaptureFixture[str],
        text: str,
        expected: str,
    ) -> None:
        path = project / "pyproject.toml"
        path.write_text(text)
        out, err = ignore(capsys, "--pyproject", RULE, code=1)
        assert out == ""
        assert expected in err
        assert "pyproject.toml" in err
        assert path.read_text() == text

    def test_a_byte_order_mark_stays(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = project / "pyproject.toml"
        path.write_bytes(b"\xef\xbb\xbf[tool.kolo_c]\nlocals = 'all'\n")
        assert "added" in ignore(capsys, RULE)[0]
        text = f"[tool.kolo_c]\nlocals = 'all'\nignore_frames = [\"{RULE}\"]\n"
        assert path.read_bytes() == b"\xef\xbb\xbf" + text.encode()
        assert load(project).require().ignore_frames == (RULE,)

    def test_bytes_that_are_no_text_stay(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = project / "pyproject.toml"
        path.write_bytes(b"\xff\xfe")
        assert "cannot be read" in ignore(capsys, RULE, code=1)[1]
        assert path.read_bytes() == b"\xff\xfe"

    @pytest.mark.parametrize("fails", ["open", "replace", "fsync"])
    def test_a_write_that_fails_leaves_nothing_behind(
        self,
        project: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        fails: str,
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(config_file.os, fails, full)
        _, err = ignore(capsys, "--pyproject", RULE, code=1)
        monkeypatch.undo()
        assert "No space left" in err
        assert "Nothing was changed" in err
        assert [path.name for path in project.iterdir()] == ["pyproject.toml"]
        assert RULE not in (project / "pyproject.toml").read_text()

    def test_a_file_that_may_not_be_written_is_named(
        self,
        project: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(config_file.os, "access", lambda *_: False)
        _, err = ignore(capsys, "--pyproject", RULE, code=1)
        assert "pyproject.toml: cannot be written" in err

    def test_who_changes_it_at_the_same_time_is_not_overwritten(
        self, project: Path
    ) -> None:
        path = project / "pyproject.toml"
        file = ConfigFile(str(path), TABLE)
        text = file.with_item(KEY, RULE)
        path.write_text("[project]\nname = 'another'\n")
        with pytest.raises(ConfigError, match="changed at this moment"):
            file.write(text)
        assert path.read_text() == "[project]\nname = 'another'\n"

    def test_what_the_library_would_break_is_not_written(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = ConfigFile(str(project / "pyproject.toml"), TABLE)
        monkeypatch.setattr(config_file, "_append", lambda array, item: None)
        with pytest.raises(ConfigError, match="without changing more"):
            file._checked("[project]\nname = 'other'\n", KEY, [RULE])


class TestWhichFile:
    def where(self, project: Path, *, shared: bool = False) -> str:
        path = file_for(str(project), {}, KEY, shared=shared).path
        return str(Path(path).relative_to(project))

    def test_the_list_in_force_wins_then_the_table_then_the_store(
        self, project: Path
    ) -> None:
        assert self.where(project) == ".kolo_c/config.toml"
        (project / "pyproject.toml").write_text("[tool.kolo_c]\nlocals = 'all'\n")
        assert self.where(project) == "pyproject.toml"
        (project / ".kolo_c").mkdir()
        (project / ".kolo_c" / "config.toml").write_text("ignore_frames = []\n")
        assert self.where(project) == ".kolo_c/config.toml"

    def test_pyproject_can_be_asked_for_unless_its_list_is_hidden(
        self, project: Path
    ) -> None:
        assert self.where(project, shared=True) == "pyproject.toml"
        (project / ".kolo_c").mkdir()
        (project / ".kolo_c" / "config.toml").write_text("ignore_frames = ['a']\n")
        with pytest.raises(ConfigError, match="hides that of"):
            self.where(project, shared=True)

    def test_the_store_may_be_elsewhere(self, project: Path, tmp_path: Path) -> None:
        environ = {"KOLO_C_PATH": str(tmp_path / "moved")}
        path = file_for(str(project), environ, KEY).path
        assert path == str(tmp_path / "moved" / ".kolo_c" / "config.toml")


class TestTheCommand:
    def test_a_rule_is_added_and_holds(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out, err = ignore(capsys, RULE)
        path = project / ".kolo_c" / "config.toml"
        assert out == f"added {RULE} to ignore_frames in {path}\n"
        assert err == ""
        assert load(project).config.ignore_frames == (RULE,)
        assert (project / ".kolo_c" / ".gitignore").read_text() == "*\n"
        assert ignore(capsys, "--list") == (f"{RULE}\n", "")

    def test_a_second_time_changes_nothing(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ignore(capsys, RULE)
        before = (project / ".kolo_c" / "config.toml").read_bytes()
        assert "already" in ignore(capsys, RULE)[0]
        assert (project / ".kolo_c" / "config.toml").read_bytes() == before

    def test_a_dry_run_shows_the_change_alone(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out, _ = ignore(capsys, "--dry-run", "--pyproject", RULE)
        assert f'+ignore_frames = ["{RULE}"]' in out.splitlines()
        assert "kolo_c" not in (project / "pyproject.toml").read_text()
        assert not (project / ".kolo_c").exists()

    def test_a_rule_is_removed(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ignore(capsys, RULE)
        ignore(capsys, "migrations/")
        assert ignore(capsys, "--remove", RULE)[0].startswith(f"took {RULE} out")
        assert load(project).config.ignore_frames == ("migrations/",)
        _, err = ignore(capsys, "--remove", "migration/", code=1)
        assert "Did you mean 'migrations/'?" in err

    def test_include_changes_the_other_list(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ignore(capsys, "--include", "module:lib")
        assert load(project).config.include_frames == ("module:lib",)
        assert load(project).config.ignore_frames == ()

    @pytest.mark.parametrize(
        "rule", ["", " ", "a[", "!x", "module:", "a/../b", "qualname:a b"]
    )
    def test_what_is_no_rule_is_refused(
        self, project: Path, capsys: pytest.CaptureFixture[str], rule: str
    ) -> None:
        _, err = ignore(capsys, rule, code=1)
        assert "this is no rule" in err
        assert "filters.md" in err
        assert not (project / ".kolo_c").exists()

    @pytest.mark.parametrize("words", [[], ["a", "--list"], ["--remove"]])
    def test_wrong_usage_is_2(
        self, project: Path, capsys: pytest.CaptureFixture[str], words: list[str]
    ) -> None:
        assert "kolo-c ignore RULE" in ignore(capsys, *words, code=2)[1]

    def test_a_list_in_the_environment_hides_the_file_s(
        self,
        project: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("KOLO_C_IGNORE_FRAMES", "a")
        assert "KOLO_C_IGNORE_FRAMES is set" in ignore(capsys, RULE)[1]

    def test_another_project_can_be_named(
        self,
        project: Path,
        capsys: pytest.CaptureFixture[str],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        other = tmp_path_factory.mktemp("other")
        (other / "setup.py").touch()
        ignore(capsys, RULE, "--project", str(other))
        assert (other / ".kolo_c" / "config.toml").exists()
        assert not (project / ".kolo_c").exists()
        assert "is not a folder" in ignore(capsys, RULE, "--project", "no", code=1)[1]

    def test_what_is_hostile_in_a_file_is_printed_harmless(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (project / "pyproject.toml").write_text(
            '[tool.kolo_c]\nignore_frames = ["a\\u001b[2Jb"]\n'
        )
        assert ignore(capsys, "--list")[0] == "a\\x1b[2Jb\n"


class TestTheLatestTrace:
    def test_it_says_what_the_rule_would_have_left_out(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop(project)
        out, _ = ignore(capsys, RULE)
        expected = "of the latest trace (00SHP) it leaves out 3 of 4 calls"
        assert out.splitlines()[1] == expected

    def test_of_a_long_one_it_says_about(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop(project, blocks=100)
        assert "it leaves out about 75% of calls" in ignore(capsys, RULE)[0]

    def test_a_rule_that_matches_nothing_there_is_said(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop(project)
        assert "matches no call" in ignore(capsys, "module:other")[0]

    def test_a_recorded_function_is_not_taken_for_a_predicate(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop(project)
        assert f"written as {RULE}" in ignore(capsys, "shop.cart:Cart.price")[0]
        assert load(project).config.ignore_frames == (RULE,)

    def test_a_predicate_is_said_to_be_one(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out, _ = ignore(capsys, "my_filters:is_slow")
        assert "is a function that decides" in out
        assert load(project).config.ignore_frames == ("my_filters:is_slow",)

    def test_a_store_that_cannot_be_read_is_no_reason_to_fail(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (project / ".kolo_c" / "segments").mkdir(parents=True)
        (project / ".kolo_c" / "segments" / "X-0.db").write_bytes(b"no database" * 99)
        assert "added" in ignore(capsys, RULE)[0]


def test_tomlkit_is_imported_where_a_file_is_changed_alone(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import sys; from kolo_c.cli.main import main; main(['ignore', '--list']); "
        "sys.exit('tomlkit' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=environment(), check=False
    )
    assert done.returncode == 0
