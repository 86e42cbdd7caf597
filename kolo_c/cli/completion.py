"""``kolo-c completion``: the script that lets a shell complete our commands.

Threads: the main one. Owns: nothing. Fails: KoloError where shtab is missing.
"""

from __future__ import annotations

import argparse

from kolo_c.cli.main import COMMANDS, load_command
from kolo_c.cli.parser import build_parser
from kolo_c.errors import KoloError

SHELLS = ("bash", "zsh", "fish")
_TRACES = "traces"
_NEWEST = 20
# The ids come from the store of the directory that the shell is in, when asked for.
_PREAMBLE = {
    "bash": """\
_kolo_c_traces() {
  compgen -W "$(kolo-c completion traces 2>/dev/null)" -- "$1"
}
""",
    "zsh": """\
_kolo_c_traces() {
  local -a traces
  traces=(${(f)"$(kolo-c completion traces 2>/dev/null)"})
  compadd -a traces
}
""",
    "fish": """\
function _kolo_c_traces
  kolo-c completion traces 2>/dev/null
end
""",
}
_TRACE_COMPLETER = {
    "bash": "_kolo_c_traces",
    "zsh": "_kolo_c_traces",
    "fish": "(_kolo_c_traces)",
}


class _Choices(tuple[str, ...]):
    """The shells; what their scripts ask for is taken too, and named nowhere."""

    __slots__ = ()

    def __contains__(self, word: object) -> bool:
        return word == _TRACES or super().__contains__(word)


class Completion:
    """Print the script that completes the commands in a shell.

    Their options and the newest traces as well.

    bash:  kolo-c completion bash > ~/.local/share/bash-completion/completions/kolo-c
    zsh:   kolo-c completion zsh > DIRECTORY/_kolo-c, a directory in $fpath
    fish:  kolo-c completion fish > ~/.config/fish/completions/kolo-c.fish
    """

    name = "completion"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "shell",
            choices=_Choices(SHELLS),
            metavar="bash|zsh|fish",
            help="the shell that will read it",
        )

    def run(self, args: argparse.Namespace) -> int:
        """Print it."""
        if args.shell == _TRACES:
            print("\n".join(_newest_traces()))
        else:
            print(script(args.shell))
        return 0


COMMAND = Completion()


def script(shell: str) -> str:
    """What ``shell`` is to read."""
    try:
        import shtab  # noqa: PLC0415 - this command alone needs it
    except ImportError as error:
        raise KoloError(
            "shtab, which writes the scripts, is not installed",
            "pip install shtab",
        ) from error
    parser = whole_parser()
    for action in _all_actions(parser):
        if action.metavar == "TRACE":
            action.complete = _TRACE_COMPLETER  # type: ignore[attr-defined]
        elif action.metavar in ("FILE", "PROGRAM"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar == "DIR":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    text: str = shtab.complete(parser, shell, preamble=_PREAMBLE[shell])
    return text


def whole_parser() -> argparse.ArgumentParser:
    """Every command as a subcommand of one parser."""
    whole = argparse.ArgumentParser(prog="kolo-c")
    whole.add_argument("--version", action="store_true", help="print the version")
    commands = whole.add_subparsers()
    for name, text in COMMANDS.items():
        command = load_command(name)
        parser = commands.add_parser(
            name, help=text, parents=[build_parser(command)], add_help=False
        )
        if name == "run":  # it takes its program's words by itself
            parser.add_argument("program", nargs="?", metavar="PROGRAM", help="script")
    return whole


def _all_actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    found: list[argparse.Action] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found.extend(_all_actions(below))
        else:
            found.append(action)
    return found


def _newest_traces() -> list[str]:
    from kolo_c.cli.reading import open_store  # noqa: PLC0415 - for traces alone
    from kolo_c.store.catalogue import shortest_endings  # noqa: PLC0415

    try:
        with open_store() as store:
            ids = [trace.id for trace in store.traces()]
    except KoloError:
        return []  # a shell has no place for a message
    endings = shortest_endings(ids)
    return [id[-endings[id] :] for id in ids[:_NEWEST]]
