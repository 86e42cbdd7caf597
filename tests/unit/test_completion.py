"""The completion scripts, read and asked by the shells they are for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kolo_c.cli.completion import SHELLS, script
from kolo_c.cli.main import COMMANDS, main
from kolo_c.errors import KoloError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two traces, and a ``kolo-c`` on PATH."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    command = bin_ / "kolo-c"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m kolo_c "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text("def f(): pass\nf()\n")
    for _ in range(2):
        subprocess.run(["kolo-c", "run", "-q", "program.py"], check=True, timeout=60)
    return tmp_path


def ask(shell: str, place: Path, *words: str) -> list[str]:
    """What ``shell`` offers for the last of ``words``, as at its prompt."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    path = place / f"completion.{shell}"
    path.write_text(script(shell), encoding="utf-8")
    line = " ".join(words)
    code = {
        "bash": (
            f"source {path}; COMP_WORDS=({line or ''}); "
            f"[ {len(words)} = ${{#COMP_WORDS[@]}} ] || COMP_WORDS+=(''); "
            f"COMP_CWORD={len(words) - 1}; _shtab_kolo_c; "
            'printf "%s\\n" "${COMPREPLY[@]}"'
        ),
        "fish": f"source {path}; complete -C '{line}'",
    }[shell]
    done = subprocess.run(
        [shell, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return [found.split("\t")[0] for found in done.stdout.split("\n") if found]


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_a_shell_completes_commands_options_and_traces(
    shell: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(shell, place, "kolo-c", "exp")[0].startswith("exp")
    assert "--depth" in ask(shell, place, "kolo-c", "show", "--dep")
    assert "program.py" in ask(shell, place, "kolo-c", "run", "prog")
    main(["completion", "traces"])
    newest = capsys.readouterr().out.split()
    assert len(newest) == 2
    assert newest[0] in ask(shell, place, "kolo-c", "show", newest[0][:2])


def test_zsh_reads_its_script(place: Path) -> None:
    zsh = shutil.which("zsh")
    if zsh is None:
        pytest.skip("no zsh on this machine")
    folder = place / "functions"
    folder.mkdir()
    (folder / "_kolo-c").write_text(script("zsh"), encoding="utf-8")
    code = (
        f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -d {place}/dump; "
        "autoload +X _kolo-c && whence -w _kolo-c && print $_comps[kolo-c]"
    )
    done = subprocess.run(
        [zsh, "-f", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["_kolo-c:", "function", "_kolo-c"], done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_has_every_command(shell: str) -> None:
    text = script(shell)
    for name in COMMANDS:
        assert name in text


def test_without_shtab_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(KoloError) as error:
        script("bash")
    assert error.value.hint == "pip install shtab"


def test_outside_of_any_store_no_trace_is_offered(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["completion", "traces"]) == 0
    assert capsys.readouterr().out.strip() == ""


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "tcsh"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "fish" in said and "traces" not in said
