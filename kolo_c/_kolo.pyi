"""The extension module: what the C core offers to ``kolo_c``. See src/module.c."""

from collections.abc import Callable
from contextvars import ContextVar
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
        decide: Callable[[CodeType, str, str | None, str], bool | dict[str, Any]],
        decide_file: Callable[[str], bool | None],
        rules: dict[str, Any],
        mask_words: tuple[str, ...],
        mask_exceptions: tuple[str, ...],
        scope_variable: ContextVar[int],
        open_boundary: Callable[[CodeType], int],
        close_boundary: Callable[[int], None],
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
    ) -> int: ...
    def end_trace(
        self, number: int, cause: str, name: str, attributes: str
    ) -> tuple[bool, str] | None: ...
    def keep_code(self, code: CodeType, source: str | None) -> None: ...
    def region_begin(self, name: str, values: dict[str, Any]) -> int: ...
    def region_end(self, region: int, exception: BaseException | None) -> bool: ...
    def note(self, text: str, values: dict[str, Any]) -> bool: ...
    def resolve(self, exception: BaseException) -> None: ...
    def flush(self, timeout: float) -> bool: ...
    def close(self, cause: str, timeout: float) -> None: ...
    def forget_verdicts(self) -> None: ...
    def stats(self) -> dict[str, Any]: ...

def register_profiler(session: Session, replace: bool = False) -> None: ...
def unregister_profiler(session: Session) -> None: ...
def register_noop_profiler() -> None: ...
def unregister_noop_profiler() -> None: ...
def active_profiler() -> str | None: ...
def zstd_decompress(data: bytes, size: int) -> bytes: ...
def mask_text(text: str) -> str: ...
def recover(
    map_path: str, schema: str, schema_version: int, compress: int
) -> dict[str, int]: ...
def clock() -> dict[str, Any]: ...
