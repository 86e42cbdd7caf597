"""The how-to pages of web frameworks, queues and HTTP do what they say."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import free_port
from tests.spec.tracing import PACKAGE_PARENT
from tests.test_documentation import FENCE, ROOT

PAGES = {
    "flask": ("flask", "gunicorn"),
    "fastapi": ("fastapi", "uvicorn"),
    "celery": ("celery", "redis"),
    "http": (),
}
PORT = re.compile(r"(?<=127\.0\.0\.1:)\d{4}|(?<=--port )\d{4}|(?<=http.server )\d{4}")


def steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """Files to write ("", …) and commands with what they print."""
    for kind, body in FENCE.findall(text):
        if kind == "python":
            yield "", body.splitlines(keepends=True)
        elif kind == "json":
            yield "", ["# rates.json\n", body]
        elif kind == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, *lines = part.rstrip().split("\n")
                yield command, lines


def agrees(shown: str, line: str) -> bool:
    """Whether a line is as the page shows it: … stands for anything, ages differ."""
    shown = re.sub(r"^\d+ s ago", "…", shown.strip())
    pattern = ".*".join(re.escape(" ".join(at.split())) for at in shown.split("…"))
    return re.search(f"^{pattern}$", " ".join(line.split())) is not None


class Reader:
    """Does what a page says, in a folder."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        scripts = folder / "bin"
        scripts.mkdir()
        script = scripts / "kolo-c"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m kolo_c "$@"\n')
        script.chmod(0o755)
        (scripts / "python").symlink_to(sys.executable)
        (folder / "pyproject.toml").touch()
        kept = {k: v for k, v in os.environ.items() if not k.startswith("KOLO_C")}
        self.environment = {
            **kept,
            "PATH": f"{scripts}:{kept['PATH']}",
            "PYTHONPATH": f"{PACKAGE_PARENT}:{folder}",
            "COLUMNS": "160",
            **variables,
        }
        self.servers: list[subprocess.Popen[bytes]] = []

    def run(self, command: str) -> list[str]:
        words = shlex.split(command.removesuffix("&"))
        if words[0] == "python":
            words[0] = sys.executable
        if command.endswith("&"):
            self.serve(words)
            return []
        if words[:2] == ["kolo-c", "list"]:
            time.sleep(0.3)
        answer = subprocess.run(
            ["curl", "--silent", *words[1:]] if words[0] == "curl" else words,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        return answer.stdout.splitlines()

    def serve(self, words: list[str]) -> None:
        self.servers.append(
            subprocess.Popen(
                words,
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
        ports = re.findall(r"\b\d{4,5}$", "\n".join(words), re.MULTILINE)
        ends = time.monotonic() + 20
        while ports and time.monotonic() < ends:
            with socket.socket() as found:
                if found.connect_ex(("127.0.0.1", int(ports[-1]))) == 0:
                    return
            time.sleep(0.05)

    def end(self) -> None:
        for server in self.servers:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


@pytest.mark.parametrize("page", PAGES)
def test_a_how_to_does_what_it_says(page, tmp_path, request):
    for library in PAGES[page]:
        pytest.importorskip(library)
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    variables = {}
    if page == "celery":
        login = request.getfixturevalue("redis_server").login
        place = f"{login['host']}:{login['port']}"
        variables["REDIS"] = f"redis://:{login['password']}@{place}/5"
        variables["C_FORCE_ROOT"] = "1"
    ports: dict[str, str] = {}
    text = (ROOT / "docs" / "howto" / f"{page}.md").read_text(encoding="utf-8")
    text = PORT.sub(lambda at: ports.setdefault(at[0], str(free_port())), text)
    reader = Reader(tmp_path, **variables)
    ran = 0
    try:
        for command, lines in steps(text):
            if not command:
                name = lines[0].removeprefix("# ").strip()
                (tmp_path / name).write_text("".join(lines[1:]), encoding="utf-8")
                continue
            said = reader.run(command)
            for line in lines:
                found = line.strip() == "…" or any(agrees(line, at) for at in said)
                assert found, f"{command}\n{line}\n" + "\n".join(said)
            ran += 1
    finally:
        reader.end()
    assert ran >= 4
    assert not any(
        b"hunter2" in path.read_bytes()
        for path in (tmp_path / ".kolo_c").rglob("*")
        if path.is_file() and page in ("flask", "fastapi")
    )
