"""tests/programs/shop as it is, recorded by nobody: what is seen with us is compared to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("django")
pytest.importorskip("httpx")

from tests.programs.shop.drive import (
    DriveError,
    drive,
    manage,
    prepare,
    serving,
    shipping_service,
    working,
)
from tests.servers import MailServer, Server

SHOP = Path(__file__).parent.parent / "programs" / "shop"


def run(*words: str) -> str:
    """A Python command in the shop's folder; its output."""
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=SHOP,
        env={k: v for k, v in os.environ.items() if not k.startswith("SHOP_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_the_shop_s_own_tests_pass_with_pytest() -> None:
    assert "65 passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider")


def test_the_shop_s_own_tests_pass_with_django_s_runner() -> None:
    assert "Ran 54 tests" in run("manage.py", "test")


def test_the_shop_s_migrations_are_those_of_its_models() -> None:
    run("manage.py", "makemigrations", "--check", "--dry-run")


def test_fifty_visit_at_once_and_a_worker_sends_the_receipts(
    postgresql_server: Server,
    redis_server: Server,
    mail_server: MailServer,
    tmp_path: Path,
) -> None:
    environment = prepare(
        tmp_path,
        {
            **postgresql_server.shop_environment(),
            **redis_server.shop_environment(),
            "SHOP_MAIL": f"{mail_server.host}:{mail_server.port}",
        },
    )
    with shipping_service() as rates:
        environment["SHOP_SHIPPING_URL"] = rates.url
        with working(environment) as worker, serving("gunicorn", environment) as site:
            driven = drive(site.url, visits=50, concurrency=50)
            paid = len(driven.of_kind("pay"))
            deadline = time.monotonic() + 20
            while len(mail_server.messages) < paid and time.monotonic() < deadline:
                time.sleep(0.02)
    assert site.status == 0 and worker.status == 0
    assert len(driven.answers) == 64
    assert len({answer.number for answer in driven.answers}) == 64
    assert paid == 2 and len(mail_server.messages) == 2
    asked = [a.number for a in driven.of_kind("shipping")]
    asked += [a.number for a in driven.of_kind("rates") for _ in range(2)]
    assert sorted(rates.asked) == sorted(asked), "each request asked for itself"
    assert any("password-of-new" in secret for secret in driven.secrets)


def test_orders_are_imported_by_a_command(tmp_path: Path) -> None:
    environment = prepare(tmp_path)
    file = tmp_path / "orders.csv"
    file.write_text("customer0@example.org;LAM-1;2\ncustomer1@example.org;MUG-1;1\n")
    said = manage("import_orders", str(file), environment=environment)
    assert said == "2 of 2 orders imported\n"
    file.write_text("nobody@example.org;LAM-1;2\n")
    with pytest.raises(DriveError, match="line 1: Customer matching query"):
        manage("import_orders", str(file), environment=environment)
