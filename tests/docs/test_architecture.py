"""The page on the architecture and the list in CONTRIBUTING.md must match the package."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("architecture", ROOT / "docs" / "architecture.py")
architecture = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(architecture)


def test_figure_is_up_to_date():
    drawn = architecture.svg(architecture.layers(), architecture.imports())
    assert architecture.FIGURE.read_text("utf-8") == drawn, "run: python docs/architecture.py"


def test_table_lists_the_packages_of_the_contract():
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(name for row in architecture.layers() for name in row)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_paths_exist(page):
    paths = re.findall(r"`((?:xai_layermask|tests|docs)/[\w./]*)`", (ROOT / page).read_text("utf-8"))
    assert paths
    assert [path for path in paths if not list(ROOT.glob(path.replace("NAME", "*").rstrip("/")))] == []


def test_modules_on_the_page_exist():
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    modules = re.findall(r"`((?:engine|explain)\.\w+)`", page)
    assert modules
    assert [name for name in modules if importlib.util.find_spec(f"xai_layermask.{name}") is None] == []


def test_masked_operators_on_the_page_exist():
    """They are called with their leading fields by name, or with dots."""
    page = (ROOT / "docs" / "architectures.md").read_text("utf-8")
    calls = re.findall(r"`(\w+)\.([A-Z]\w+)\(([\w, .]*)\)`", page)
    assert len(calls) > 8
    for module, name, arguments in calls:
        found = getattr(importlib.import_module(f"xai_layermask.engine.ops.{module}"), name)
        given = [argument for argument in arguments.split(", ") if argument not in ("", "...")]
        assert list(inspect.signature(found).parameters)[: len(given)] == given, name


def test_imports_are_found_without_those_for_types(tmp_path):
    package = tmp_path / "package"
    (package / "high").mkdir(parents=True)
    (package / "__init__.py").write_text("from .high import x\n")
    (package / "high" / "__init__.py").write_text("def f():\n    from ..middle import g\n")
    (package / "middle.py").write_text(
        "from . import low\nimport package.lowest.part\nif TYPE_CHECKING:\n    from .high import x\n"
    )
    (package / "low.py").write_text("from numpy import high\n")
    (package / "lowest.py").write_text("")
    assert architecture.imports(package) == {("high", "middle"), ("middle", "low"), ("middle", "lowest")}


def test_only_edges_that_follow_from_none_are_kept():
    edges = {("a", "b"), ("b", "c"), ("c", "d"), ("a", "c"), ("a", "d"), ("e", "d")}
    assert architecture.reduced(edges) == {("a", "b"), ("b", "c"), ("c", "d"), ("e", "d")}


def test_an_arrow_over_several_rows_bends_in_each():
    rows = [["a"], ["b", "e"], ["c"]]
    place, chains = architecture.placed(rows, {("a", "b"), ("a", "c"), ("b", "c")})
    assert sorted(map(len, chains)) == [2, 2, 3]
    row = sorted((x, name) for name, (x, number) in place.items() if number == 1)
    assert len({x for x, _ in row}) == 3


def test_every_package_has_a_box():
    rows = architecture.layers()
    drawn = architecture.svg(rows, architecture.imports())
    assert sorted(re.findall(r">(\w+)</text>", drawn)) == sorted(name for row in rows for name in row)
