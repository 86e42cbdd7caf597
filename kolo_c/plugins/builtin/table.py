"""Which built-in plugins there are: what each watches, without importing it.

A plugin's name, and what it watches, stand here alone: its class has neither. Every
start passes here; a plugin's own module is imported when the program uses what it
watches.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.plugins.builtin.table_sql import SQL

BUILTIN: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    # whose what runs elsewhere is
    ("thread-start", "carry:ThreadStart", ("threading:Thread.start",), ()),
    ("thread-run", "carry:ThreadRun", ("threading:Thread._bootstrap_inner",), ()),
    (
        "work-submitted",
        "carry:WorkSubmitted",
        ("concurrent.futures.thread:_WorkItem.__init__",),
        (),
    ),
    ("work-run", "carry:WorkRun", ("concurrent.futures.thread:_WorkItem.run",), ()),
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
        "django-command-name",
        "django_parts:CommandName",
        ("django.core.management.base:BaseCommand.run_from_argv",),
        (),
    ),
    (
        "django-command",
        "django_parts:Command",
        ("django.core.management.base:BaseCommand.execute",),
        (),
    ),
    (
        "django-template",
        "django_parts:Template",
        (
            "django.template.base:Template._render",
            "django.test.utils:instrumented_test_render",
        ),
        (),
    ),
    (
        "django-cache",
        "django_parts:Cache",
        (
            "django.core.cache.backends.*:*Cache.get",
            "django.core.cache.backends.*:*Cache.set",
            "django.core.cache.backends.*:*Cache.add",
            "django.core.cache.backends.*:*Cache.touch",
            "django.core.cache.backends.*:*Cache.delete",
            "django.core.cache.backends.*:*Cache.has_key",
            "django.core.cache.backends.*:*Cache.incr",
            "django.core.cache.backends.*:*Cache.decr",
            "django.core.cache.backends.*:*Cache.get_many",
            "django.core.cache.backends.*:*Cache.set_many",
            "django.core.cache.backends.*:*Cache.delete_many",
            "django.core.cache.backends.*:*Cache.clear",
        ),
        (),
    ),
    (
        "django-email",
        "django_parts:Email",
        ("django.core.mail.message:EmailMessage.send",),
        (),
    ),
    (
        "django-signal",
        "django_signals:Signal",
        ("django.dispatch.dispatcher:Signal._live_receivers",),
        (),
    ),
    (
        "django-secrets",
        "django_bodies:Parsed",
        (
            "django.http.request:HttpRequest._load_post_and_files",
            "django.http.request:HttpRequest.body",
            "rest_framework.request:Request._parse",
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
    (
        "unittest-fixture",
        "tests:Fixture",
        ("unittest.suite:TestSuite._addClassOrModuleLevelException",),
        (),
    ),
    ("tblib", "tests:MadeTraceback", ("tblib:Traceback.as_traceback",), ()),
    # logs.py
    ("logging", "logs:Log", ("logging:Logger.callHandlers",), ()),
    (
        "warnings",
        "logs:Warned",
        ("warnings:_showwarnmsg", "_py_warnings:_showwarnmsg"),
        (),
    ),
    *SQL,
    # http_sync.py
    ("requests", "http_sync:Requests", ("requests.sessions:Session.send",), ()),
    (
        "urllib3",
        "http_sync:Urllib3",
        ("urllib3.connectionpool:HTTPConnectionPool.urlopen",),
        (),
    ),
    (
        "urllib3-read",
        "http_sync:Urllib3Read",
        (
            "urllib3.response:HTTPResponse._fp_read",
            "urllib3.response:HTTPResponse._handle_chunk",
        ),
        (),
    ),
    (
        "urllib3-end",
        "http_sync:Urllib3End",
        (
            "urllib3.response:HTTPResponse.close",
            "urllib3.response:HTTPResponse.release_conn",
        ),
        (),
    ),
    ("urllib", "http_sync:Urllib", ("urllib.request:AbstractHTTPHandler.do_open",), ()),
    (
        "urllib-read",
        "http_sync:UrllibRead",
        (
            "http.client:HTTPResponse.read",
            "http.client:HTTPResponse.read1",
            "http.client:HTTPResponse.readinto",
            "http.client:HTTPResponse.readline",
        ),
        (),
    ),
    ("urllib-end", "http_sync:UrllibEnd", ("http.client:HTTPResponse.close",), ()),
    # http_async.py
    (
        "httpx",
        "http_async:Httpx",
        ("httpx._client:Client.send", "httpx._client:AsyncClient.send"),
        (),
    ),
    ("httpx-read", "http_async:HttpxRead", ("httpx._decoders:ByteChunker.decode",), ()),
    (
        "httpx-end",
        "http_async:HttpxEnd",
        ("httpx._models:Response.close", "httpx._models:Response.aclose"),
        (),
    ),
    ("aiohttp", "http_async:Aiohttp", ("aiohttp.client:ClientSession._request",), ()),
    (
        "aiohttp-read",
        "http_async:AiohttpRead",
        ("aiohttp.streams:StreamReader._read_nowait_chunk",),
        (),
    ),
    (
        "aiohttp-end",
        "http_async:AiohttpEnd",
        (
            "aiohttp.client_reqrep:ClientResponse.close",
            "aiohttp.client_reqrep:ClientResponse.release",
            "aiohttp.client_reqrep:ClientResponse.read",
        ),
        (),
    ),
    # redis_commands.py
    (
        "redis",
        "redis_commands:Redis",
        (
            "redis.client:Redis.execute_command",
            "redis.asyncio.client:Redis.execute_command",
        ),
        (),
    ),
    (
        "redis-pipeline",
        "redis_commands:Pipeline",
        ("redis.client:Pipeline.execute", "redis.asyncio.client:Pipeline.execute"),
        (),
    ),
    # processes.py
    ("subprocess-run", "processes:Run", ("subprocess:run", "subprocess:call"), ()),
    ("subprocess", "processes:Started", ("subprocess:Popen.__init__",), ()),
    (
        "subprocess-exit",
        "processes:Ended",
        (
            "subprocess:Popen._handle_exitstatus",
            "asyncio.base_subprocess:BaseSubprocessTransport._process_exited",
        ),
        (),
    ),
    # jinja.py
    (
        "jinja2",
        "jinja:Jinja",
        (
            "jinja2.environment:Template.render",
            "jinja2.environment:Template.render_async",
            "jinja2.environment:Template.generate",
            "jinja2.environment:Template.generate_async",
        ),
        (),
    ),
    # tasks.py
    (
        "celery-enqueue",
        "tasks:CeleryEnqueue",
        (
            "celery.app.amqp:AMQP._create_task_sender.<locals>.send_task_message",
            "celery.app.amqp:send_task_message",
        ),
        (),
    ),
    (
        "celery",
        "tasks:CeleryTask",
        (
            "celery.app.trace:build_tracer.<locals>.trace_task",
            "celery.app.trace:trace_task",
        ),
        (),
    ),
    ("huey-enqueue", "tasks:HueyEnqueue", ("huey.api:Huey.enqueue",), ()),
    ("huey", "tasks:HueyTask", ("huey.api:Huey._execute",), ()),
    (
        "django-enqueue",
        "tasks:DjangoEnqueue",
        (
            "django.tasks.base:Task.enqueue",
            "django.tasks.base:Task.aenqueue",
            "django_tasks.base:Task.enqueue",
            "django_tasks.base:Task.aenqueue",
        ),
        (),
    ),
    (
        "django-task",
        "tasks:DjangoTask",
        (
            "django.tasks.backends.immediate:ImmediateBackend._execute_task",
            "django_tasks.backends.immediate:ImmediateBackend._execute_task",
            "django_tasks_db.management.commands.db_worker:Worker.run_task",
        ),
        (),
    ),
    (
        "django-task-call",
        "tasks:DjangoCall",
        (
            "django.tasks.base:Task.call",
            "django.tasks.base:Task.acall",
            "django_tasks.base:Task.call",
            "django_tasks.base:Task.acall",
        ),
        (),
    ),
    # http_server.py, http_flask.py, http_starlette.py
    (
        "wsgi",
        "http_server:Wsgi",
        ("kolo_c.integrations.wsgi:KoloCMiddleware._answer",),
        (),
    ),
    (
        "asgi",
        "http_server:Asgi",
        ("kolo_c.integrations.asgi:KoloCMiddleware._answer",),
        (),
    ),
    ("flask", "http_flask:Flask", ("flask.app:Flask.wsgi_app",), ()),
    (
        "werkzeug-response",
        "http_flask:WerkzeugResponse",
        ("werkzeug.wrappers.response:Response.__call__",),
        (),
    ),
    (
        "flask-route",
        "http_flask:FlaskRoute",
        ("flask.app:Flask.full_dispatch_request",),
        (),
    ),
    (
        "flask-secrets",
        "http_flask:FlaskSecrets",
        (
            "werkzeug.wrappers.request:Request._load_form_data",
            "werkzeug.wrappers.request:Request.get_json",
        ),
        (),
    ),
    (
        "flask-exception",
        "http_flask:FlaskFailure",
        ("flask.app:Flask.handle_exception", "flask.app:Flask.handle_user_exception"),
        (),
    ),
    (
        "flask-stream",
        "http_flask:FlaskStream",
        (
            "werkzeug.wsgi:ClosingIterator.__next__",
            "werkzeug.wsgi:ClosingIterator.close",
        ),
        (),
    ),
    (
        "starlette",
        "http_starlette:Starlette",
        ("starlette.applications:Starlette.__call__",),
        (),
    ),
    (
        "starlette-response",
        "http_starlette:StarletteResponse",
        (
            "starlette.responses:Response.__call__",
            "starlette.responses:StreamingResponse.__call__",
            "starlette.responses:FileResponse.__call__",
            "starlette.middleware.base:_StreamingResponse.__call__",
        ),
        (),
    ),
    (
        "starlette-body",
        "http_starlette:StarletteBody",
        (
            "starlette.requests:Request.body",
            "starlette.requests:Request._get_form",
            "starlette.requests:Request.json",
        ),
        (),
    ),
    (
        "starlette-stream",
        "http_starlette:StarletteStream",
        ("starlette.requests:Request.stream",),
        (),
    ),
    (
        "starlette-exception",
        "http_starlette:StarletteFailure",
        (
            "starlette.middleware.errors:ServerErrorMiddleware.error_response",
            "starlette.middleware.errors:ServerErrorMiddleware.debug_response",
        ),
        (),
    ),
    (
        "starlette-background",
        "http_starlette:Background",
        (
            "starlette.background:BackgroundTask.__call__",
            "starlette.background:BackgroundTasks.__call__",
            "fastapi.background:BackgroundTasks.__call__",
        ),
        (),
    ),
)
"""(name, MODULE:CLASS within this package, watch, modules)"""
