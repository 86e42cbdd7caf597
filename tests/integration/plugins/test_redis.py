"""Commands that redis-py sends to a real Redis."""

from __future__ import annotations

import pytest

from tests.integration.plugins.recording import record

pytest.importorskip("redis")

SYNC = """
    import os, redis
    db = redis.Redis.from_url(os.environ["REDIS"])
    secret = os.environ["GIVEN"]
    def run():
        db.set("basket:7", "tea", ex=60)
        print(db.get("basket:7"), db.get("none"))
        db.set("big", b"x" * 5000)
        db.set("django.contrib.sessions.cache" + secret, "1")
        db.set("token:7", secret)
        db.hset("user:7", mapping={"name": "Ann", "password": secret})
        with db.pipeline() as pipe:
            pipe.incr("count").incr("count").get("token:7")
            print(pipe.execute()[:2])
        try:
            db.incr("big")
        except redis.ResponseError as error:
            print(error)
    run()
"""
ASYNC = """
    import asyncio, os, redis.asyncio
    secret = os.environ["GIVEN"]
    async def run():
        async with redis.asyncio.Redis.from_url(os.environ["REDIS"]) as db:
            await db.set("basket:7", "tea", ex=60)
            print(await db.get("basket:7"), await db.get("none"))
            await db.set("big", b"x" * 5000)
            await db.set("django.contrib.sessions.cache" + secret, "1")
            await db.set("token:7", secret)
            await db.hset("user:7", mapping={"name": "Ann", "password": secret})
            async with db.pipeline() as pipe:
                print((await pipe.incr("count").incr("count").get("token:7").execute())[:2])
            try:
                await db.incr("big")
            except redis.ResponseError as error:
                print(error)
    asyncio.run(run())
"""


@pytest.mark.parametrize(
    ("source", "core"), [(SYNC, "c"), (ASYNC, "c"), (ASYNC, "python")]
)
def test_commands_have_their_key_and_small_arguments(
    source, core, redis_server, tmp_path
):
    login = redis_server.login
    url = f"redis://:{login['password']}@{login['host']}:{login['port']}/3"
    env = {"REDIS": url, "GIVEN": "hunter2"}
    reset = "import redis; redis.Redis.from_url(os.environ['REDIS']).flushdb()\n"
    recorded = record(
        tmp_path,
        source.replace("    secret =", f"    {reset}    secret =", 1),
        core=core,
        env=env,
    )
    found = [at for at in recorded.fields("redis") if at["command"] != "FLUSHDB"]
    told = [(at["command"], at.get("key"), at.get("args")) for at in found]
    assert told == [
        ("SET", "basket:7", ["tea", "EX", "60"]),
        ("GET", "basket:7", None),
        ("GET", "none", None),
        ("SET", "big", ["<5000 bytes>"]),
        ("SET", "django.contrib.session***", None),
        ("SET", "token:***", None),
        ("HSET", "user:7", ["name", "Ann", "password", "***"]),
        ("PIPELINE", None, None),
        ("INCRBY", "big", ["1"]),
    ]
    assert found[7]["commands"] == ["INCRBY count", "INCRBY count", "GET token:***"]
    assert recorded.summaries("redis")[-1] == "INCRBY big"
    assert recorded.events("redis")[-1].exception is not None
    assert not recorded.holds("hunter2")
