"""Which code is kept: the order of the filters, the default, the pattern syntax."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pathspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kolo_c.config import Config
from kolo_c.errors import ConfigError
from kolo_c.filter import Filter
from kolo_c.function_rules import FunctionRule
from kolo_c.patterns import PatternError, compile_path, compile_pattern
from kolo_c.project import Project, standard_library


def make_project(root: Path, **values) -> Project:
    known = {
        "root": root,
        "reason": "the test says so",
        "cwd": root,
        "sources": (),
        "stdlib": standard_library(),
        "store": root / ".kolo_c",
    }
    values = {**known, **values}
    for name in ("root", "cwd", "store"):
        values[name] = str(values[name])
    values["sources"] = tuple(map(str, values["sources"]))
    return Project(**values)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def decide(root: Path, path: object, module="app", qualname="f", **config):
    project = config.pop("project", None) or make_project(root)
    return Filter(Config(**config), project).decide(str(path), module, qualname)


def test_code_under_the_root_is_kept(root):
    decision = decide(root, root / "app" / "models.py")
    assert decision.keep
    assert str(root) in decision.reason


def test_a_relative_file_name_counts_from_where_the_program_started(root):
    assert decide(root, "app/models.py").keep
    project = make_project(root, cwd=root.parent)
    assert not decide(root, "app/models.py", project=project).keep
    assert decide(root, "project/models.py", project=project).keep
    assert decide(root, "x/../project/models.py", project=project).keep


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (os.__file__, "stdlib"),
        (sysconfig.get_path("purelib") + "/django/db/models.py", "site"),
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", "site"),
        ("<frozen importlib._bootstrap>", "frozen"),
        ("<string>", "generated"),
        ("<attrs generated init app.A>", "generated"),
        ("", "generated"),
        ("/somewhere/else.py", "outside"),
    ],
)
def test_code_of_others_is_skipped(root, path, kind):
    decision = decide(root, path)
    assert not decision.keep
    assert decision.kind == kind


def test_site_packages_within_the_root_are_skipped(root):
    assert decide(root, root / "lib/site-packages/six.py").kind == "site"


def test_a_virtual_environment_within_the_root_is_skipped(root):
    env = root / "env"
    env.mkdir()
    (env / "pyvenv.cfg").touch()
    decision = decide(root, env / "src" / "tool.py")
    assert decision.kind == "venv"
    assert str(env) in decision.reason


def test_a_root_within_a_virtual_environment_is_kept(root):
    (root.parent / "pyvenv.cfg").touch()
    assert decide(root, root / "a.py").keep


def test_kolo_c_is_never_kept(root):
    import kolo_c.filter

    own = Path(kolo_c.filter.__file__)
    project = make_project(own.parents[1])
    assert decide(root, own, project=project, include_frames=("**",)).kind == "self"


def test_editable_installs_and_roots_are_kept(root, tmp_path):
    source = tmp_path / "elsewhere"
    other = tmp_path / "other"
    other.mkdir()
    project = make_project(root, sources=(source,))
    assert decide(root, source / "a.py", project=project).kind == "editable"
    assert decide(root, other / "a.py", roots=("../other",)).kind == "roots"
    assert not decide(root, other / "a.py").keep


def test_include_wins_over_ignore_and_ignore_over_the_default(root):
    file = root / "app" / "a.py"
    assert decide(root, file, ignore_frames=("app/",)).kind == "ignore"
    both = decide(root, file, ignore_frames=("app/",), include_frames=("a.py",))
    assert (both.keep, both.kind) == (True, "include")
    assert both.rule.text == "a.py"


def test_a_library_can_be_included(root):
    library = sysconfig.get_path("purelib") + "/shop/cart.py"
    assert decide(root, library, include_frames=("**/site-packages/shop/",)).keep
    assert decide(root, library, include_frames=(library,)).keep
    assert decide(root, "<string>", "shop.cart", include_frames=("module:shop",)).keep


@pytest.mark.parametrize(
    ("pattern", "module", "qualname", "matches"),
    [
        ("module:pkg.sub", "pkg.sub", "f", True),
        ("module:pkg.sub", "pkg.sub.deep", "f", True),
        ("module:pkg.sub", "pkg.subway", "f", False),
        ("module:pkg.sub", None, "f", False),
        ("module:*.migrations", "shop.migrations.m1", "f", True),
        ("qualname:*.save", "m", "User.save", True),
        ("qualname:*.save", "m", "User.save_all", False),
        ("qualname:save", "m", "User.save", False),
        ("qualname:f.<locals>.g", "m", "f.<locals>.g", True),
        ("module:shop:*.save", "shop.models", "User.save", True),
        ("module:shop:*.save", "bank", "User.save", False),
    ],
)
def test_patterns_of_names(root, pattern, module, qualname, matches):
    decision = decide(root, root / "a.py", module, qualname, ignore_frames=(pattern,))
    assert decision.keep is not matches


def test_a_symlinked_root_is_kept_by_both_names(tmp_path, root):
    link = tmp_path / "link"
    link.symlink_to(root)
    for project in (make_project(root), make_project(link)):
        assert decide(root, root / "a.py", project=project).keep
        assert decide(root, link / "a.py", project=project).keep
        ignore = decide(
            root, link / "tests/a.py", project=project, ignore_frames=("/tests/",)
        )
        assert ignore.kind == "ignore"


def test_a_library_linked_to_the_root_is_kept(tmp_path, root):
    site = tmp_path / "site-packages"
    site.mkdir()
    (root / "pkg").mkdir()
    (site / "pkg").symlink_to(root / "pkg")
    assert decide(root, site / "pkg" / "a.py").keep


def test_what_a_folder_says_is_not_said_of_what_is_different_in_it(tmp_path, root):
    site = tmp_path / "site-packages"
    site.mkdir()
    (root / "a.py").touch()
    (site / "linked.py").symlink_to(root / "a.py")
    (site / "alone.py").touch()
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    project = make_project(root)
    settings = Config(roots=(str(site / "alone.py"), "/opt/tools"))
    paths = [
        *(f"{folder}/{name}" for folder in (root, root / "pkg", site, tmp_path / "venv")
          for name in ("a.py", "linked.py", "alone.py", "site-packages", "..", ".", "")),
        f"{tmp_path}/project", "/opt/tools", "/opt/other.py", "relative.py",
        "<string>", "", "/", f"/{'x' * 5000}.py", *standard_library(),
        f"{root}/../site-packages/a.py", f"{root}//a.py", f"{root}/a\0.py",
    ]  # fmt: skip
    kinds = [Filter(settings, project).decide(path, "m", "f").kind for path in paths]
    for order in (paths, paths[::-1], paths * 2):
        chosen = Filter(settings, project)
        for path in order:
            found = chosen.decide(path, "m", "f")
            assert found.kind == kinds[paths.index(path)], path
            assert chosen.decide_file(path) == found
    assert {"root", "roots", "site", "outside", "stdlib"} <= set(kinds)


@pytest.fixture
def predicates(tmp_path, monkeypatch):
    (tmp_path / "my_filters.py").write_text(
        "calls = []\n"
        "def slow(path, module, qualname):\n"
        "    calls.append((path, module, qualname))\n"
        "    return qualname == 'slow'\n"
        "def broken(path, module, qualname):\n"
        "    raise ValueError('no idea')\n"
        "number = 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("my_filters", None)


def test_a_predicate_is_called_with_path_module_and_qualname(root, predicates):
    file = str(root / "a.py")
    chosen = Filter(Config(ignore_frames=("my_filters:slow",)), make_project(root))
    assert "my_filters" not in sys.modules
    assert not chosen.decide(file, "a", "slow").keep
    assert chosen.decide(file, "a", "fast").keep
    assert sys.modules["my_filters"].calls[0] == (file, "a", "slow")
    assert chosen.decide_file(file) is None


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("my_filters:broken", "raised ValueError: no idea"),
        ("my_filters:absent", "cannot be imported: AttributeError"),
        ("no_such_module:f", "cannot be imported: ModuleNotFoundError"),
        ("my_filters:number", "is not callable"),
    ],
)
def test_a_broken_predicate_is_said_once_and_matches_nothing(
    root, predicates, pattern, reason
):
    chosen = Filter(Config(ignore_frames=(pattern,)), make_project(root))
    for name in ("f", "g", "h"):
        assert chosen.decide(str(root / "a.py"), "a", name).keep
    assert len(chosen.problems) == 1
    assert reason in chosen.problems[0]
    assert pattern in chosen.problems[0]


def test_a_file_is_decided_at_once_unless_the_function_matters(root):
    file = str(root / "app" / "a.py")
    project = make_project(root)
    assert Filter(Config(), project).decide_file(file).keep
    assert not Filter(Config(), project).decide_file("<string>").keep
    by_name = Config(ignore_frames=("qualname:f", "lib/"))
    assert Filter(by_name, project).decide_file(file) is None
    assert not Filter(by_name, project).decide_file(str(root / "lib/a.py")).keep
    assert not Filter(by_name, project).decide_file("/outside.py").keep
    included = Config(include_frames=("qualname:f", "app/"))
    assert Filter(included, project).decide_file(file).keep
    assert Filter(included, project).decide_file("/outside.py") is None
    rules = Config(rules=(FunctionRule(match=("qualname:f",)),))
    assert Filter(rules, project).decide_file(file) is None
    assert not Filter(rules, project).decide_file("/outside.py").keep


def test_rules_give_options_and_the_last_one_wins(root):
    rules = (
        FunctionRule(match=("app/",), locals="all", values=False, where="rules[1]"),
        FunctionRule(
            match=("qualname:f",),
            values=True,
            mask=("pin",),
            max_depth=2,
            where="rules[2]",
        ),
    )
    chosen = Filter(Config(rules=rules, repr="user"), make_project(root))
    options = chosen.decide(str(root / "app/a.py"), "a", "f").options
    assert (options.locals, options.values, options.mask) == ("all", True, ("pin",))
    assert (options.repr, options.self, options.max_depth) == ("user", "address", 2)
    assert options.rules == ("rules[1] (app/)", "rules[2] (qualname:f)")
    assert chosen.decide(str(root / "b.py"), "b", "g").options is None
    assert chosen.decide("/outside/a.py", "a", "f").options is None


def test_what_was_skipped_is_counted_with_examples(root):
    chosen = Filter(Config(), make_project(root))
    for number in range(10):
        chosen.decide_file(f"/other/{number}.py")
    assert chosen.skipped["outside"].count == 10
    assert chosen.skipped["outside"].examples == [f"/other/{n}.py" for n in range(3)]


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("", "empty"),
        ("!tests/", "include_frames"),
        ("# tests", "comment"),
        ("a[b", "without"),
        ("a[z-a]", "not a pattern"),
        ("a[[:alpha:]]", "not supported"),
        ("a\\", "backslash"),
        ("a//b", "empty"),
        ("../a", ".."),
        ("/", "empty"),
        ("***/a", "***"),
        ("module:", "lacks"),
        ("qualname:a b", "not a name"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_place(root, pattern, word):
    config = Config(ignore_frames=(pattern,))
    with pytest.raises(ConfigError) as caught:
        Filter(config, make_project(root), {"ignore_frames": "/p/pyproject.toml"})
    assert word in caught.value.message
    assert "/p/pyproject.toml" in caught.value.message
    assert "filters.md" in caught.value.hint


NAMES = st.sampled_from(["a", "b", "ab", "a.py", ".hidden", "a b", "ä", "a]", "^x"])
PIECES = st.sampled_from(
    "a b ab * ? ** *.py a* [ab] [!a] [a-c]? []a] [^a] \\* \\# .* a**b [a^] [&&] "
    "[b~] [--0]".split()
)


@given(
    st.lists(PIECES, min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
    st.lists(NAMES, min_size=1, max_size=5),
)
@settings(max_examples=600, deadline=None)
def test_path_patterns_mean_what_they_mean_to_git(pieces, leading, trailing, names):
    pattern = "/" * leading + "/".join(pieces) + "/" * trailing
    # Where pathspec and git differ: for both, git is the oracle, in the test below.
    assume(not pattern.endswith(("/*", "**/")))
    path = "/".join(names)
    oracle = pathspec.PathSpec.from_lines("gitignore", [pattern])
    assert (compile_path(pattern).match(path) is not None) == oracle.match_file(path)


@pytest.mark.skipif(not shutil.which("git"), reason="git is the oracle")
@pytest.mark.parametrize(
    "pattern", ["/*", "a/*", "a/**", "**/", "a/**/", "*/**/", "**", "a/*/", "**/a/*"]
)
def test_folder_patterns_cover_what_git_ignores(pattern, tmp_path):
    (tmp_path / ".gitignore").write_text(pattern + "\n")
    names = ["a", "b"]
    paths = [
        "/".join(path)
        for depth in range(1, 5)
        for path in itertools.product(names, repeat=depth)
    ]
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    answer = subprocess.run(
        ["git", "-C", tmp_path, "check-ignore", "--no-index", "--stdin"],
        input="\n".join(paths),
        capture_output=True,
        text=True,
    )
    regex = compile_path(pattern)
    assert [path for path in paths if regex.match(path)] == answer.stdout.split()


@given(st.text(max_size=12))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_pattern_or_an_error_that_says_why(text):
    try:
        compile_pattern(text, lambda *_: False)
    except PatternError as error:
        assert str(error)


def test_a_path_resolves_as_it_does_for_the_system(tmp_path):
    """Folders are looked at once, and not for each of their files."""
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "deep" / "a.py").touch()
    (tmp_path / "one").symlink_to("real")
    (tmp_path / "real" / "two").symlink_to(tmp_path / "one" / "deep")
    (tmp_path / "real" / "b.py").symlink_to("two/a.py")
    (tmp_path / "up").symlink_to("/")
    made = Filter(Config(), make_project(tmp_path))
    for name in (
        "real/deep/a.py", "one/deep/a.py", "one/two/a.py", "one/b.py", "real/b.py",
        "absent/c.py", f"up{tmp_path}/one/two/a.py", "up/c.py", "one/two/none.py",
    ):  # fmt: skip
        path = str(tmp_path / name)
        assert made._resolved(path) == os.path.realpath(path)
    assert made._resolved("/c.py") == "/c.py"


def test_a_path_may_have_any_length_and_any_number_of_folders(tmp_path):
    """The name of a code object's file is whatever the program says."""
    made = Filter(Config(), make_project(tmp_path))
    for path in ("/a" * 1500 + "/b.py", "/a" * 500_000, "/" * 5000, "/" + "x" * 5000):
        assert not made.decide(path, None, "f").keep
    top = str(tmp_path)
    assert made.decide(top + "/a" * 500_000, None, "f").keep
    for number in range(5000):
        assert made.decide(f"{top}/made{number}/a.py", None, "f").keep
    assert len(made._real_folders) < 5000 and len(made._venv_cache) < 5000
