"""The extension module: what the C core offers to ``kolo_c``. See src/module.c."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar as ContextVar
from types import CodeType
from typing import Any

sqlite_version: str
zstd_version: str

class Thread:
    """The object of our profile function: the state of one traced thread."""

class Session:
    """A recording session of the C core; ``kolo_c.session`` is its only user."""

    def __init__(
        self,
        *,
        directory: str,
        process_id: str,
        schema: str,
        schema_version: int,
        info: str,
        compress: int,
        segment_bytes: int,
        free_disk_bytes: int,
        max_trace_bytes: int,
        wait_max_ns: int,
        drop: bool,
        decide: Callable[[CodeType, str, str | None, str], int | dict[str, Any]],
        decide_file: Callable[[str], bool | None],
        rules: dict[str, Any],
        mask_words: tuple[str, ...],
        mask_exceptions: tuple[str, ...],
        scope_variable: ContextVar[int],
        open_boundary: Callable[[CodeType, int | None, dict[str, Any] | None], int],
        close_boundary: Callable[[int, dict[str, Any] | None, bool], None],
        skipped: dict[int, object],
        hook: str,
        new_threads: bool,
        caught: bool,
        later: bool,
        load_plugin: Callable[[int], None],
        late_scope: Callable[[int], int],
        thread_begins: Callable[[], None],
        carrying: tuple[dict[int, int], dict[int, int], Callable[[int], None], int],
        simple: tuple[Any, ...] | None,
    ) -> None: ...
    def attach_thread(self, frame: Any, event: str, arg: Any) -> None: ...
    def begin_trace(
        self,
        id: str,
        kind: str,
        name: str,
        parent: str | None,
        attributes: str,
        of_process: bool = False,
        always: bool = False,
        filter_set: int = 0,
        held: bool = False,
    ) -> int: ...
    def end_trace(
        self,
        number: int,
        cause: str,
        name: str,
        attributes: str,
        *,
        stored: bool = True,
    ) -> tuple[bool, str] | None: ...
    def close_trace(self, number: int) -> None: ...
    def default_trace(self, number: int) -> None: ...
    def set_trace(self, number: int, name: str, attributes: str) -> bool: ...
    def add_plugin(self, name: str) -> int: ...
    def define_plugin(
        self,
        index: int,
        kind: tuple[str, str, str, str] | None,
        when: Callable[..., Any] | None,
        start: Callable[..., Any] | None,
        finish: Callable[..., Any] | None,
        boundary: int,
        limits: tuple[int, int, int, int],
        carry: int = 0,
        meets: Callable[..., Any] | None = None,
        ignored: set[Any] | None = None,
        simple: tuple[Any, tuple[str, ...], Callable[..., Any] | None] | None = None,
    ) -> None: ...
    def watch(
        self, index: int, module: str | None, qualname: str | None, path: str | None
    ) -> None: ...
    def plugin_stats(self) -> list[tuple[str, int, int, int, str]]: ...
    def plugin_begin(self, index: int, fields: dict[str, Any]) -> int: ...
    def plugin_end(
        self,
        node: int,
        fields: dict[str, Any] | None,
        exception: BaseException | None,
    ) -> bool: ...
    def plugin_point(self, index: int, fields: dict[str, Any]) -> bool: ...
    def log(self, level: int, logger: str, text: str) -> bool: ...
    def simple_facts(
        self,
        template: str | None,
        name: object,
        known: dict[str, Any],
        names: tuple[str, ...] | None,
        fields: Mapping[str, Any],
    ) -> tuple[str, dict[str, Any], str] | None: ...
    def hides(self, name: str, value: object) -> bool: ...
    def hide_cells(self, name: str, rows: Sequence[object], at: int) -> bool: ...
    def masked(self, text: str) -> str: ...
    def skip_code(self, code: CodeType) -> None: ...
    def keep_bounds(self, max_bytes: int, keep_ns: int, now: bool) -> None: ...
    def keep_code(self, code: CodeType, source: str | None) -> None: ...
    def region_begin(self, name: str, values: dict[str, Any]) -> int: ...
    def region_end(self, region: int, exception: BaseException | None) -> bool: ...
    def scope_changed(self) -> None: ...
    def note(self, text: str, values: dict[str, Any]) -> bool: ...
    def resolve(self, exception: BaseException) -> None: ...
    def when_forked(self, tell: Callable[[], None]) -> None: ...
    def flush(self, timeout: float) -> bool: ...
    def close(self, cause: str, timeout: float) -> None: ...
    def forget_verdicts(self) -> None: ...
    def stats(self) -> dict[str, Any]: ...

class DatabaseError(Exception):
    """SQLite refused."""

    code: int

class Connection:
    """A database, through the copy of SQLite that the writer uses."""

    def __new__(cls, filename_or_uri: str, timeout_ms: int) -> Connection: ...
    def execute(
        self, sql: str, values: Sequence[str | int | float | bytes | None] = (), /
    ) -> list[tuple[Any, ...]]: ...
    def close(self) -> None: ...
    def __enter__(self) -> Connection: ...
    def __exit__(self, *raised: object) -> None: ...

class Scan:
    """A search through the records of blocks; ``kolo_c.store.scan`` uses it."""

    def __new__(cls, *, kinds: int, numbers: bool, functions: bool) -> Scan: ...
    def forget_definitions(self) -> None: ...
    def set_stack(self, calls: list[tuple[int, int]], /) -> None: ...
    def walk(
        self, data: bytes, first_node: int, /
    ) -> tuple[str, bytes, list[bytes], list[tuple[int, bool]], int, int, int]: ...
    def settle(
        self,
        texts: list[int],
        raws: list[int],
        references: list[int],
        wanted: list[int],
        limit: int,
        /,
    ) -> tuple[
        int,
        list[tuple[int, int, int, int, int]],
        list[tuple[int, int, int, int, int]],
    ]: ...

class Fetched:
    """What a cursor has fetched of a statement; kolo_c.plugins.observed uses it."""

    def __new__(
        cls, number: int, scope: int, text: Any, columns: Any, hidden: Any
    ) -> Fetched: ...

class Observed:
    """A function that is watched from outside; kolo_c.plugins.observed uses it."""

    def __new__(
        cls,
        function: Callable[..., Any],
        begin: Callable[..., Any],
        end: Callable[[Any, Any, Any], Any] | None,
        *,
        instead: Callable[..., Any] | None = None,
        told: dict[int, Any] = ...,
        slot: str = ...,
        fetches: int = ...,
        makes: tuple[dict[int, type], str, type | None, int] = ...,
    ) -> Observed: ...
    def __call__(self, *arguments: Any, **keywords: Any) -> Any: ...

def register_profiler(session: Session, replace: bool = False) -> None: ...
def unregister_profiler(session: Session) -> None: ...
def register_noop_profiler() -> None: ...
def unregister_noop_profiler() -> None: ...
def active_profiler() -> str | None: ...
def frame_eval_is_free() -> bool: ...
def zstd_decompress(data: bytes, size: int) -> bytes: ...
def held(owner: object, name: str) -> Any: ...
def frame_local(frame: Any, name: str, default: Any = None) -> Any: ...
def ulid(after_ms: int) -> str: ...
def mask_text(text: str) -> str: ...
def mentions(text: str, words: tuple[str, ...]) -> bool: ...
def recover(
    map_path: str, schema: str, schema_version: int, compress: int
) -> dict[str, int]: ...
def clock() -> dict[str, Any]: ...
def tick(ticking: bool, /) -> None: ...
