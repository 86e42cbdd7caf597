"""docs/howto/django.md: what it says can be done is done, and comes to what it shows."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("django")

from kolo_c.plugins.builtin.django_settings import IGNORED, Options, read
from tests.integration.django.small_site import site_program
from tests.programs.shop.drive import free_port
from tests.spec.tracing import trace_program
from tests.test_documentation import ROOT, blocks, comparable, steps

PAGE = ROOT / "docs" / "howto" / "django.md"


def asked(url: str) -> list[str]:
    """What ``curl -D -`` prints."""
    try:
        answer = urllib.request.urlopen(url, timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        return lines + [f"{name}: {value}" for name, value in answer.headers.items()]


def test_its_commands_show_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KOLO_C")}
    environ = {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    port = str(free_port())
    server = None
    ran = 0
    try:
        for command, lines in steps(PAGE, files=True):
            if command == "write":
                (tmp_path / lines[0].removeprefix("# ")).write_text("\n".join(lines))
                continue
            words = command.replace("8000", port).split()
            if words[-1] == "&":
                server = subprocess.Popen(
                    [sys.executable, *words[1:-1]],
                    cwd=tmp_path,
                    env=environ,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                said = []
            elif words[0] == "curl":
                said = retry(lambda url=f"http://{words[-1]}": asked(url))
            else:
                said = subprocess.run(
                    [sys.executable, "-m", "kolo_c", *words[1:]],
                    cwd=tmp_path,
                    env=environ,
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout.splitlines()
            found = [shown(line) for line in said]
            for line in lines:
                assert shown(line) in found, (command, said)
            ran += 1
    finally:
        if server is not None:
            server.terminate()
            server.wait(20)
    assert ran == 5


def shown(line: str) -> str:
    """Without what differs: also sizes, which have their unit apart."""
    line = re.sub(r"dur=[\d.]+", "dur=N", comparable(line))
    return re.sub(r"(ID) \w+$", r"\1", line)


def retry(ask):
    """Until the server listens."""
    for _ in range(200):
        try:
            return ask()
        except OSError:
            time.sleep(0.1)
    raise AssertionError("no server")


# Fields of Options that are made of others.
DERIVED = {"recorder", "problems", "holds", "patterns"}


def test_its_settings_are_settings(tmp_path: Path) -> None:
    """Its ``LOGGING`` once switched the loggers off that Django had made before."""
    found = {}
    for body in blocks(PAGE, "python"):
        for node in ast.parse(body).body:
            if isinstance(node, ast.Assign) and node.targets[0].id in (
                "KOLO_C",
                "LOGGING",
            ):
                found[node.targets[0].id] = ast.literal_eval(node.value)
    options = read(found["KOLO_C"])
    assert options.problems == ()
    assert options.ignore_request_paths[:4] == IGNORED
    table = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.M)
    assert set(table) == set(Options._names) - DERIVED
    source = """
        import logging
        logging.getLogger("shop").warning("said")
        logging.getLogger("django.request").warning("said by Django")
    """
    program = site_program(source, repr({"LOGGING": found["LOGGING"]}))
    done = trace_program(tmp_path, "c", "auto", program, under=())
    said = done.stderr.splitlines()
    assert said[0] == "WARNING - said"
    assert "WARNING - said by Django" in said[1:]


def test_its_checks_are_the_checks() -> None:
    text = (ROOT / "kolo_c/integrations/django/checks.py").read_text(encoding="utf-8")
    known = set(re.findall(r'id="(kolo_c\.\w+)"', text))
    page = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(kolo_c\.\w+)` \|", page, re.M)) == known
