"""Where the program is: its root, its source folders, what is not its own, its store.

Nothing of the program is imported to find out; editable installs are read from the
files that pip left (``*.pth``, ``direct_url.json``, the ``__editable__`` finders).

Threads: any. Owns: nothing. Fails: never; what cannot be read is as if it were absent,
and a store that had to move says so in ``Project.notes``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kolo_c.config import config_folder
from kolo_c.store.locate import state_store

MARKERS = (
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "manage.py",
    "requirements.txt",
    "Pipfile",
    ".git",
)
SITE_NAMES = frozenset({"site-packages", "dist-packages"})
_FILE_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Project:
    """What the filter and the session need to know of the program's place."""

    root: Path
    reason: str
    """Why this is the root, for instance ``pyproject.toml is in it``."""
    cwd: Path
    """Where the program started: relative file names count from here."""
    sources: tuple[Path, ...]
    """Source folders of editable installs."""
    stdlib: tuple[Path, ...]
    store: Path
    """The ``.kolo_c`` folder that traces go to. It may not exist yet."""
    notes: tuple[str, ...] = ()
    """What the person should be told, for instance that the store had to move."""


def find_project(
    start: Path | None = None,
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    path: Sequence[str] | None = None,
) -> Project:
    """Find the project of a script's folder, or of the working directory.

    ``path`` is where to look for installed packages: ``sys.path`` if not given.
    """
    environ = os.environ if environ is None else environ
    cwd = (cwd or _working_directory()).absolute()
    root, reason = find_root(start, cwd=cwd, environ=environ)
    store, notes = choose_store(root, environ)
    return Project(
        root=root,
        reason=reason,
        cwd=cwd,
        sources=editable_sources(sys.path if path is None else path),
        stdlib=standard_library(),
        store=store,
        notes=notes,
    )


def find_root(
    start: Path | None, *, cwd: Path, environ: Mapping[str, str] | None = None
) -> tuple[Path, str]:
    """The nearest folder with a marker at or above ``start``, and why it is that one.

    A symlinked script is searched from where the link is, then from where it leads.
    """
    never = _never_roots(os.environ if environ is None else environ)
    places = [cwd] if start is None else [_normal(cwd / start), _real(cwd / start)]
    for place in dict.fromkeys(places):
        for folder in (place, *place.parents):
            if _may_be_root(folder, never):
                marker = _marker_in(folder)
                if marker:
                    return folder, f"{marker} is in it"
    return cwd, f"the working directory: no {', '.join(MARKERS[:3])}, … found above"


def choose_store(
    root: Path, environ: Mapping[str, str]
) -> tuple[Path, tuple[str, ...]]:
    """The ``.kolo_c`` for ``root``, and what to tell where it is not the usual one."""
    usual = config_folder(root, environ)
    reason = why_not_writable(usual)
    if not reason:
        return usual, ()
    fallback = state_store(root, environ)
    return fallback, (f"traces go to {fallback}, because {usual} {reason}",)


def why_not_writable(store: Path) -> str:
    """Empty where ``store`` can be written to or made, else what is in the way."""
    folder = store
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        return f"is not a folder ({folder} is a file)"
    try:
        read_only = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError as error:
        return f"cannot be used: {error.strerror}"
    if read_only:
        return "is on a read-only file system"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "is not writable"
    return ""


def create_store(store: Path) -> None:
    """Make the folder, with a ``.gitignore`` that keeps all of it out of git.

    Raises OSError: who wants to record there has to know.
    """
    (store / "segments").mkdir(parents=True, exist_ok=True)
    try:
        with open(store / ".gitignore", "x", encoding="utf-8") as ignore:
            ignore.write("*\n")
    except FileExistsError:
        pass


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")  # it was deleted under the program


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _never_roots(
    environ: Mapping[str, str],
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Folders that are no root themselves, and those that have none below."""
    home = environ.get("HOME") or os.path.expanduser("~")
    exact = (Path(os.path.abspath(home)), _real(Path(home)))
    prefixes = {Path(sys.prefix), _real(Path(sys.prefix))}
    return exact, tuple(prefixes)


def _may_be_root(
    folder: Path, never: tuple[tuple[Path, ...], tuple[Path, ...]]
) -> bool:
    exact, prefixes = never
    if folder == folder.parent or folder in exact:
        return False
    return not any(folder.is_relative_to(prefix) for prefix in prefixes)


def _marker_in(folder: Path) -> str:
    for marker in MARKERS:
        if os.path.exists(folder / marker):
            return marker
    return ""


def standard_library() -> tuple[Path, ...]:
    """The folders of the standard library, as they are and as they resolve."""
    found: dict[Path, None] = {}
    # sysconfig would know as well, but brings its build data into the program.
    library = Path(os.__file__).parent
    found[_normal(library)] = None
    found[_real(library)] = None
    return tuple(found)


def editable_sources(path: Iterable[str]) -> tuple[Path, ...]:
    """The source folders of the editable installs found in ``path``'s site folders."""
    found: dict[Path, None] = {}
    for text in path:
        site = Path(text)
        if site.name in SITE_NAMES:
            for source in _sources_in(site):
                if not set(source.parts) & SITE_NAMES and source != source.parent:
                    found[source] = None
    return tuple(found)


def _sources_in(site: Path) -> Iterator[Path]:
    try:
        names = sorted(entry.name for entry in os.scandir(site))
    except OSError:
        return
    for name in names:
        if name.endswith(".pth"):
            yield from _sources_of_pth(site, _read(site / name))
        elif name.endswith(".dist-info"):
            yield from _sources_of_direct_url(_read(site / name / "direct_url.json"))
        elif name.endswith(".egg-link"):
            yield from _existing(site, _read(site / name).splitlines()[:1])


def _sources_of_pth(site: Path, text: str) -> Iterator[Path]:
    for line in text.splitlines():
        line = line.strip()
        if line.startswith(("import ", "import\t")):
            # `import __editable___NAME_finder; …`: the folders are in its MAPPING.
            module = line.split(";")[0].split()[1]
            if module.startswith("__editable__"):
                yield from _sources_of_finder(_read(site / f"{module}.py"))
        elif line and not line.startswith("#"):
            yield from _existing(site, [line])


def _sources_of_finder(text: str) -> Iterator[Path]:
    import ast  # noqa: PLC0415 - few programs have such an install

    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in body:
        targets: Sequence[ast.expr] = ()
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Assign):
            targets = node.targets
        else:
            continue
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        if "MAPPING" not in names or node.value is None:
            continue
        try:
            mapping = ast.literal_eval(node.value)
        except (ValueError, TypeError):
            continue
        if isinstance(mapping, dict):
            for value in mapping.values():
                if isinstance(value, str):
                    yield from _existing(Path("/"), [value])


def _sources_of_direct_url(text: str) -> Iterator[Path]:
    try:
        data = json.loads(text) if text else {}
    except ValueError:
        return
    if not isinstance(data, dict):
        return
    info = data.get("dir_info")
    url = data.get("url")
    if isinstance(info, dict) and info.get("editable") and isinstance(url, str):
        from urllib.parse import unquote, urlparse  # noqa: PLC0415 - as above

        parsed = urlparse(url)
        if parsed.scheme == "file":
            yield from _existing(Path("/"), [unquote(parsed.path)])


def _existing(base: Path, texts: Iterable[str]) -> Iterator[Path]:
    for text in texts:
        try:
            folder = _normal(base / text.strip())
            if not text.strip() or not folder.exists():
                continue
        except (OSError, ValueError):
            continue
        yield folder
        if _real(folder) != folder:
            yield _real(folder)


def _read(path: Path) -> str:
    """The text of a small file; empty where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(_FILE_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
