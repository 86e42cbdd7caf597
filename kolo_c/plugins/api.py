"""``kolo_c.plugin``: a plugin from within a program.

    @kolo_c.plugin
    class Payment(kolo_c.Plugin):
        watch = "shop.payments:Gateway.charge"
        ...

Threads: any. Owns: nothing. Fails: PluginError for what is no plugin.
"""

from __future__ import annotations

from kolo_c.plugins.registry import CODE_PLUGINS
from kolo_c.plugins.spec import compile_plugin
from kolo_c.scope import active_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    _Source = TypeVar("_Source")


def plugin(source: _Source) -> _Source:
    """Use a plugin in this process: a class, an object, or a dict with its names.

    It holds for the session that runs, and for those to come. Raises KoloError where
    it is no plugin, and says why.

    >>> import kolo_c
    >>> _ = kolo_c.plugin({"name": "mail", "watch": "smtplib:SMTP.sendmail"})
    >>> kolo_c.plugin({"name": "mail"})
    Traceback (most recent call last):
    ...
    kolo_c.errors.PluginError: the plugin mail has no watch
    docs/howto/plugins.md has examples of each form.
    """
    compile_plugin(source)
    CODE_PLUGINS.append(source)
    session = active_session()
    if session is not None:
        session.plugins.add(source)
        session.native.forget_verdicts()
    return source
