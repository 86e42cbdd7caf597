"""Templates of Jinja2.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Kind, Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

TEMPLATE = Kind("template", "TEMPLATE", "purple", "{name}")
_NAMES_MOST = 32


class Jinja(Plugin):
    """A template is rendered; what it includes is part of that."""

    kind = TEMPLATE

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None of ``render`` where it runs ``render_async``, and for its like."""
        back = frame.f_back
        if back is not None and back.f_code.co_filename == frame.f_code.co_filename:
            return None
        template = vars(local(frame, "self"))
        waits = vars(template["environment"]).get("is_async") is True
        if waits and not frame.f_code.co_name.endswith("_async"):
            return None
        fields: dict[str, Any] = {
            "name": template.get("name") or "<string>",
            "engine": "jinja2",
        }
        given = local(frame, "args") or ()
        names = list(given[0]) if given and type(given[0]) is dict else []
        names += list(local(frame, "kwargs") or ())
        fields["context"] = [
            name for name in names[:_NAMES_MOST] if isinstance(name, str)
        ]
        return fields

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any] | None:
        """There is the text."""
        return {"characters": len(value)} if isinstance(value, str) else None
