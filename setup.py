"""Build of the extension ``kolo_c._kolo``; everything else is in pyproject.toml.

Its C dependencies are system packages, found through pkg-config and linked as they are:
msgpack-c (headers only), SQLite and zstd. Environment:

Where it cannot be built, kolo_c installs without it, says why (pip shows it with -v),
and records with the Python core, which is slower. A wheel, a source tree and
`setup.py build_ext` are to have it, or fail.

KOLO_C_NO_EXTENSION=1       install without the extension (no compiler needed)
KOLO_C_REQUIRE_EXTENSION=1  fail where the extension cannot be built
KOLO_C_DEBUG=1              -O0 -g -Werror, and checks that cost time
KOLO_C_SANITIZE=1           AddressSanitizer and UndefinedBehaviorSanitizer
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel
from setuptools.errors import CompileError, LinkError, PlatformError

ROOT = Path(__file__).resolve().parent
# They go to the top of site-packages: KOLO_C=1 (kolo_c/integrations/startup.py). Python
# 3.15 to 3.17 run the first as well, and would import 6 ms of modules at each start
# for the second: docs/adr/0025-everywhere.md.
START_FILES = ["kolo_c.pth"]
if not (3, 15) <= sys.version_info < (3, 18):
    START_FILES.append("kolo_c.start")
# pkg-config, rpm and brew know nothing of each other's names.
SYSTEMS = ("Debian, Ubuntu", "Fedora", "Alpine", "macOS")
INSTALL = ("apt-get install", "dnf install", "apk add", "brew install")


@dataclass(frozen=True)
class Library:
    """A C dependency: how to find it, and what to install where it is missing."""

    name: str
    header: str
    modules: tuple[str, ...]  # pkg-config's names for it, newest first
    link: str | None  # for -l where pkg-config does not know; None: header only
    packages: tuple[str, str, str, str]  # as SYSTEMS


PYTHON = Library(
    "Python's headers",
    "Python.h",
    (),
    None,
    ("python3-dev", "python3-devel", "python3-dev", "python"),
)
LIBRARIES = (
    # Only its pack_template.h is used, so that nothing is linked.
    Library(
        "msgpack-c",
        "msgpack/pack_template.h",
        ("msgpack-c", "msgpackc", "msgpack"),
        None,
        (
            "libmsgpack-c-dev (Debian 12 and older: libmsgpack-dev)",
            "msgpack-devel (or msgpack-c-devel)",
            "msgpack-c-dev",
            "msgpack",
        ),
    ),
    Library(
        "SQLite",
        "sqlite3.h",
        ("sqlite3",),
        "sqlite3",
        ("libsqlite3-dev", "sqlite-devel", "sqlite-dev", "sqlite"),
    ),
    Library(
        "zstd",
        "zstd.h",
        ("libzstd",),
        "zstd",
        ("libzstd-dev", "libzstd-devel", "zstd-dev", "zstd"),
    ),
)
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wconversion",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
]


WITHOUT = """\
kolo_c: building WITHOUT the extension, as it cannot be compiled here:

{reason}

kolo_c works without it: the Python core records, more slowly. For the extension, put
right what is said above and: pip install --force-reinstall --no-cache-dir kolo-c
"""


def enabled(name: str) -> bool:
    """Whether the environment asks for ``name``."""
    return os.environ.get(name, "") not in {"", "0"}


def why_no_extension() -> str | None:
    """The reason to build without the extension, None where it is built."""
    if enabled("KOLO_C_NO_EXTENSION"):
        return "KOLO_C_NO_EXTENSION is set"
    if platform.python_implementation() != "CPython":
        return f"{platform.python_implementation()} has the Python core alone"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "this Python is free-threaded: the extension would switch its GIL on"
    return None


def extension_is_required() -> bool:
    """Whether a build that cannot make the extension is to fail."""
    wishes = ("REQUIRE_EXTENSION", "DEBUG", "SANITIZE")
    asked = any(enabled(f"KOLO_C_{name}") for name in wishes)
    return asked or "build_ext" in sys.argv


def pkg_config(library: Library, what: str) -> list[str]:
    """What pkg-config says of ``library``; nothing where it does not know it."""
    program = os.environ.get("PKG_CONFIG", "pkg-config")
    if shutil.which(program) is None:
        return []
    for module in library.modules:
        answer = subprocess.run(
            [program, what, module], capture_output=True, text=True, check=False
        )
        if answer.returncode == 0:
            return shlex.split(answer.stdout)
    return []


def missing_message(missing: list[Library]) -> str:
    """Name what to install, on each kind of system."""
    lines = ["kolo_c's extension needs headers that the compiler does not find:", ""]
    lines += [f"  {library.header}  ({library.name})" for library in missing]
    lines += ["", "Install them:", ""]
    for index, system in enumerate(SYSTEMS):
        names = "  ".join(library.packages[index] for library in missing)
        lines.append(f"  {system + ':':16} {INSTALL[index]} {names}")
    lines += [
        "",
        "pkg-config finds them in unusual places (PKG_CONFIG_PATH). Without the",
        "extension kolo_c installs with KOLO_C_NO_EXTENSION=1 and records more slowly.",
    ]
    return "\n".join(lines)


class BuildPackage(build_py):
    """Put the files that Python's start looks for beside the package."""

    def run(self) -> None:
        """Copy the modules, and them."""
        super().run()
        if not self.editable_mode:
            self.mkpath(self.build_lib)
            for name in START_FILES:
                self.copy_file(str(ROOT / name), os.path.join(self.build_lib, name))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """All that was copied."""
        found: list[str] = super().get_outputs(include_bytecode)
        if self.editable_mode:
            return found
        return [*found, *(os.path.join(self.build_lib, name) for name in START_FILES)]


class EditableWheel(editable_wheel):
    """Put them into a development install's wheel as well."""

    def _install_namespaces(self, installation_dir: Any, pth_prefix: str) -> None:
        # The one step that is given the folder which becomes the wheel's top.
        super()._install_namespaces(installation_dir, pth_prefix)  # type: ignore[misc]
        for name in START_FILES:
            shutil.copy(ROOT / name, installation_dir)


class BuildExtension(build_ext):
    """Look for the headers first, so that a missing one is named with its package."""

    def build_extensions(self) -> None:
        """Build, with Python's and the libraries' headers as system headers."""
        if self.compiler.compiler_type == "unix":
            own = {sysconfig.get_path("include"), sysconfig.get_path("platinclude")}
            system = [path for path in self.compiler.include_dirs if path in own]
            rest = [path for path in self.compiler.include_dirs if path not in own]
            # With -I our own strict warnings would be given for Python's headers too.
            self.compiler.set_include_dirs(rest)
            for extension in self.extensions:
                for path in system:
                    extension.extra_compile_args += ["-isystem", path]
        try:
            if self.compiler.compiler_type == "unix":
                self.refuse_missing_headers()
            super().build_extensions()
        except (PlatformError, CompileError, LinkError) as error:
            if extension_is_required():
                raise
            print(WITHOUT.format(reason=error), file=sys.stderr)
            self.extensions = []

    def refuse_missing_headers(self) -> None:
        """End the build, naming packages, where a header is not there."""
        arguments = [arg for ext in self.extensions for arg in ext.extra_compile_args]
        if not self.compiles("typedef int kc_probe;\n", arguments):
            raise PlatformError(
                "kolo_c's extension needs a C compiler, and there is none that works "
                "(Debian: apt-get install gcc; Fedora: dnf install gcc; Alpine: apk "
                "add gcc musl-dev; macOS: xcode-select --install). Without one, "
                "install with KOLO_C_NO_EXTENSION=1."
            )
        missing = [
            library
            for library in (PYTHON, *LIBRARIES)
            if not self.compiles(
                f"#if !__has_include(<{library.header}>)\n"
                f"#error no {library.header}\n"
                "#endif\n"
                "typedef int kc_probe;\n",
                arguments,
            )
        ]
        if missing:
            raise PlatformError(missing_message(missing))

    def compiles(self, source: str, arguments: list[str]) -> bool:
        """Whether the compiler takes ``source``, without a word on the screen."""
        command = [*self.compiler.compiler, *arguments]
        command += [f"-I{path}" for path in self.compiler.include_dirs]
        with tempfile.TemporaryDirectory(prefix="kolo_c_build") as folder:
            probe = Path(folder, "probe.c")
            probe.write_text(source, encoding="utf-8")
            command += ["-c", str(probe), "-o", str(probe.with_suffix(".o"))]
            try:
                return subprocess.run(command, capture_output=True).returncode == 0
            except OSError:
                return False


def extension() -> Extension:
    """``kolo_c._kolo``, from every C file that lies in ``src`` now."""
    sources = sorted(
        path.relative_to(ROOT).as_posix()
        for folder in ("", "plain", "session", "trace", "collect")
        for path in (ROOT / "src" / folder).glob("*.c")
    )
    headers = sorted(
        path.relative_to(ROOT).as_posix() for path in (ROOT / "src").rglob("*.h")
    )
    compile_args = ["-std=c11", *WARNINGS, "-fvisibility=hidden", "-pthread"]
    link_args = ["-pthread"]
    if enabled("KOLO_C_DEBUG"):
        # The macro counts the Python frames that run while a value is written: none.
        compile_args += ["-O0", "-g", "-Werror", "-DKOLO_C_DEBUG"]
    else:
        compile_args += ["-O2"]
    if hasattr(sys, "gettotalrefcount") and "clang" not in sysconfig.get_config_var(
        "CC"
    ):
        # Debian's debug headers are symlinks into those of the release build. gcc
        # would follow them there, and the extension be none of a debug Python's.
        compile_args.append("-fno-canonical-system-headers")
    if enabled("KOLO_C_SANITIZE"):
        sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
        compile_args += [*sanitizers, "-fno-omit-frame-pointer", "-g"]
        link_args += sanitizers
    for library in LIBRARIES:
        for flag in pkg_config(library, "--cflags"):
            is_folder = flag.startswith("-I")
            compile_args += ["-isystem", flag[2:]] if is_folder else [flag]
        if library.link is not None:
            link_args += pkg_config(library, "--libs") or [f"-l{library.link}"]
    return Extension(
        "kolo_c._kolo",
        sources=sources,
        # A changed header rebuilds, and goes into the sdist.
        depends=[*headers, "setup.py"],
        include_dirs=["src"],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )


def main() -> None:
    """Run setuptools with the extension, or without it and say why."""
    commands: dict[str, Any] = {
        "build_py": BuildPackage,
        "editable_wheel": EditableWheel,
    }
    reason = why_no_extension()
    if reason is not None:
        print(f"kolo_c: building without the extension: {reason}", file=sys.stderr)
        setup(cmdclass=commands)
        return
    commands["build_ext"] = BuildExtension
    setup(ext_modules=[extension()], cmdclass=commands)


if __name__ == "__main__":
    main()
