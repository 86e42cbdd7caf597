"""An empty trace says why, when its program has ended and when it is shown."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.integration.place import Place

RUN = ("-m", "kolo_c", "run")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path / "project", Path(sys.executable), "auto")


def both(place: Place, *words: str, code: int = 0, **variables: str) -> tuple[str, str]:
    """What is said at the end, and what `show` says, each on one line."""
    root = str(Path(__file__).parents[2])
    variables = {"PYTHONPATH": root, **variables}
    done = place.run(*RUN, *words, **variables)
    assert done[2] == code, done
    shown = place.run("-m", "kolo_c", "show", **variables)[0]
    return " ".join(done[1].split()), " ".join(shown.split())


def test_disabled(place: Place) -> None:
    place.write(program="def f(): pass\nf()\n")
    said, shown = both(place, "program.py", KOLO_C="0")
    assert "nothing was recorded: KOLO_C is 0 in the environment" in said
    assert (shown, place.is_empty) == ("", True)


def test_another_profiler(place: Place) -> None:
    place.write(program="def f(): pass\nf()\n")
    words = ("--hook", "setprofile", "-m", "cProfile", "program.py")
    for text in both(place, *words):
        assert "ecorded: another profiler took the tracer's place for a while" in text
        assert 'hook = "monitoring"' in text
        assert "all code" not in text


def test_filters(place: Place) -> None:
    place.write(program="def f(): pass\nf()\n")
    settings = "[tool.kolo_c]\nignore_frames = ['prog*']\n"
    (place.folder / "pyproject.toml").write_text(settings)
    for text in both(place, "program.py"):
        assert "all code of program.py was skipped: ignore_frames of" in text
        assert "has 'prog*', which matches" in text
        assert "Change ignore_frames" in text
        assert f"kolo-c explain {place.folder}/program.py" in text


def test_a_filter_of_everything_is_explained_by_a_file_of_the_program(
    place: Place,
) -> None:
    place.write(program="def f(): pass\nf()\n")
    for text in both(place, "program.py", KOLO_C_IGNORE_FRAMES="*"):
        assert f"kolo-c explain {place.folder}/program.py" in text
        assert "explain <" not in text


def test_a_wrong_root(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "library.py").write_text("def f(): return 1\nf()\n")
    path = f"{Path(__file__).parents[2]}:{outside}"
    for text in both(place, "-m", "library", PYTHONPATH=path):
        assert f"it is outside the project's root {place.folder}" in text
        assert f'roots = ["{outside}"] under [tool.kolo_c]' in text
    settings = ("--set", f"roots={outside}")
    assert (
        "recorded 2 calls"
        in both(place, *settings, "-m", "library", PYTHONPATH=path)[0]
    )


def test_nothing_ran(place: Place) -> None:
    for text in both(place, "-m", "this"):
        assert "called no function of its own" in text
        assert "kolo-c doctor" in text or "include_frames" in text


def test_a_program_that_is_no_python(place: Place) -> None:
    place.write(program="def f(:\n")
    said, _ = both(place, "program.py", code=1)
    assert "nothing was recorded: program.py is not valid Python" in said


@pytest.mark.parametrize("moved", [None, os.devnull])
def test_what_closes_a_run_shows_it_from_here(
    place: Place, tmp_path: Path, moved: str | None
) -> None:
    """Of a program in another project the store is there, and not where one stands."""
    place.write(program="def f(): raise ValueError\nf()\n")
    root = str(Path(__file__).parents[2])
    variables = {"PYTHONPATH": root, "XDG_STATE_HOME": str(tmp_path / "state")}
    if moved is not None:
        variables["KOLO_C_PATH"] = moved
    program = str(place.folder / "program.py")
    _, said, _ = place.run(*RUN, program, cwd=tmp_path, **variables)
    for command in ("show", "why"):
        (found,) = re.findall(rf"KOLO_C_PATH=(\S+) kolo-c {command} (\w{{5}})", said)
        variables["KOLO_C_PATH"] = found[0]
        words = ("-m", "kolo_c", command, found[1])
        shown, said_too, code = place.run(*words, cwd=tmp_path, **variables)
        assert (code, said_too) == (0, "") and "ValueError" in shown
