"""What several tests of the commands ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kolo_c.cli import main as command_line


@pytest.fixture
def go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs a command in the directory of the store; its code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        code = command_line.main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
