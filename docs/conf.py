"""Configuration of Sphinx; build with `sphinx-build --fail-on-warning docs docs/_build`.

Notebooks are committed without outputs. The build runs them, keeps the results below the output folder, and runs a
notebook again when its code changes. `-D nb_execution_mode=off` leaves them without pictures.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import os
import pydoc
import re
from pathlib import Path
from typing import Any

from sphinx.util.nodes import make_refnode

project = "xai-layermask"
author = "the xai-layermask authors"
copyright = f"2026, {author}"  # noqa: A001
release = importlib.metadata.version("xai-layermask")

extensions = [
    "myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon", "sphinx.ext.viewcode",
    "sphinx_copybutton",
]  # fmt: skip
exclude_patterns = ["_build", "jupyter_execute"]
html_theme = "furo"
html_title = f"xai-layermask {release}"
html_static_path = ["static"]
html_css_files = ["wide.css"]
maximum_signature_line_length = 100

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 900  # seconds for a cell
nb_output_stderr = "remove"

# Prompts are not copied.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False

# A broken reference is a warning, and a warning fails the build. Ignored are types of other libraries, type aliases,
# and opaque types.
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"(captum|collections|lime|matplotlib|np|npt|numpy|os|pathlib|shap|torch|types)\..*"),
    ("py:class", r"(PIL|pytorch_grad_cam|shapiq)\..*"),
    ("py:class", r"Array|Axes|Colormap|DataFrame|Figure|Floats|Image.Image|Keep|Path|Picture|Row|Size|Tensor|optional"),
    ("py:class", r"(xai_layermask\.[\w.]+\.)?(_Key|Graph|P|Section|Statistic|T)"),
    ("py:class", r"(xai_layermask\.[\w.]+\.)?(LostTask|ReportFigure|Task|TrialResult|View)"),
]


NOTEBOOKS = Path(__file__).parent / "notebooks"


def _copy_notebooks() -> None:
    """Copy the notebooks to where Sphinx looks for pages; links to pages become relative to that folder."""
    os.environ.pop("MPLBACKEND", None)  # their figures are shown inline
    NOTEBOOKS.mkdir(exist_ok=True)
    for path in (NOTEBOOKS.parents[1] / "notebooks").glob("*.ipynb"):
        text = path.read_text("utf-8").replace("(../docs/", "(../")
        target = NOTEBOOKS / path.name
        if not target.exists() or target.read_text("utf-8") != text:
            target.write_text(text, "utf-8")


# A reference, reStructuredText code, code, a formula, and a bar, which would start a substitution.
_MARKDOWN = re.compile(
    r"\[`([^`\n]+)`\]\[([^\]\n]*)\]|(:[\w:]+:`[^`]+`|``[^`]+``)|`([^`\n]+)`|\$([^$\n]+)\$|(\|)"
)


def _as_rst(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Convert docstrings from Markdown to reStructuredText.

    They use [`Name`][], [`Name`][target], `code`, $formula$, and displayed formulas, which begin and end with $$ on
    lines of their own.
    """

    def turned(found: re.Match[str]) -> str:
        reference, target, done, code, formula, _ = found.groups()
        if reference:
            return f":py:obj:`{reference} <{target or '.' + reference}>`"
        if formula:
            return f":math:`{formula}`"
        return done or (f"``{code}``" if code else r"\|")

    made: list[str] = []
    example = formula = False
    for line in lines:
        words = line.strip()
        example = words.startswith(">>>") or (example and bool(words))
        if example:
            made.append(line)
            continue
        begins = words.startswith("$$") and not formula
        if begins:
            margin = line[: len(line) - len(line.lstrip())]
            made += ["", f"{margin}.. math::", ""]
            formula, words = True, words.removeprefix("$$")
        if formula:
            formula = not words.endswith("$$")
            made += [f"{margin}    {words.removesuffix('$$')}"] + ([] if formula else [""])
        else:
            made.append(_MARKDOWN.sub(turned, line))
    lines[:] = made


# numpy's array types, as evaluated annotations spell them out.
_ANY = re.escape("~typing.Any")
_ARRAY = re.compile(rf"~numpy\.ndarray\[tuple\[{_ANY}, \.\.\.\], ~numpy\.dtype\[(~[\w.]+(?:\[{_ANY}\])?)\]\]")
_ARRAY_LIKE = re.compile(r"~numpy\._typing\._array_like\._Buffer \|.*?_NestedSequence\[complex \| bytes \| str\]")


def _short_types(
    app: object, what: str, name: str, obj: object, options: object, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Write the types in a signature as the source does."""
    short = (_ARRAY_LIKE.sub("~numpy.typing.ArrayLike", _ARRAY.sub(r"~numpy.typing.NDArray[\1]", text or "")) or None
             for text in (signature, returned))  # fmt: skip
    return next(short), next(short)


@functools.cache
def _defined() -> set[str]:
    """The names of all functions, classes, methods and constants of the package."""
    names = set()
    for path in Path(__file__).parents[1].joinpath("xai_layermask").rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
            if hasattr(node, "name"):
                names |= {node.name, *(f"{node.name}.{one.name}" for one in node.body if hasattr(one, "name"))}
    return names


def _public_name(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Link a private path to the public name of the same object; show an object without documentation as code."""
    target = node.get("reftarget", "").lstrip(".")
    if node.get("refdomain") != "py":
        return None
    if not target.startswith("xai_layermask."):
        return content if target in _defined() else None
    wanted, last = pydoc.locate(target), target.rpartition(".")[2]
    if wanted is None:
        return None
    for name, entry in env.get_domain("py").objects.items():
        if name.rpartition(".")[2] == last and pydoc.locate(name) is wanted:
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, name)
    return content


def setup(app: Any) -> None:
    """Called by Sphinx."""
    _copy_notebooks()
    app.connect("missing-reference", _public_name)
    app.connect("autodoc-process-docstring", _as_rst, priority=400)
    app.connect("autodoc-process-signature", _short_types)
