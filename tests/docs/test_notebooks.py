import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

# Folders of one machine: at the root, in somebody's home, or with a drive letter.
ABSOLUTE = re.compile(r"""(?<![\w.:/<-])/(?:home|Users|root|work|tmp|mnt|opt|usr|var|etc)/|\b[A-Za-z]:\\\w|(?<!\w)~/""")


def cells(path):
    return json.loads(path.read_text("utf-8"))["cells"]


def text(cell):
    return "".join(cell["source"])


def test_they_are_numbered_from_one():
    assert [path.name[:3] for path in NOTEBOOKS] == [f"{number:02}_" for number in range(1, 8)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_is_a_valid_notebook(self, path):
        nbformat = pytest.importorskip("nbformat")
        notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
        assert notebook.nbformat == 4
        nbformat.validate(notebook)

    def test_has_no_outputs(self, path):
        for cell in cells(path):
            if cell["cell_type"] == "code":
                assert cell["outputs"] == [] and cell["execution_count"] is None
                assert cell["metadata"] == {}

    def test_begins_with_its_only_title(self, path):
        first, *others = cells(path)
        assert first["cell_type"] == "markdown" and text(first).startswith("# ")
        assert not any(text(cell).startswith("# ") for cell in others if cell["cell_type"] == "markdown")

    def test_explains_what_follows(self, path):
        """No more than two cells of code stand together, and prose is not crumbs."""
        kinds = "".join(cell["cell_type"][0] for cell in cells(path))
        assert kinds.startswith("m") and "ccc" not in kinds
        assert all(len(text(cell).split()) >= 8 for cell in cells(path) if cell["cell_type"] == "markdown")

    def test_says_what_it_needs_first(self, path):
        assert "pip install '.[demo]'" in text(cells(path)[0]) and "downloads nothing" in text(cells(path)[0])

    def test_has_no_absolute_paths(self, path):
        for cell in cells(path):
            assert not ABSOLUTE.search(text(cell)), text(cell)

    def test_code_compiles(self, path):
        for cell in cells(path):
            if cell["cell_type"] == "code":
                source = text(cell)
                magic, _, rest = source.partition("\n")
                compile(rest if magic.startswith("%%") else source, path.name, "exec")

    def test_links_point_at_files(self, path):
        for cell in cells(path):
            if cell["cell_type"] == "markdown":
                for link in re.findall(r"\]\(([^)#\s]+)", text(cell)):
                    assert link.startswith("https://") or (path.parent / link).is_file(), link


@pytest.mark.parametrize(
    "line", ["open('/home/me/cat.jpg')", "cd /mnt/main", r"C:\Users\me", "~/data", "Path('/tmp/x')"]
)
def test_an_absolute_path_is_found(line):
    assert ABSOLUTE.search(line)


@pytest.mark.parametrize(
    "line", ["https://example.org/home/x", "https://doi.org/tmp/1", "../docs/a.md", "a / b", "p/work/"]
)
def test_other_slashes_are_none(line):
    assert not ABSOLUTE.search(line)
