"""Django's caches in real servers are told as the one in memory is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("django")

from tests.integration.plugins.recording import record

PROGRAM = """
    import json, os
    import django
    from django.conf import settings
    settings.configure(CACHES={"default": json.loads(os.environ["CACHE"])})
    django.setup()
    from django.core.cache import cache

    def main():
        cache.clear()
        print(cache.get("a"), cache.set("a", "value-in-cache", 60), cache.get("a"))
        print(cache.get_many(["a", "b"]), cache.get_or_set("c", lambda: 3))
        print(cache.add("a", 1), cache.incr("c"), cache.delete("token:ab12cd34"))
    main()
"""
TOLD = [
    "get a · hit: False",
    "set a",
    "get a · hit: True",
    "get_many ['a', 'b'] · found: 1 of 2",
    "get c · hit: False",
    "add c",
    "get c",
    "add a",
    "incr c",
    "delete token:***",
]


@pytest.mark.parametrize(
    ("server", "backend"), [("redis", "RedisCache"), ("memcached", "PyMemcacheCache")]
)
@pytest.mark.parametrize("core", ["c", "python"])
def test_each_operation_has_its_key_and_hit(
    core, server, backend, request, tmp_path: Path
) -> None:
    pytest.importorskip({"redis": "redis", "memcached": "pymemcache"}[server])
    told = request.getfixturevalue(f"{server}_server").shop_environment()
    cache = {
        "BACKEND": f"django.core.cache.backends.{server}.{backend}",
        "LOCATION": told["SHOP_CACHE_LOCATION"],
        "KEY_PREFIX": tmp_path.name,
    }
    recorded = record(tmp_path, PROGRAM, core=core, env={"CACHE": json.dumps(cache)})
    found = [text for text in recorded.summaries("cache") if "clear" not in text]
    assert found == TOLD
    assert {at["backend"] for at in recorded.fields("cache")} == {backend}
    assert "value-in-cache" not in str(recorded.fields("cache"))
