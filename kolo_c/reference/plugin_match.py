"""Which plugins watch a code object. Twin of src/trace/plugin_match.c.

Threads: any, without the session's lock: built-in plugins are imported.
Owns: the plugins of a tracer, and what they watch.
Fails: never; a plugin that cannot be had watches nothing.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from kolo_c.reference.tracer import Tracer

PLUGINS_MOST = 8
"""That watch one code object."""
_GLOB = frozenset("*?[")


class Plugin:
    """One of a session's."""

    def __init__(self, index: int, name: str) -> None:
        self.index = index
        self.name = name
        self.kind: tuple[str, str, str, str] | None = None
        self.kind_number = 0
        """Of its definition; 0: not written yet."""
        self.when: Callable[..., Any] | None = None
        self.start: Callable[..., Any] | None = None
        self.finish: Callable[..., Any] | None = None
        self.meets: Callable[..., Any] | None = None
        """Called once with each code object that it watches."""
        self.ignored: set[Any] | None = None
        """Functions: what returns none but these is not shown to finish()."""
        self.loaded = False
        """Handlers are known: built-in ones are imported at a first match."""
        self.refused = False
        self.boundary = False
        self.apart = False
        self.options: Any = None
        self.call_count = 0
        self.handler_ns = 0
        self.error_count = 0
        self.error_text = ""


class Rule:
    """One line of a plugin's ``watch``."""

    __slots__ = ("module", "path", "plugin", "qualname")

    def __init__(
        self,
        plugin: Plugin,
        module: str | None,
        qualname: str | None,
        path: str | None,
    ) -> None:
        self.plugin = plugin
        self.module = module
        self.qualname = qualname
        self.path = path


class Plugins:
    """Those of a tracer."""

    def __init__(self) -> None:
        self.all: list[Plugin] = []
        self.by_name: dict[str, list[Rule]] = {}
        """Rules whose qualified name ends in a plain name, by that."""
        self.others: list[Rule] = []
        self.load: Callable[[int], None] | None = None

    def clear(self) -> None:
        """Let go of the handlers, which lead back to the session."""
        for plugin in self.all:
            plugin.when = plugin.start = plugin.finish = plugin.meets = None
            plugin.ignored = None
        self.load = None

    def watch(self, rule: Rule) -> None:
        """Another line."""
        name = rule.qualname.rpartition(".")[2] if rule.qualname else ""
        if name and not _GLOB & set(name):
            self.by_name.setdefault(name, []).append(rule)
        else:
            self.others.append(rule)


def _fits(pattern: str | None, text: str | None) -> bool:
    if pattern is None:
        return True
    if text is None:
        return False
    if _GLOB & set(pattern):
        return fnmatchcase(text, pattern)
    return pattern == text


def match(
    tracer: Tracer, code: CodeType, module: str | None, qualname: str
) -> tuple[Plugin, ...]:
    """What watches ``code``."""
    plugins = tracer.plugins
    rules = [*plugins.by_name.get(code.co_name, ()), *plugins.others]
    found = {
        rule.plugin.index: rule.plugin
        for rule in rules
        if not rule.plugin.refused
        and _fits(rule.module, module)
        and _fits(rule.qualname, qualname)
        and _fits(rule.path, code.co_filename)
    }
    matching = [found[index] for index in sorted(found)]
    chosen, left_out = matching[:PLUGINS_MOST], matching[PLUGINS_MOST:]
    for plugin in left_out:
        from kolo_c.reference.plugin import failed  # noqa: PLC0415 - a circle

        error = RuntimeError(f"{PLUGINS_MOST} plugins watch {qualname} already")
        failed(plugin, "watching", error)
    return tuple(
        plugin for plugin in chosen if _load(plugins, plugin) and _meet(plugin, code)
    )


def _meet(plugin: Plugin, code: CodeType) -> bool:
    """Show ``code`` to a plugin; whether its calls are to be shown, too."""
    if plugin.meets is None:
        return True
    try:
        plugin.meets(code)
    except BaseException as error:
        from kolo_c.reference.plugin import failed  # noqa: PLC0415 - a circle

        failed(plugin, "meets()", error)
    return bool(plugin.kind or plugin.start or plugin.finish)


def _load(plugins: Plugins, plugin: Plugin) -> bool:
    """Have a built-in plugin imported: the program uses what it watches."""
    if not plugin.loaded and plugins.load is not None:
        try:
            plugins.load(plugin.index)
        except BaseException as error:
            from kolo_c.reference.plugin import failed  # noqa: PLC0415 - a circle

            failed(plugin, "loading it", error)
        plugin.refused = not plugin.loaded
    return plugin.loaded
