"""Documents that cannot lie: links, generated pages, and the README's own words."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kolo_c.plugins.builtin.table import BUILTIN

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TUTORIALS = [
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),
    ROOT / "docs" / "howto" / "plugins.md",
]
PAGES = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "CHANGES").glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / "src").glob("*.md"),
    ]
)
GENERATORS = sorted((ROOT / "tools").glob("generate_*.py"))
RECORDS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]+)(#[^)]*)?\)")
NAMED = re.compile(r"# (\w+\.(?:py|toml))\n")
"""The first line of a block that is a whole file."""
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def name_of(path: Path) -> str:
    """For the name of a test."""
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    text = path.read_text(encoding="utf-8")
    return [body for kind, body in FENCE.findall(text) if kind == language]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target, _ in LINK.findall(text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{name_of(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_exist(page: Path) -> None:
    """A path in backquotes that begins with one of our folders is a promise."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    folders = "src|kolo_c|tests|tools|docs|script|examples|benchmarks"
    for path in re.findall(rf"`((?:{folders})/[\w./-]+)`", text):
        assert (ROOT / path).exists(), f"{name_of(page)}: {path}"


@pytest.mark.parametrize("generator", GENERATORS, ids=name_of)
def test_generated_pages_are_up_to_date(generator: Path) -> None:
    answer = subprocess.run(
        [sys.executable, str(generator), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr


def test_a_generator_notices_an_old_page(tmp_path: Path) -> None:
    for name in ("tools", "kolo_c", "docs"):
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.so")
        )
    page = tmp_path / "docs" / "reference" / "schema.md"
    page.write_text(page.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    command = [sys.executable, "tools/generate_schema_doc.py"]
    old = subprocess.run([*command, "--check"], cwd=tmp_path, capture_output=True)
    assert old.returncode == 1
    assert b"docs/reference/schema.md" in old.stderr
    assert b"make generate" in old.stderr
    subprocess.run(command, cwd=tmp_path, check=True)
    subprocess.run([*command, "--check"], cwd=tmp_path, check=True)


def test_the_schema_page_has_every_column() -> None:
    schema = (ROOT / "kolo_c" / "store" / "schema.sql").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "reference" / "schema.md").read_text(encoding="utf-8")
    columns = re.findall(r"^    ([a-z_]+) +(?:TEXT|INTEGER|BLOB|REAL)", schema, re.M)
    assert len(columns) > 40
    for name in columns:
        assert f"| `{name}` |" in page
    assert page.count("\n## ") == schema.count("CREATE TABLE")


@pytest.mark.parametrize("record", RECORDS, ids=name_of)
def test_a_decision_record_has_its_four_parts(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Context",
        "Decision",
        "Consequences",
        "Alternatives",
    ]
    number = int(record.name[:4])
    assert text.startswith(f"# {number}. ")
    overview = (record.parent / "README.md").read_text(encoding="utf-8")
    assert f"[{number:04d}]({record.name})" in overview


def test_a_fragment_has_a_kind_that_is_explained() -> None:
    explained = (ROOT / "CHANGES" / "README.md").read_text(encoding="utf-8")
    kinds = set(re.findall(r"^\| `(\w+)` \|", explained, re.MULTILINE))
    for path in (ROOT / "CHANGES").glob("*.md"):
        if path.name != "README.md":
            assert path.name.split(".")[1] in kinds, path.name


# ---- the README ----


def test_the_readme_shows_the_example_as_it_is() -> None:
    example = (ROOT / "examples" / "basket.py").read_text(encoding="utf-8")
    (shown,) = (block for block in blocks(README, "python") if "def cost" in block)
    assert shown.strip() in example


def test_the_readme_has_the_two_commands() -> None:
    text = README.read_text(encoding="utf-8")
    assert "script/demo" in text
    assert "script/test" in text
    assert "script/test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_readme_has_room_for_the_table_of_costs() -> None:
    text = README.read_text(encoding="utf-8")
    begin, end = "<!-- costs:begin -->\n", "<!-- costs:end -->\n"
    assert text.count(begin) == 1
    assert text.count(end) == 1
    assert text.index(begin) < text.index(end)


def test_the_readmes_kinds_are_those_of_the_plugins() -> None:
    made = {"log"}  # a record of its own
    for path in (ROOT / "kolo_c" / "plugins" / "builtin").glob("*.py"):
        made |= set(re.findall(r'\bKind\(\s*"([\w-]+)"', path.read_text("utf-8")))
    text = README.read_text(encoding="utf-8").split("| kind | of |")[1]
    table = text.split("\n\n")[0]
    named = re.findall(
        r"`([\w-]+)`", " ".join(re.findall(r"^\| (.*?) \|", table, re.M))
    )
    assert len(named) > 10
    assert set(named) <= made


def steps(page: Path, *, files: bool = False) -> Iterator[tuple[str, list[str]]]:
    """What a reader does, in order: commands with the lines shown below them,
    corrections of a file, and ``files`` to write."""
    text = page.read_text(encoding="utf-8")
    for kind, body in FENCE.findall(text):
        if kind == "diff":
            yield "", body.splitlines()
        elif files and kind in ("python", "toml") and NAMED.match(body):
            yield "write", body.splitlines()
        elif kind == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, *output = part.rstrip().split("\n")
                yield command, output


def comparable(line: str) -> str:
    """``line`` without what differs from run to run: times, sizes, identifiers."""
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    line = re.sub(r"/\S*/", "", line)
    line = re.sub(r"\btrc_[0-9A-Z]{26}\b", "ID", line)
    line = re.sub(r"(kolo-c \w+) [0-9A-Z]{3,26}\b", r"\1 ID", line)
    line = re.sub(r"\b[0-9A-Z]{3,26}(/\d+)\b", r"ID\1", line)
    line = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "WHEN", line)
    # Shown only where it is a part of the whole that matters.
    line = re.sub(r" (· own cost .*|\(own cost .*?\))", "", line)
    line = re.sub(r"[\d.,]+ ?(ns|µs|ms|s|B|bytes|KiB|MiB)\b", "N", line)
    line = re.sub(r"0x[0-9a-f]+", "ADDRESS", line)
    line = re.sub(r"\bID +[0-9A-Z]{3,26}$", "ID", line)  # in lists, its short form
    line = re.sub(r"[\d.]+%", "P", line)
    return " ".join(line.split())


def typed(page: Path, folder: Path) -> int:
    """Do the steps of ``page`` in ``folder``, compare; how many commands there were."""
    scripts = Path(sys.executable).parent
    if not (scripts / "kolo-c").exists():
        pytest.skip("kolo-c is not installed beside this Python")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("KOLO_C_")
    }
    environment["PATH"] = f"{scripts}:{environment['PATH']}"
    environment["COLUMNS"] = "100"
    ran = 0
    for command, lines in steps(page, files=True):
        if not command:
            correct(folder, lines)
            continue
        if command == "write":
            (folder / lines[0][2:]).write_text("\n".join([*lines[1:], ""]), "utf-8")
            continue
        words = shlex.split(command)
        if words[0] not in ("kolo-c", "python"):
            continue
        answer = subprocess.run(
            words,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        said = [comparable(line) for line in answer.stdout.splitlines()]
        for line in lines:
            if line.strip() not in ("", "…"):
                assert comparable(line) in said, f"{command}\n{answer.stdout}"
        ran += 1
    return ran


def correct(folder: Path, lines: list[str]) -> None:
    """Put the lines that begin with + in the place of those that begin with -."""
    old = "".join(f"{line[1:]}\n" for line in lines if line[0] == "-")
    new = "".join(f"{line[1:]}\n" for line in lines if line[0] == "+")
    (path,) = (path for path in folder.glob("*.py") if old in path.read_text("utf-8"))
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")


def test_the_readmes_commands_do_what_it_says(tmp_path: Path) -> None:
    """One after the other, as a reader would type them."""
    shutil.copytree(
        ROOT / "examples",
        tmp_path / "examples",
        ignore=shutil.ignore_patterns("__pycache__", ".kolo_c"),
    )
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    assert typed(README, tmp_path) >= 3


@pytest.mark.parametrize("page", TUTORIALS, ids=name_of)
def test_a_tutorial_can_be_followed(page: Path, tmp_path: Path) -> None:
    """From its example, which it names or shows, to its end."""
    for name in re.findall(r"^`(examples/\w+\.py)`", page.read_text("utf-8"), re.M):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    assert typed(page, tmp_path) >= 4


def test_a_how_to_with_a_program_is_followed_by_a_test() -> None:
    """Here, or beside the tests of what it is about, which name it."""
    from tests.integration.plugins.test_howto import PAGES as FOLLOWED

    named = {path.stem for path in TUTORIALS} | set(FOLLOWED)
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r'"howto" / "([\w-]+)\.md"', text))
    pages = [
        path.stem
        for path in (ROOT / "docs" / "howto").glob("*.md")
        if any(NAMED.match(block) for block in blocks(path, "python"))
        and blocks(path, "console")
    ]
    assert {"celery", "django", "fastapi", "flask", "pytest", "sql"} <= set(pages)
    assert set(pages) <= named


def test_the_page_of_kinds_has_those_of_the_plugins() -> None:
    made = {"log"}  # a record of its own
    for path in (ROOT / "kolo_c" / "plugins" / "builtin").glob("*.py"):
        made |= set(re.findall(r'\bKind\(\s*"([\w-]+)"', path.read_text("utf-8")))
    page = (ROOT / "docs" / "reference" / "kinds.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row[1])} == made
    named = {name for row in rows for name in re.findall(r"`([\w.-]+)`", row[3])}
    assert named - {line[0] for line in BUILTIN} == {"output", "sql"}
