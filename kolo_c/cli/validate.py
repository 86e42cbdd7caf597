"""``kolo-c validate``: prove that cores and hooks record the same of a program.

Threads: the main one; the sides run in processes of their own. Owns: a folder for their
stores, until run() returns. Fails: KoloError.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
from pathlib import Path

from kolo_c.cli.options import add_config_options, load_config
from kolo_c.errors import KoloError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kolo_c.validate.generated import Generated
    from kolo_c.validate.program import Validated
    from kolo_c.validate.sides import Side

_EXIT_DIFFERENT = 1
_TIMEOUT_SECONDS = 600.0
_BATCH_TIMEOUT_SECONDS = 300.0
# Options with a value of their own, for finding where the program's words begin.
_VALUED = frozenset(
    "--sides --output --generate --seed --timeout --hook --core --locals --split "
    "--include --ignore --set".split()
)
_SIDE_SETTINGS = ("hook", "core")


class Validate:
    """Compare what several cores and hooks record of a program.

    usage: kolo-c validate [options] script.py [arguments]
           kolo-c validate [options] -m module [arguments]
           kolo-c validate [options] --generate N [--seed S]

    The program is run once on each side, a core and a hook such as c/setprofile, and
    once untraced, with the same arguments, standard input and hash seed, and a clock
    that ticks with each record. What is recorded must be equal byte for byte, but for
    what cannot be: docs/explanation/validation.md lists that. What the program prints
    must be the same too. It has to do the same each time it runs.

    The exit code is 1 where anything differs.
    """

    name = "validate"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.usage = "kolo-c validate [options] script.py | -m module | --generate N"
        parser.add_argument(
            "--sides",
            metavar="CORE/HOOK,…",
            help="What to compare, c/* for every hook of a core; all that there is "
            "here, each with the first.",
        )
        parser.add_argument(
            "--generate",
            type=int,
            metavar="N",
            help="Instead of a program run N that are made from a seed.",
        )
        parser.add_argument(
            "--seed", type=int, default=0, metavar="S", help="Of the first of them."
        )
        parser.add_argument(
            "--timeout",
            type=_seconds,
            metavar="SECONDS",
            help=f"How long one run may take: {_TIMEOUT_SECONDS:g}, or "
            f"{_BATCH_TIMEOUT_SECONDS:g} for a batch of generated programs.",
        )
        parser.add_argument(
            "--json", action="store_true", help="What was found, as one JSON object."
        )
        parser.add_argument(
            "--output",
            metavar="DIR",
            help="Keep what each side recorded in this folder, as JSON; of generated "
            "programs those that failed.",
        )
        add_config_options(parser)

    def split(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        """Our words, and the program's."""
        at = 0
        while at < len(words):
            word = words[at]
            if word == "--":
                return list(words[:at]), list(words[at + 1 :])
            if not word.startswith("-") or word[:2] in ("-m", "-c") or word == "-":
                break
            at += 2 if word in _VALUED else 1
        return list(words[:at]), list(words[at:])

    def run(self, args: argparse.Namespace) -> int:
        """Compare; 1 where anything differs."""
        # A start of any other command must not pay for these.
        from kolo_c.validate.sides import available_sides, parse_sides  # noqa: PLC0415

        _refuse_side_settings(args)
        _make_folder(args.output)
        _end_on_terminate()
        sides = parse_sides(args.sides) if args.sides else available_sides()
        if not sides:
            raise KoloError(
                "nothing can be recorded here", "kolo-c doctor says what is missing."
            )
        if len(sides) == 1:
            sides *= 2  # then it is whether a program does the same each time
        if args.generate is not None:
            return self._run_generated(args, sides)
        return self._run_program(args, sides)

    def _run_program(self, args: argparse.Namespace, sides: list[Side]) -> int:
        from kolo_c.target import parse_target  # noqa: PLC0415
        from kolo_c.validate.execute import job_of  # noqa: PLC0415
        from kolo_c.validate.program import validate  # noqa: PLC0415
        from kolo_c.validate.report import validated_json  # noqa: PLC0415

        target = parse_target(args.program)
        project, loaded = load_config(args, target.start)
        loaded.require()
        job = job_of(
            target,
            project.root,
            _passed_on(args),
            _standard_input(),
            args.timeout or _TIMEOUT_SECONDS,
        )
        with tempfile.TemporaryDirectory(prefix="kolo-c-validate-") as folder:
            validated = validate(sides, job, Path(folder))
            try:
                _refuse_nothing(validated, target.name)
                if args.output:
                    _keep(validated, Path(args.output))
                if args.json:
                    head = _head_json(target.name, sides)
                    print(json.dumps({**head, **validated_json(validated)}))
                else:
                    _print(target.name, validated)
            finally:
                validated.close()
        return 0 if validated.equal else _EXIT_DIFFERENT

    def _run_generated(self, args: argparse.Namespace, sides: list[Side]) -> int:
        if args.program or args.generate < 1:
            raise KoloError(
                "--generate takes the number of programs to make, and no program",
                "Write kolo-c validate --generate 100.",
                slug="usage",
            )
        from kolo_c.validate.generated import Runner  # noqa: PLC0415
        from kolo_c.validate.report import (  # noqa: PLC0415
            generated_json,
            generated_lines,
        )

        runner = Runner(sides, _passed_on(args), args.timeout or _BATCH_TIMEOUT_SECONDS)
        found = runner.run(args.generate, args.seed, _progress)
        if args.output:
            _keep_failures(found, Path(args.output))
        if args.json:
            head = _head_json("generated", sides)
            print(json.dumps({**head, **generated_json(found)}))
        else:
            print(f"{args.generate} generated programs on {_python()}")
            for line in generated_lines(found):
                print(line)
        return 0 if found.good else _EXIT_DIFFERENT


COMMAND = Validate()


def _seconds(text: str) -> float:
    """A time that something can take."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError(f"a number above 0 is needed, not {text!r}")
    return seconds


def _end_on_terminate() -> None:
    """As on Ctrl-C: what was started ends, and the folders go."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def _refuse_side_settings(args: argparse.Namespace) -> None:
    given = {word.partition("=")[0].strip() for word in args.config_set or ()}
    for key in _SIDE_SETTINGS:
        if key in given or getattr(args, f"config_{key}", None) is not None:
            raise KoloError(
                f"--{key} is one side alone",
                "Write --sides c/setprofile,c/monitoring.",
                slug="usage",
            )


def _make_folder(name: str | None) -> None:
    """Before anything runs, which takes its time."""
    if not name:
        return
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KoloError(
            f"--output {name}: {error.strerror}", "Name a folder that can be made."
        ) from None


def _passed_on(args: argparse.Namespace) -> list[str]:
    """The settings of the command line, for ``kolo-c run``."""
    found = []
    for key in ("locals", "split", "include", "ignore", "set"):
        value = getattr(args, f"config_{key}", None)
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                found.append(f"--{key}={each}")
    return found


def _standard_input() -> bytes:
    """What the program is to read, once for all its runs."""
    if sys.stdin is None or sys.stdin.isatty():
        return b""
    return sys.stdin.buffer.read()


def _refuse_nothing(validated: Validated, name: str) -> None:
    """Two sides that recorded nothing are equal, and prove nothing."""
    if any(
        stream.records
        for ran in validated.ran
        for trace in ran.recorded.traces.values()
        for stream in trace.streams.values()
    ):
        return
    first = validated.ran[0].outcome
    said = first.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
    ours = "kolo-c: error: "
    why = [line.removeprefix(ours) for line in said if line.startswith(ours)]
    why += said[-1:] if first.code else []
    raise KoloError(
        f"nothing of {name} was recorded, so nothing can be compared"
        + (f": {why[0]}" if why else ""),
        f"kolo-c run {name} says why; a program outside the project is kept with "
        "--set roots=FOLDER.",
    )


def _keep(validated: Validated, folder: Path) -> None:
    from kolo_c.validate.report import recorded_json  # noqa: PLC0415

    for number, ran in enumerate(validated.ran, 1):
        path = folder / f"{number}-{ran.side.file_name}.json"
        text = json.dumps(recorded_json(ran.recorded), indent=1)
        path.write_text(f"{text}\n", encoding="utf-8")


def _head_json(name: str, sides: list[Side]) -> dict[str, Any]:
    return {
        "program": name,
        "python": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "sides": [str(side) for side in sides],
    }


def _print(name: str, validated: Validated) -> None:
    from kolo_c.errors import harmless  # noqa: PLC0415
    from kolo_c.validate.report import validated_lines  # noqa: PLC0415

    print(f"{harmless(name)} on {_python()}")
    for line in validated_lines(validated):
        print(line)


def _python() -> str:
    return f"{sys.implementation.name} {sys.version.split()[0]}"


def _progress(done: int, count: int) -> None:
    """A line that is written over, on a terminal."""
    if sys.stderr is not None and sys.stderr.isatty():
        end = "\n" if done >= count else ""
        print(f"\r{done:,} of {count:,} programs", end=end, file=sys.stderr, flush=True)


def _keep_failures(found: Generated, folder: Path) -> None:
    """The sources of the programs that failed, and what was found in each."""
    from kolo_c.validate.report import failure_json  # noqa: PLC0415

    for failure in found.failures:
        if failure.program is None:
            continue
        base = folder / f"p{failure.program.seed}"
        base.with_suffix(".py").write_text(failure.program.source, encoding="utf-8")
        if failure.shrunk is not None:
            shrunk = folder / f"{base.name}-shrunk.py"
            shrunk.write_text(failure.shrunk.source, encoding="utf-8")
        text = json.dumps(failure_json(failure), indent=1)
        base.with_suffix(".json").write_text(f"{text}\n", encoding="utf-8")
