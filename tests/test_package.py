"""The package as others get it: an sdist, a wheel from it, builds that cannot work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# What a build reads; not .venv, and not what earlier builds left.
BUILD_INPUTS = (
    "CHANGES.md",
    "LICENSE",
    "MANIFEST.in",
    "README.md",
    "docs",
    "_kolo_c_start.py",
    "kolo_c",
    "kolo_c.pth",
    "kolo_c.start",
    "licenses",
    "pyproject.toml",
    "setup.py",
    "src",
)

pytest.importorskip("setuptools", minversion="77")


def copy_of_the_sources(to: Path) -> Path:
    """The tree without anything built, so that no test sees what another left."""
    names = [name for name in BUILD_INPUTS if (ROOT / name).exists()]

    def wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        built = member.name.endswith((".so", ".pyc", ".o")) or ".kolo_c" in member.name
        return None if built else member

    archive = to / "sources.tar"
    with tarfile.open(archive, "w") as tar:
        for name in names:
            tar.add(ROOT / name, arcname=name, filter=wanted)
    with tarfile.open(archive) as tar:
        tar.extractall(to / "sources", filter="data")
    return to / "sources"


def python(*arguments: str, cwd: Path, **environment: str) -> str:
    """What this Python says; CalledProcessError, with its output, where it fails."""
    answer = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if answer.returncode != 0:
        raise AssertionError(f"{arguments} ended with\n{answer.stdout}")
    return answer.stdout


def failing_build(cwd: Path, compiler: Path, **environment: str) -> str:
    """What a build says that must not succeed."""
    with pytest.raises(AssertionError) as caught:
        python(
            "setup.py",
            "build_ext",
            "--inplace",
            cwd=cwd,
            CC=str(compiler),
            **environment,
        )
    return str(caught.value)


def compiler_without(folder: Path, header: str) -> Path:
    """A compiler that finds every header but this one."""
    script = folder / "cc"
    script.write_text(
        "#!/bin/sh\n"
        'for each in "$@"; do case $each in *probe.c)\n'
        f"    grep -q '<{header}>' \"$each\" && exit 1 ;;\n"
        "esac; done\n"
        'exec cc "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    return script


@pytest.mark.parametrize(
    ("header", "packages"),
    [
        (
            "msgpack/pack_template.h",
            (
                "libmsgpack-c-dev",
                "libmsgpack-dev",
                "msgpack-c-dev",
                "brew install msgpack",
            ),
        ),
        (
            "sqlite3.h",
            ("libsqlite3-dev", "sqlite-devel", "sqlite-dev", "brew install sqlite"),
        ),
        ("zstd.h", ("libzstd-dev", "libzstd-devel", "zstd-dev", "brew install zstd")),
        ("Python.h", ("python3-dev", "python3-devel", "brew install python")),
    ],
)
def test_a_missing_header_is_named_with_its_packages(
    tmp_path: Path, header: str, packages: tuple[str, ...]
) -> None:
    said = failing_build(
        copy_of_the_sources(tmp_path), compiler_without(tmp_path, header)
    )
    assert f"  {header}  (" in said
    for name in (*packages, "Debian", "Fedora", "Alpine", "macOS"):
        assert name in said
    assert "KOLO_C_NO_EXTENSION=1" in said


def test_a_missing_header_is_the_only_one_named(tmp_path: Path) -> None:
    said = failing_build(
        copy_of_the_sources(tmp_path), compiler_without(tmp_path, "zstd.h")
    )
    assert "libzstd-dev" in said
    assert "libsqlite3-dev" not in said


def test_a_missing_compiler_names_the_way_without_one(tmp_path: Path) -> None:
    said = failing_build(copy_of_the_sources(tmp_path), tmp_path / "no-compiler")
    assert "needs a C compiler" in said
    assert "apt-get install gcc" in said
    assert "KOLO_C_NO_EXTENSION=1" in said


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An sdist of the tree as it is."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("sdist")
    sources = copy_of_the_sources(folder)
    python(
        *("-m", "build", "--sdist", "--no-isolation", "--outdir", str(folder)),
        cwd=sources,
    )
    (archive,) = folder.glob("kolo_c-*.tar.gz")
    return archive


def test_the_sdist_has_all_that_a_build_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as tar:
        names = {name.split("/", 1)[-1] for name in tar.getnames()}
    sources = [*(ROOT / "src").rglob("*.[ch]"), *(ROOT / "kolo_c").rglob("*.py")]
    needed = {path.relative_to(ROOT).as_posix() for path in sources}
    needed |= {"kolo_c/store/schema.sql", "kolo_c/py.typed"}
    needed |= {"LICENSE", "README.md", "pyproject.toml", "setup.py"}
    needed |= {"licenses/zstd.txt", "kolo_c.pth", "kolo_c.start", "_kolo_c_start.py"}
    assert needed - names == set()
    assert not [name for name in names if name.endswith((".so", ".o", ".pyc"))]


@pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(),
    reason="not a git repository",
)
def test_the_sdist_has_every_file_of_the_repository(tmp_path: Path) -> None:
    """So that its tests and documents are whole too."""
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", ROOT.as_uri(), str(tmp_path / "clone")],
        check=True,
    )
    python(
        *("-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path)),
        cwd=tmp_path / "clone",
    )
    (archive,) = tmp_path.glob("kolo_c-*.tar.gz")
    with tarfile.open(archive) as tar:
        packed = {name.split("/", 1)[-1] for name in tar.getnames()}
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=tmp_path / "clone", capture_output=True,
        text=True, check=True,
    ).stdout.strip("\0").split("\0")  # fmt: skip
    assert sorted(set(tracked) - packed) == []


def test_the_same_sources_give_the_same_sdist(tmp_path: Path) -> None:
    """Whoever packs them, whenever."""
    packed = []
    for number in range(2):
        folder = tmp_path / str(number)
        (folder / "kolo_c-0" / "script").mkdir(parents=True)
        files = [folder / "kolo_c-0" / name for name in ("b.py", "a.py", "script/run")]
        for path in files[:: -1 if number else 1]:
            path.write_text(f"text of {path.name}\n", encoding="utf-8")
            path.chmod(0o700 if path.name == "run" else 0o640)
            os.utime(path, (number * 1e6, number * 1e6))
        archive = folder / "kolo_c-0.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for path in files[:: -1 if number else 1]:
                tar.add(path, arcname=path.relative_to(folder))
        python(
            *(str(ROOT / "tools" / "repack_sdist.py"), str(archive)),
            cwd=folder,
            SOURCE_DATE_EPOCH="1700000000",
        )
        packed.append(archive.read_bytes())
    assert packed[0] == packed[1]
    with tarfile.open(archive) as tar:
        modes = {member.name: member.mode for member in tar.getmembers()}
        assert {member.mtime for member in tar.getmembers()} == {1700000000}
        assert b"text of run" in tar.extractfile("kolo_c-0/script/run").read()
    assert list(modes) == ["kolo_c-0/a.py", "kolo_c-0/b.py", "kolo_c-0/script/run"]
    assert list(modes.values()) == [0o644, 0o644, 0o755]


@pytest.mark.slow
def test_a_wheel_from_the_sdist_has_the_extension_and_works(
    sdist: Path, tmp_path: Path
) -> None:
    python(
        *("-m", "pip", "wheel", "-q", "--no-deps", "--no-index"),
        *("--no-build-isolation", "--wheel-dir", str(tmp_path), str(sdist)),
        cwd=tmp_path,
        # Compiles in less time; script/wheel makes and tries the one that is given away.
        KOLO_C_DEBUG="1",
    )
    (wheel,) = tmp_path.glob("kolo_c-*.whl")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert f"kolo_c/_kolo{suffix}" in names
    assert "kolo_c/store/schema.sql" in names
    assert "kolo_c/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "src/"))]
    # .start takes the place of .pth, and 6 ms of each start, from 3.15 to 3.17.
    assert "kolo_c.pth" in names and "_kolo_c_start.py" in names
    assert ("kolo_c.start" in names) == (not (3, 15) <= sys.version_info < (3, 18))
    said = python(
        "-c",
        "import kolo_c._kolo as k; print(k.__file__, k.register_noop_profiler)",
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path / "site"),
    )
    assert said.startswith(str(tmp_path / "site"))


def test_a_development_install_has_the_line_for_the_start_too(tmp_path: Path) -> None:
    sources = copy_of_the_sources(tmp_path)
    code = "from setuptools import build_meta as b; b.build_editable('wheels')"
    python("-c", code, cwd=sources, KOLO_C_NO_EXTENSION="1")
    (wheel,) = (sources / "wheels").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("kolo_c.pth") == (ROOT / "kolo_c.pth").read_bytes()
        assert b"kolo_c.pth" in archive.read("kolo_c-0.1.0.dist-info/RECORD")


def install(folder: Path, **environment: str) -> str:
    """Install into ``site`` what is in the tree; what pip says."""
    return python(
        *("-m", "pip", "install", "-v", "--no-deps", "--no-index", "--no-cache-dir"),
        *("--no-build-isolation", "--target", str(folder / "site")),
        str(copy_of_the_sources(folder)),
        cwd=folder,
        **environment,
    )


@pytest.fixture(scope="module")
def without_extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as it is installed where there is no compiler."""
    folder = tmp_path_factory.mktemp("without-extension")
    said = install(folder, CC=str(folder / "no-compiler"), KOLO_C_NO_EXTENSION="")
    (folder / "said").write_text(said, encoding="utf-8")
    return folder


def test_it_installs_without_a_compiler(without_extension: Path) -> None:
    said = (without_extension / "said").read_text(encoding="utf-8")
    assert "building WITHOUT the extension" in said
    assert "needs a C compiler" in said
    installed = without_extension / "site" / "kolo_c"
    assert (installed / "store" / "schema.sql").is_file()
    assert not list(installed.glob("_kolo*.so"))


def test_it_installs_without_a_header(tmp_path: Path) -> None:
    said = install(tmp_path, CC=str(compiler_without(tmp_path, "zstd.h")))
    assert "building WITHOUT the extension" in said
    assert "libzstd-dev" in said
    assert not list((tmp_path / "site" / "kolo_c").glob("_kolo*.so"))


def test_it_installs_without_the_extension_where_that_is_the_wish(
    tmp_path: Path,
) -> None:
    said = install(tmp_path, KOLO_C_NO_EXTENSION="1", CC=str(tmp_path / "none"))
    assert "building without the extension: KOLO_C_NO_EXTENSION is set" in said
    assert not list((tmp_path / "site" / "kolo_c").glob("_kolo*.so"))


def test_a_wheel_that_is_to_have_the_extension_fails_without(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="needs a C compiler"):
        install(tmp_path, KOLO_C_REQUIRE_EXTENSION="1", CC=str(tmp_path / "none"))


def said_without_extension(folder: Path, *arguments: str) -> str:
    """What a command says there, on both streams."""
    answer = subprocess.run(
        [sys.executable, "-m", "kolo_c", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "site")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert "Traceback" not in answer.stdout
    return answer.stdout


def test_without_the_extension_the_doctor_says_which_core_it_has(
    without_extension: Path,
) -> None:
    said = said_without_extension(without_extension, "doctor")
    assert "core: python: the extension kolo_c._kolo was not built" in said


def test_without_the_extension_a_run_is_recorded_and_read(
    without_extension: Path,
) -> None:
    program = without_extension / "program.py"
    program.write_text("def f(n):\n    return n + 1\nf(41)\nprint('ran')\n")
    (without_extension / "setup.py").touch()
    said = said_without_extension(without_extension, "run", "program.py")
    assert said.startswith("ran\n")
    assert "recorded 2 calls" in said
    assert "f(n=41) → 42" in said_without_extension(without_extension, "show")


def test_a_free_threaded_python_and_pypy_get_no_extension() -> None:
    program = (
        "import platform, sysconfig, runpy, sys\n"
        "names = runpy.run_path('setup.py', run_name='probe')\n"
        "why = names['why_no_extension']\n"
        "print(why())\n"
        "real = sysconfig.get_config_var\n"
        "gil = 'Py_GIL_DISABLED'\n"
        "sysconfig.get_config_var = lambda name: name == gil or real(name)\n"
        "print(why())\n"
        "platform.python_implementation = lambda: 'PyPy'\n"
        "print(why())\n"
    )
    said = python("-c", program, cwd=ROOT, KOLO_C_NO_EXTENSION="").splitlines()
    assert said[0] == "None"
    assert "free-threaded" in said[1]
    assert "PyPy" in said[2]
