"""Where the program is: its root, its source folders, what is not its own, its store.

Nothing of the program is imported to find out; editable installs are read from the
files that pip left (``*.pth``, ``direct_url.json``, the ``__editable__`` finders).

Threads: any. Owns: nothing.
Fails: never, but for what makes or requires a store; what cannot be read is as if it
were absent, and a store that had to move says so in ``Project.notes``.
"""

from __future__ import annotations

import os
import sys

from kolo_c.config import config_folder, plain
from kolo_c.errors import TracerError
from kolo_c.frozen import Frozen
from kolo_c.store.locate import SEGMENTS_NAME, is_linked, state_store
from kolo_c.store.private import LINKED, make_file, make_folder, refuse_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kolo_c.config import AnyPath, Config

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
_ANY_WRITES = 0o222
_READ_ONLY = getattr(os, "ST_RDONLY", 1)  # PyPy has no such name


class Project(Frozen):
    """What the filter and the session need to know of the program's place.

    Folders are texts: pathlib costs 2.5 ms, a quarter of python's own start.
    """

    root: str
    reason: str
    """Why this is the root, for instance ``pyproject.toml is in it``."""
    cwd: str
    """Where the program started: relative file names count from here."""
    sources: tuple[str, ...]
    """Source folders of editable installs."""
    stdlib: tuple[str, ...]
    store: str
    """The ``.kolo_c`` folder that traces go to. It may not exist yet."""
    notes: tuple[str, ...] = ()
    """What the person should be told, for instance that the store had to move."""


def find_project(
    start: AnyPath | None = None,
    *,
    cwd: AnyPath | None = None,
    environ: Mapping[str, str] | None = None,
    path: Sequence[str] | None = None,
) -> Project:
    """Find the project of a script's folder, or of the working directory.

    ``path`` is where to look for installed packages: ``sys.path`` if not given.
    """
    environ = os.environ if environ is None else environ
    cwd = plain(os.path.join(_working_directory(), cwd or ""))
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
    start: AnyPath | None, *, cwd: AnyPath, environ: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """The nearest folder with a marker at or above ``start``, and why it is that one.

    A symlinked script is searched from where the link is, then from where it leads.
    """
    never = _never_roots(os.environ if environ is None else environ)
    cwd = os.fspath(cwd)
    if start is None:
        places = [cwd]
    else:
        started = os.path.join(cwd, start)
        places = [os.path.normpath(started), os.path.realpath(started)]
    for place in dict.fromkeys(places):
        for folder in _upwards(place):
            if _may_be_root(folder, never):
                marker = _marker_in(folder)
                if marker:
                    return folder, f"{marker} is in it"
    return cwd, f"the working directory: no {', '.join(MARKERS[:3])}, … found above"


def choose_store(
    root: AnyPath, environ: Mapping[str, str]
) -> tuple[str, tuple[str, ...]]:
    """The ``.kolo_c`` for ``root``, and what to tell where it is not the usual one."""
    usual = config_folder(root, environ)
    reason = why_not_writable(usual)
    if not reason:
        return usual, ()
    fallback = state_store(root, environ)
    other = why_not_writable(fallback)
    if other:
        return usual, (f"{usual} {reason}, and {fallback} {other}",)
    return fallback, (f"traces go to {fallback}, because {usual} {reason}",)


def why_not_writable(store: AnyPath) -> str:
    """Empty where ``store`` can be written to or made, else what is in the way."""
    if is_linked(os.fspath(store)):
        return f"{LINKED}, or has one for its segments"
    folder = next(
        (each for each in _upwards(os.fspath(store)) if os.path.lexists(each)), "/"
    )
    if not os.path.isdir(folder):
        return f"is not a folder ({folder} is a file)"
    try:
        system = os.statvfs(folder)
        # That of /proc and /sys says yes to root, and makes nothing.
        keeps_none = not system.f_blocks and not os.stat(folder).st_mode & _ANY_WRITES
    except OSError as error:
        return f"cannot be used: {error.strerror}"
    if system.f_flag & _READ_ONLY:
        return "is on a read-only file system"
    if keeps_none:
        return "is on a file system that keeps no files"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "is not writable"
    return ""


def require_writable(store: AnyPath) -> None:
    """Raise where ``store`` can neither be written to nor made.

    For a session that makes it later: that fails in the middle of the program, to whom
    nothing is said.
    """
    reason = why_not_writable(store)
    if reason:
        raise TracerError(
            f"{os.fspath(store)} {reason}",
            "Make it writable, or set KOLO_C_PATH to a directory that is.",
        )


def keep_bounds(store: str, config: Config, core: str) -> bool:
    """Those of the store, at once, or (True) by the writer's thread: it takes long."""
    from kolo_c.store import bounds  # noqa: PLC0415 - not for each

    most, days = config.max_bytes, config.keep_days
    count = bounds.MOST_AT_START if core == "c" else None
    return bounds.keep_within_bounds(store, most, days, most=count)


def note_bounds(store: str, config: Config, written: int, kept: bool) -> None:
    """For the next one: so many bytes came, or the bounds were ``kept`` just now."""
    if written > config.max_bytes // 100:
        from kolo_c.store import bounds  # noqa: PLC0415 - not for each

        bounds.note_written(store, written, config.max_bytes)
    elif kept:
        from kolo_c.store import bounds  # noqa: PLC0415 - not for each

        bounds.note_applied(store, config.max_bytes, config.keep_days)


def create_store(store: AnyPath) -> None:
    """Make the folder, with a ``.gitignore`` that keeps all of it out of git.

    Raises OSError: who wants to record there has to know.
    """
    make_folder(os.path.join(store, SEGMENTS_NAME))
    refuse_link(store)
    refuse_link(os.path.join(store, SEGMENTS_NAME))
    try:
        ignore = make_file(os.path.join(store, ".gitignore"))
    except FileExistsError:
        return
    try:
        os.write(ignore, b"*\n")
    finally:
        os.close(ignore)


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"  # it was deleted under the program


def _upwards(folder: str) -> Iterator[str]:
    """The folder and those that it is in, up to the top."""
    above = os.path.dirname(folder)
    while folder != above:
        yield folder
        folder, above = above, os.path.dirname(above)
    yield folder


def _never_roots(environ: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """Folders that are no root themselves, and those that have none below."""
    home = environ.get("HOME") or os.path.expanduser("~")
    exact = {os.path.abspath(home), os.path.realpath(home)}
    return exact, {plain(sys.prefix), os.path.realpath(sys.prefix)}


def _may_be_root(folder: str, never: tuple[set[str], set[str]]) -> bool:
    exact, prefixes = never
    if folder == os.path.dirname(folder) or folder in exact:
        return False
    return not any(
        folder == prefix or folder.startswith(prefix.rstrip("/") + "/")
        for prefix in prefixes
    )


def _marker_in(folder: str) -> str:
    for marker in MARKERS:
        if os.path.exists(os.path.join(folder, marker)):
            return marker
    return ""


def standard_library() -> tuple[str, ...]:
    """The folders of the standard library, as they are and as they resolve."""
    # sysconfig would know as well, but brings its build data into the program.
    library = os.path.dirname(os.__file__)
    return tuple(dict.fromkeys((os.path.normpath(library), os.path.realpath(library))))


def editable_sources(path: Iterable[str]) -> tuple[str, ...]:
    """The source folders of the editable installs found in ``path``'s site folders."""
    found: dict[str, None] = {}
    for text in path:
        site = plain(text)
        if os.path.basename(site) in SITE_NAMES:
            for source in _sources_in(site):
                if not set(source.split("/")) & SITE_NAMES and source != "/":
                    found[source] = None
    return tuple(found)


def _sources_in(site: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(site))
    except OSError:
        return
    for name in names:
        if name.endswith(".pth"):
            yield from _sources_of_pth(site, _read(f"{site}/{name}"))
        elif name.endswith(".dist-info"):
            yield from _sources_of_direct_url(_read(f"{site}/{name}/direct_url.json"))
        elif name.endswith(".egg-link"):
            yield from _existing(site, _read(f"{site}/{name}").splitlines()[:1])


def _sources_of_pth(site: str, text: str) -> Iterator[str]:
    for line in text.splitlines():
        line = line.strip()
        if line.startswith(("import ", "import\t")):
            # `import __editable___NAME_finder; …`: the folders are in its MAPPING.
            module = line.split(";")[0].split()[1]
            if module.startswith("__editable__"):
                yield from _sources_of_finder(_read(f"{site}/{module}.py"))
        elif line and not line.startswith("#"):
            yield from _existing(site, [line])


def _sources_of_finder(text: str) -> Iterator[str]:
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
                    yield from _existing("/", [value])


def _sources_of_direct_url(text: str) -> Iterator[str]:
    # Most have none, and of those that have one most are not editable.
    if '"editable"' not in text:
        return
    _, is_file, rest = text.partition('"url": "file://')
    path = rest.partition('"')[0]
    if is_file and '"editable": true' in text and _is_plain(path):
        # As pip writes nearly all of them; json and urllib.parse cost 5 ms.
        yield from _existing("/", [path])
        return
    import json  # noqa: PLC0415 - see above

    try:
        data = json.loads(text)
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
            yield from _existing("/", [unquote(parsed.path)])


def _is_plain(path: str) -> bool:
    """Whether a path in a URL in a JSON text stands there as it is."""
    return path.startswith("/") and path.isascii() and not set(path) & set("%\\?#;")


def _existing(base: str, texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        folder = os.path.normpath(os.path.join(base, text.strip()))
        if not text.strip() or not os.path.exists(folder):
            continue
        yield folder
        real = os.path.realpath(folder)
        if real != folder:
            yield real


def _read(path: str) -> str:
    """The text of a small file; empty where there is none."""
    # Asking costs a tenth of an exception, and most packages have no such file.
    if not os.access(path, os.F_OK):
        return ""
    try:
        # As open(), which has a buffer of its own for each of them.
        file = os.open(path, os.O_RDONLY)
        try:
            most = min(os.fstat(file).st_size, _FILE_MOST_BYTES)
            return os.read(file, most).decode("utf-8", "replace")
        finally:
            os.close(file)
    except OSError:
        return ""
