"""Which plugins a session has, and what the core is told of them.

Built-in ones are imported when something that they watch is used; those of other
packages (entry points ``kolo_c.plugins``), of the setting ``plugins`` and of
``kolo_c.plugin`` when the session starts.

Threads: any, under the GIL. Owns: the plugins of one session; what they installed.
Fails: a plugin that is none is left out, and ``problems`` says why; ``add`` raises
PluginError.
"""

from __future__ import annotations

import sys

from kolo_c.errors import KoloError, PluginError
from kolo_c.plugins.builtin.table import BUILTIN
from kolo_c.plugins.spec import LIMITS, Compiled, compile_plugin, parse_watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType
    from typing import Any

    from kolo_c.plugins.spec import Kind

    _Line = tuple[str, str, tuple[str, ...], tuple[str, ...]]

GROUP = "kolo_c.plugins"
_BUILTIN_PACKAGE = "kolo_c.plugins.builtin"

_CARRY = {"work-submitted": 1, "work-run": 2}
"""Built-in ones that the C core has handlers of its own for (src/trace/carry.h)."""

CODE_PLUGINS: list[Any] = []
"""What ``kolo_c.plugin`` was given, for sessions to come."""
_loaded: dict[str, Compiled] = {}
"""Built-in ones by name: one of each in a process."""


class Registry:
    """The plugins of one session."""

    def __init__(self, native: Any, chosen: Iterable[str] = ()) -> None:
        """``chosen`` is the setting: MODULE:NAME to add one, -NAME to leave one out,
        -BEGINNING* to leave out several."""
        self.problems: list[str] = []
        self._native = native
        self._chosen = [text for text in chosen if not text.startswith("-")]
        self._left_out = {text[1:]: False for text in chosen if text.startswith("-")}
        """Whether there was one of this name."""
        self._by_index: dict[int, Compiled] = {}
        self._lines: dict[int, tuple[_Line, bool]] = {}
        """Of built-in ones: the table's line, and whether it is for installing."""
        self.kinds: dict[str, int] = {}
        """By name, the numbers under which records of kinds are emitted."""
        self._installed: list[Compiled] = []
        self._reported: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Tell the core which plugins there are."""
        for line in BUILTIN:
            if not self._is_left_out(line[0]):
                self._add_builtin(line)
        for source, what in self._others():
            try:
                self.add(source())
            except KoloError as error:
                self.problems.append(error.message)
            except Exception as error:  # another package's code
                self.problems.append(
                    f"the plugin {what} cannot be imported: "
                    f"{type(error).__name__}: {error}"
                )

    def stop(self) -> None:
        """Remove what was installed."""
        while self._installed:
            plugin = self._installed.pop()
            if plugin.remove is not None:
                try:
                    plugin.remove()
                except Exception as error:
                    self.report(plugin, "remove()", error)

    def add(self, source: Any) -> None:
        """Another plugin, from now on. PluginError where it is none."""
        plugin = compile_plugin(source)
        if self._is_left_out(plugin.name):
            return
        if plugin.watch:
            index = self._native.add_plugin(plugin.name)
            self._define(index, plugin)
            for module, qualname, path in plugin.watch:
                self._native.watch(index, module, qualname, path)
        if plugin.modules:
            self._install_when_imported(plugin.name, plugin.modules, lambda: plugin)

    def load(self, index: int) -> None:
        """The core has met something that built-in plugin ``index`` watches."""
        line, installs = self._lines[index]
        plugin = _load_builtin(line)
        if installs:
            self._define_installer(index, plugin)
        else:
            self._define(index, plugin, _CARRY.get(plugin.name, 0))

    def plugin(self, index: int) -> Compiled:
        """The plugin with this number."""
        return self._by_index[index]

    def index_of(self, kind: Kind) -> int:
        """The number under which records of ``kind`` are emitted."""
        index = self.kinds.get(kind.name)
        if index is None:
            index = int(self._native.add_plugin(kind.name))
            self._native.define_plugin(
                index, kind.wire(), None, None, None, False, LIMITS
            )
            self.kinds[kind.name] = index
        return index

    def report(self, plugin: Compiled, what: str, error: Exception) -> None:
        """``plugin`` failed in its handler ``what``: that is said once."""
        if (plugin.name, what) not in self._reported:
            self._reported.add((plugin.name, what))
            self.problems.append(
                f"the plugin {plugin.name} failed: {what}: "
                f"{type(error).__name__}: {error}"
            )

    def costs(self) -> dict[str, list[int]]:
        """By name of those that were called: calls, nanoseconds, errors."""
        found: dict[str, list[int]] = {}
        for name, calls, nanoseconds, errors, _ in self._native.plugin_stats():
            if calls and (nanoseconds or errors):
                row = found.setdefault(name, [0, 0, 0])
                for at, value in enumerate((calls, nanoseconds, errors)):
                    row[at] += value
        return found

    def all_problems(self) -> list[str]:
        """What went wrong with plugins, in words."""
        found = list(self.problems)
        found += [
            f'plugins has "-{name}", but there is no plugin of this name'
            for name, is_there in self._left_out.items()
            if not is_there
        ]
        for name, _, _, errors, words in self._native.plugin_stats():
            if errors:
                times = "" if errors == 1 else f" ({errors} times)"
                found.append(f"the plugin {name} failed{times}: {words}")
        return found

    # ---- one plugin ----

    def _is_left_out(self, name: str) -> bool:
        for left_out in self._left_out:
            if name == left_out or (
                left_out.endswith("*") and name.startswith(left_out[:-1])
            ):
                self._left_out[left_out] = True
                return True
        return False

    def _add_builtin(self, line: _Line) -> None:
        name, _, watch, modules = line
        if watch:
            index = self._native.add_plugin(name)
            self._lines[index] = (line, False)
            for text in watch:
                self._native.watch(index, *parse_watch(name, text))
        if modules:
            self._install_when_imported(
                name, modules, _later(_load_builtin, line), line
            )

    def _define(self, index: int, plugin: Compiled, carry: int = 0) -> None:
        self._by_index[index] = plugin
        kind = plugin.kind
        self._native.define_plugin(
            index,
            None if kind is None else kind.wire(),
            plugin.when,
            plugin.start,
            plugin.finish,
            2 if plugin.apart else int(plugin.boundary),
            plugin.limits,
            carry,
            plugin.meets,
            plugin.ignored,
            (plugin, plugin.attributes, plugin.holds) if plugin.is_simple else None,
        )

    def _install_when_imported(
        self,
        name: str,
        modules: tuple[str, ...],
        load: Callable[[], Compiled],
        line: _Line | None = None,
    ) -> None:
        if any(module in sys.modules for module in modules):
            try:
                self._install(load())
            except KoloError as error:
                self.problems.append(error.message)
            return
        index = self._native.add_plugin(name)
        if line is None:
            self._define_installer(index, load())
        else:
            self._lines[index] = (line, True)
        for module in modules:
            self._native.watch(index, module, "<module>", None)

    def _define_installer(self, index: int, plugin: Compiled) -> None:
        def finish(frame: FrameType, value: Any, exception: Any, started: Any) -> None:
            if exception is None:
                self._install(plugin)

        self._native.define_plugin(index, None, None, None, finish, False, LIMITS)

    def _install(self, plugin: Compiled) -> None:
        if plugin in self._installed or plugin.install is None:
            return
        try:
            self.problems.extend(plugin.install() or ())
            self._installed.append(plugin)
        except Exception as error:
            self.report(plugin, "install()", error)

    def _others(self) -> Iterable[tuple[Callable[[], Any], str]]:
        """How to get each of those that are not built in, and its name."""
        for entry in _entry_points():
            if not self._is_left_out(entry.name):
                yield entry.load, f"{entry.name} ({entry.value})"
        for text in self._chosen:
            yield _later(_import, text), text
        for source in list(CODE_PLUGINS):
            yield _later(_itself, source), "of kolo_c.plugin"


def _later(function: Callable[[Any], Any], argument: Any) -> Callable[[], Any]:
    """As functools.partial, which takes 2 ms to import."""
    return lambda: function(argument)


def _import_module(name: str) -> Any:
    """As importlib has it, which takes 1 ms to import itself."""
    __import__(name)
    return sys.modules[name]


def _load_builtin(line: _Line) -> Compiled:
    name, target, watch, modules = line
    plugin = _loaded.get(name)
    if plugin is None:
        module, _, attribute = target.partition(":")
        found = getattr(_import_module(f"{_BUILTIN_PACKAGE}.{module}"), attribute)
        plugin = compile_plugin(
            found,
            name=name,
            watch=watch,
            modules=modules,
            meets=getattr(found, "meets", None),
            ignored=getattr(found, "ignored", None),
        )
        plugin = _loaded.setdefault(name, plugin)
    return plugin


def _itself(source: Any) -> Any:
    return source


def _import(text: str) -> Any:
    module, colon, name = text.partition(":")
    if not colon or not module or not name:
        raise PluginError(
            f"plugins has {text!r}, which is not MODULE:NAME",
            'Write plugins = ["shop.tracing:Payment"].',
        )
    found: Any = _import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _entry_points() -> Iterable[Any]:
    """Those of installed packages; without importlib.metadata where there are none."""
    if not _has_entry_points():
        return ()
    from importlib.metadata import entry_points  # noqa: PLC0415 - 15 ms

    return entry_points(group=GROUP)


def _has_entry_points() -> bool:
    import os  # noqa: PLC0415 - kept as the program's tests may have left it

    group = f"[{GROUP}]".encode()
    library = os.path.dirname(os.__file__)  # whose folders are long, and have none
    for folder in sys.path:
        if folder == library or folder.startswith(f"{library}/lib-dynload"):
            continue
        try:
            names = os.listdir(folder or os.curdir)
        except OSError:
            continue
        for name in names:
            if not name.endswith((".dist-info", ".egg-info")):
                continue
            try:
                with open(f"{folder}/{name}/entry_points.txt", "rb") as file:
                    if group in file.read():
                        return True
            except OSError:
                continue
    return False
