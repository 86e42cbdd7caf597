"""The shop within one process: the same answers by the same statements as untraced."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("django")
pytest.importorskip("rest_framework")

import kolo_c
from tests.programs.shop.drive import HERE

ROOT = Path(__file__).parents[3]
ASK = """
import os, sys, json
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
import django
django.setup()
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.core.management import call_command

call_command("migrate", verbosity=0)
from shop.seeding import seed
seed(orders=60, customers=12)

def product(**more):
    found = {"sku": "NEW-1", "name": "thing", "category": "Lamp", "price": "3.50",
             "supplier": "Adler & Co.", "tags": ["red"], "stock": 1}
    return {**found, **more}

client = Client(raise_request_exception=False)
for method, path, data in [
    ("get", "/orders/", None), ("get", "/orders/7/", None),
    ("get", "/reports/customers/", None), ("get", "/accounts/profile/", None),
    ("get", "/accounts/login/", None), ("get", "/catalogue/stock/", None),
    ("get", "/api/products/", None), ("get", "/broken/", None),
    ("post", "/api/products/", product(sku="LAM-1", price="-1")),
    ("post", "/api/products/", product(supplier="nobody", tags=["none"], category=[])),
    ("post", "/api/products/", product()),
    ("post", "/accounts/login/", {"username": "user1", "password": "wrong-one-e17b"}),
]:
    more = {"content_type": "application/json"} if "/api/" in path else {}
    with CaptureQueriesContext(connection) as queries:
        response = getattr(client, method)(path, data, **more)
    told = [query["sql"] for query in queries.captured_queries]
    print(response.status_code, method, path, len(told), *told, sep="\\n  ")
"""


def ask(folder: Path, *under: str) -> str:
    ignored = shutil.ignore_patterns("__pycache__", ".kolo_c", "*.sqlite3*", "media")
    shutil.copytree(HERE, folder, ignore=ignored)
    (folder / "ask.py").write_text(ASK)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("KOLO_C")}
    told = {"SHOP_DATABASE_NAME": ":memory:", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *under, "ask.py"],
        cwd=folder,
        env={**environ, **told},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # A time, and a hash with a salt, differ each time.
    return "\n".join(line for line in done.stdout.splitlines() if "INSERT" not in line)


def test_not_one_statement_more_is_sent(tmp_path: Path) -> None:
    alone = ask(tmp_path / "alone")
    traced = ask(tmp_path / "traced", "-m", "kolo_c", "run", "--quiet")
    assert traced == alone
    with kolo_c.open(tmp_path / "traced") as store:
        names = [t.name for t in reversed(store.traces()) if t.kind == "request"]
    assert names[7:] == [
        "GET /broken/ → 500",
        "POST /api/products/ → 400",
        "POST /api/products/ → 400",
        "POST /api/products/ → 201",
        "POST /accounts/login/ → 200",
    ]
