"""Take the pictures in docs/images: real runs in a terminal, written as SVG.

    python tools/screenshots.py            all
    python tools/screenshots.py show why   these

Each picture is what its commands print on a terminal of their own (a pty), of the
programs in examples/. Times differ from run to run, so that nothing compares them.

Threads: one. Owns: a temporary folder. Fails: ScreenshotError, where a command does.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
_COLUMNS = 100
_LINES = 60
_SECONDS = 60.0
# Rich's own format without the web font, which a picture should not have to fetch.
_SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" \
xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; \
font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">\
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" \
clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


class ScreenshotError(Exception):
    """A command could not be run."""


class Shot(NamedTuple):
    """A picture: the commands whose output it shows, the last of which are visible."""

    name: str
    example: str
    commands: tuple[str, ...]
    visible: int = 1


SHOTS = (
    Shot("show", "basket.py", ("kolo-c run -q basket.py", "kolo-c show")),
    Shot("node", "basket.py", ("kolo-c run -q basket.py", "kolo-c show /8")),
    Shot("why", "average.py", ("kolo-c run average.py",)),
    Shot(
        "list",
        "basket.py",
        (
            "kolo-c run -q basket.py",
            "kolo-c run -q --name 'the second try' basket.py",
            "kolo-c list",
        ),
    ),
    Shot("grep", "basket.py", ("kolo-c run -q basket.py", "kolo-c grep milk"), 1),
)


def take(shot: Shot) -> Path:
    """Run the commands of ``shot``, and write its picture."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO())
    with tempfile.TemporaryDirectory() as name:
        # A name that can stand in a picture.
        folder = Path(name) / "shop"
        folder.mkdir()
        shutil.copyfile(ROOT / "examples" / shot.example, folder / shot.example)
        (folder / "pyproject.toml").touch()
        shown = len(shot.commands) - shot.visible
        for number, command in enumerate(shot.commands):
            printed = run_in_terminal(command, folder).replace(str(folder), "~/shop")
            if number >= shown:
                console.print(Text.assemble(("$ ", "green"), (command, "bold")))
                console.print(Text.from_ansi(printed), overflow="fold", end="")
                console.print()
    IMAGES.mkdir(parents=True, exist_ok=True)
    path = IMAGES / f"{shot.name}.svg"
    # The id that rich makes up from the text changes with every time in it.
    picture = console.export_svg(
        title=shot.commands[-1],
        theme=MONOKAI,
        code_format=_SVG,
        unique_id=f"kolo-{shot.name}",
    )
    path.write_text(picture, encoding="utf-8")
    return path


def run_in_terminal(command: str, folder: Path) -> str:
    """What ``command`` prints on a terminal of its own, with its colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    started = subprocess.Popen(
        command,
        shell=True,
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    printed = b""
    while True:
        try:
            data = os.read(ours, 65_536)
        except OSError:  # Linux: the other end is closed
            break
        if not data:
            break
        printed += data
    os.close(ours)
    if started.wait(_SECONDS) not in (0, 1):
        raise ScreenshotError(f"{command}: exit code {started.returncode}")
    return printed.decode("utf-8", "replace").replace("\r\n", "\n")


def _environment() -> Mapping[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("KOLO_C_") and key not in ("NO_COLOR", "COLUMNS")
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "TERM": "xterm-256color", "PAGER": "cat"}


def main() -> int:
    """Take those that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [shot.name for shot in SHOTS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    args = parser.parse_args()
    unknown = set(args.names) - set(names)
    if unknown:
        parser.error(f"no picture is named {', '.join(sorted(unknown))}")
    for shot in SHOTS:
        if not args.names or shot.name in args.names:
            print(take(shot).relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
