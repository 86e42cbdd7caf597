"""Which built-in plugins there are: what each watches, without importing it.

Every start passes here; a plugin's own module is imported when the program uses what it
watches.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

BUILTIN: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    # Django; what is first comes first where two watch the same.
    (
        "django",
        "django:Request",
        (
            "django.core.handlers.base:BaseHandler.get_response",
            "django.core.handlers.base:BaseHandler.get_response_async",
        ),
        (),
    ),
    (
        "django-unrecorded",
        "django:Unrecorded",
        (
            "django.core.handlers.base:BaseHandler.get_response",
            "django.core.handlers.base:BaseHandler.get_response_async",
        ),
        (),
    ),
    (
        "django-exception",
        "django:Failure",
        (
            "django.core.handlers.exception:response_for_exception",
            "django.core.handlers.base:BaseHandler.process_exception_by_middleware",
        ),
        (),
    ),
    (
        "django-body",
        "django_bodies:BodyRead",
        (
            "django.http.request:HttpRequest.read",
            "django.http.request:HttpRequest.readline",
        ),
        (),
    ),
    (
        "django-stream",
        "django_streams:StreamClosed",
        ("django.http.response:HttpResponseBase.close",),
        (),
    ),
    # unittest
    ("unittest", "tests:UnitTest", ("unittest.case:TestCase.run",), ()),
    # logs.py
    ("logging", "logs:Log", ("logging:Logger.callHandlers",), ()),
    (
        "warnings",
        "logs:Warned",
        ("warnings:_showwarnmsg", "_py_warnings:_showwarnmsg"),
        (),
    ),
)
"""(name, MODULE:CLASS within this package, watch, modules)"""
