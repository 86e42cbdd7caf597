"""Programs from seeds: the same everywhere, not too small, and they end."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import warnings

import pytest

from kolo_c.validate.generate import FEATURES, Target, generate
from kolo_c.validate.generate.choices import Choices
from kolo_c.validate.generate.draft import Draft
from kolo_c.validate.generate.features import PARTS

VERSIONS = [(3, 10), (3, 11), (3, 12), (3, 13), (3, 14), (3, 15)]


def test_a_seed_gives_the_same_text_whatever_the_hash_seed() -> None:
    """In another process, where sets and dicts of texts have another order."""
    program = (
        "from kolo_c.validate.generate import Target, generate\n"
        "import hashlib\n"
        "texts = [generate(seed, Target((3, 12))).source for seed in range(40)]\n"
        "print(hashlib.sha256(''.join(texts).encode()).hexdigest())"
    )
    digests = set()
    for hash_seed in ("0", "1", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
    assert len(digests) == 1


@pytest.mark.parametrize("seed", [0, 7, 1234])
def test_a_seed_gives_a_known_text_on_every_version(seed: int) -> None:
    """Recorded once: a Python with other random numbers would show here."""
    numbers = Choices(f"kolo_c program {seed}")
    assert [numbers.below(1000) for _ in range(4)] == {
        0: [953, 279, 437, 637],
        7: [560, 520, 601, 693],
        1234: [131, 463, 138, 312],
    }[seed]


def test_seeds_give_different_programs() -> None:
    assert len({generate(seed, Target((3, 11))).source for seed in range(100)}) == 100


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_programs_use_no_syntax_that_their_version_lacks(
    version: tuple[int, int],
) -> None:
    """What this Python can parse as that version; it knows more than grammar alone."""
    if version > sys.version_info[:2]:
        pytest.skip("newer syntax than this Python's")
    for seed in range(150):
        source = generate(seed, Target(version)).source
        ast.parse(source, feature_version=version)


def test_programs_compile_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(300):
            compile(generate(seed).source, f"seed{seed}", "exec")


def test_parts_do_not_take_one_another_s_names() -> None:
    """A program may hold any two of them."""
    target = Target.here()
    owner: dict[str, str] = {}
    for part in PARTS:
        if part.since > target.version:
            continue
        for seed in range(3):
            draft = Draft(Choices(f"names {seed}"), target)
            part.write(draft, 300)
            for node in ast.parse("\n".join(draft.lines)).body:
                name = getattr(node, "name", None)
                if isinstance(name, str):
                    assert owner.setdefault(name, part.name) == part.name, name


def test_every_part_is_met_in_two_hundred_seeds() -> None:
    newest = Target((3, 15))
    met = set().union(*(generate(seed, newest).features for seed in range(200)))
    assert met == FEATURES


def test_what_needs_a_prompt_end_is_left_out_where_there_is_none() -> None:
    met = [
        set().union(*(generate(seed, target).features for seed in range(200)))
        for target in (Target((3, 10)), Target((3, 10), prompt=False))
    ]
    assert met[0] - met[1] == {"finalizers", "suspended"}


def test_a_version_that_is_not_supported_is_refused() -> None:
    with pytest.raises(ValueError, match="not supported"):
        Target((3, 9))
