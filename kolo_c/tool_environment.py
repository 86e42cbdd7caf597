"""Is this kolo-c's own environment, as pipx and uv make one for each tool?

Reading commands are at home there. A program that is recorded runs in the Python that
kolo-c is installed for, and in such an environment its packages are missing.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import os
import sys

# What each tool leaves in the folder of an environment that it made.
_RECEIPTS = (("pipx", "pipx_metadata.json"), ("uv", "uv-receipt.toml"))
# uvx leaves none, but has a folder for such environments.
_UVX_FOLDER = "archive-v"
_OR = {
    "pipx": "or add the packages to this one: pipx inject kolo-c PACKAGE",
    "uv": "or, in a project of uv's: uv run --with kolo-c kolo-c run …",
}


def owner_of_environment(prefix: str | None = None) -> str:
    """The tool that made this environment for kolo-c alone; "" where none did."""
    prefix = sys.prefix if prefix is None else prefix
    for tool, receipt in _RECEIPTS:
        if os.path.exists(os.path.join(prefix, receipt)):
            return tool
    if os.path.basename(os.path.dirname(prefix)).startswith(_UVX_FOLDER):
        return "uv"
    return ""


def how_to_leave(tool: str) -> str:
    """What to do for a program with packages of its own."""
    active = os.environ.get("VIRTUAL_ENV", "")
    if active and os.path.realpath(active) != os.path.realpath(sys.prefix):
        python = os.path.join(active, "bin", "python")
    else:
        python = "PYTHON"
    named = " (PYTHON: the program's)" if python == "PYTHON" else ""
    return (
        "Install kolo-c beside the program's packages and run it from there: "
        f"{python} -m pip install kolo-c, then {python} -m kolo_c run …{named}; "
        f"{_OR[tool]}"
    )


def why_module_is_missing(error: BaseException) -> list[str]:
    """Lines to say when a program ended so; none where that is not the reason."""
    if isinstance(error, ModuleNotFoundError):
        name = (error.name or "").partition(".")[0]
    elif isinstance(error, SystemExit) and isinstance(error.code, str):
        # How `-m module` ends.
        name = error.code.partition("No module named ")[2]
        name = name.strip("'\"()").partition(".")[0]
    else:
        return []
    tool = owner_of_environment()
    if not tool or not name or name in sys.modules:
        return []
    return [
        f"{name} is not in this environment, which {tool} made for kolo-c alone "
        f"({sys.prefix})",
        how_to_leave(tool),
    ]
