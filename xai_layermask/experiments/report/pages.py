"""The report as files: a page in Markdown and one in HTML, every table and every figure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ...errors import InputError, reason
from ...viewer import render
from .figures import save
from .folder import check_folder
from .section import ReportFigure, Section
from .tables import Table

__all__ = ["write"]


def write(
    out: Path, title: str, facts: Sequence[str], sections: Sequence[Section], overwrite: bool = False
) -> list[Path]:
    """Write a report. Files of an earlier one in the same folder are overwritten.

    Args:
        out: The folder, which is created if it does not exist.
        title: Heading of the page.
        facts: Sentences below it.
        sections: The sections.
        overwrite: Whether files of others may be overwritten.

    Returns:
        All files, the page first.

    Raises:
        InputError: If the folder cannot be written, or a file of another program would be overwritten.
    """
    check_folder(out, overwrite, _files(out, sections))
    try:
        for folder in (out, out / "tables", out / "figures"):
            folder.mkdir(parents=True, exist_ok=True)
        files = [out / "index.md", out / "index.html"]
        # The name of the store may not be UTF-8.
        files[0].write_text(_markdown(title, facts, sections), encoding="utf-8", errors="backslashreplace")
        page = render("report.html", title=title, facts=facts, sections=sections, file_name=file_name)
        files[1].write_text(page, encoding="utf-8")
        for section in sections:
            for table in section.tables:
                files += _write_table(out / "tables" / file_name(table.name), table)
            for figure in section.figures:
                path = out / "figures" / file_name(figure.name)
                save(figure.figure, path)
                files += [path.with_name(path.name + ending) for ending in (".png", ".svg")]
    except OSError as error:
        raise InputError.expected("a folder that can be written for out", f"{str(out)!r} ({reason(error)})") from error
    return files


def _files(out: Path, sections: Sequence[Section]) -> list[Path]:
    """The files of tables and figures."""
    tables = [out / "tables" / file_name(table.name) for section in sections for table in section.tables]
    figures = [out / "figures" / file_name(figure.name) for section in sections for figure in section.figures]
    kinds = ((tables, (".md", ".csv")), (figures, (".png", ".svg")))
    return [path.with_name(path.name + ending) for paths, endings in kinds for path in paths for ending in endings]


def file_name(name: str) -> str:
    """A name that every file system accepts: names of segmentations may contain a colon."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def _write_table(path: Path, table: Table) -> list[Path]:
    files = [path.with_name(f"{path.name}.md"), path.with_name(f"{path.name}.csv")]
    files[0].write_text(f"{table.caption}\n\n{table.markdown()}\n", encoding="utf-8")
    files[1].write_text(table.csv(), encoding="utf-8")
    return files


def _markdown(title: str, facts: Sequence[str], sections: Sequence[Section]) -> str:
    parts = [f"# {title}", _list(facts)]
    for section in sections:
        parts += [f"## {section.title}", section.text]
        parts += [_markdown_figure(figure) for figure in section.figures]
        for table in section.tables:
            name = file_name(table.name)
            files = f"[Markdown](tables/{name}.md), [CSV](tables/{name}.csv)"
            parts += [f"**{table.name}.** {table.caption} ({files})", table.markdown() if table.shown else ""]
        if section.missing:
            parts += ["Missing:", _list(section.missing)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_figure(figure: ReportFigure) -> str:
    name = file_name(figure.name)
    return (
        f"![{figure.caption}](figures/{name}.png)\n\n"
        f"**{figure.name}.** {figure.caption} ([PNG](figures/{name}.png), [SVG](figures/{name}.svg))"
    )


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {one}" for one in sentences)
