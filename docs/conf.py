"""Configuration of Sphinx; build with `sphinx-build --fail-on-warning docs docs/_build`."""

from __future__ import annotations

import importlib.metadata
import re

project = "xai-layermask"
author = "the xai-layermask authors"
copyright = f"2026, {author}"  # noqa: A001
release = importlib.metadata.version("xai-layermask")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"xai-layermask {release}"
html_static_path = ["static"]
html_css_files = ["wide.css"]
maximum_signature_line_length = 100

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False

# A reference that leads nowhere is a warning, and a warning ends the build. Left out are types of other libraries,
# whose pages are not at hand, names that stand for a type, and types that are passed through and never touched.
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"(captum|collections|lime|matplotlib|np|npt|numpy|os|pathlib|shap|torch|types)\..*"),
    ("py:class", r"Array|Axes|Figure|Floats|Keep|Path|Picture|Row|Tensor"),
    ("py:class", r"(xai_layermask\.[\w.]+\.)?(_Key|Graph|Lost|Outcome|P|Section|Statistic|T|Task|View)"),
]


# A reference, code that is code already, code, a formula, and a bar, which would begin a substitution.
_MARKDOWN = re.compile(
    r"\[`([^`\n]+)`\]\[([^\]\n]*)\]|(:[\w:]+:`[^`]+`|``[^`]+``)|`([^`\n]+)`|\$([^$\n]+)\$|(\|)"
)


def _as_rst(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn docstrings from Markdown's way into reStructuredText.

    They write [`Name`][], [`Name`][target], `code`, $formula$, and formulas that begin and end with $$ on lines of
    their own.
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


# numpy's names for arrays, written out by whoever evaluates an annotation.
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


def setup(app: object) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _as_rst, priority=400)
    app.connect("autodoc-process-signature", _short_types)
