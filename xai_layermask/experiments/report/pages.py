"""The report as files: a page in Markdown and one in HTML, every table and every figure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ...errors import InputError, reason
from .figures import save
from .section import Drawing, Section
from .tables import Table

__all__ = ["write"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
img { max-width: 100%; height: auto; }
figure { margin: 1.5rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
th, td { padding: .2rem .7rem; text-align: left; border-bottom: 1px solid #ddd; white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
"""


def write(out: Path, title: str, facts: Sequence[str], sections: Sequence[Section]) -> list[Path]:
    """Write a report. Files of an earlier one in the same folder are overwritten, others are left alone.

    Args:
        out: The folder; it is made if there is none.
        title: The heading of the page.
        facts: What the report is of, in sentences.
        sections: Its parts.

    Returns:
        All files, the page first.

    Raises:
        InputError: If the folder cannot be written.
    """
    try:
        for folder in (out, out / "tables", out / "figures"):
            folder.mkdir(parents=True, exist_ok=True)
        files = [out / "index.md", out / "index.html"]
        files[0].write_text(_markdown(title, facts, sections), encoding="utf-8")
        files[1].write_text(_html(title, facts, sections), encoding="utf-8")
        for section in sections:
            for table in section.tables:
                files += _table_files(out / "tables" / _file(table.name), table)
            for drawing in section.drawings:
                path = out / "figures" / _file(drawing.name)
                save(drawing.figure, path)
                files += [path.with_name(path.name + ending) for ending in (".png", ".svg")]
    except OSError as error:
        raise InputError(
            f"out must be a folder that can be written, but {str(out)!r} cannot be ({reason(error)}): choose another."
        ) from error
    return files


def _table_files(path: Path, table: Table) -> list[Path]:
    markdown, comma = path.with_name(f"{path.name}.md"), path.with_name(f"{path.name}.csv")
    markdown.write_text(f"{table.caption}\n\n{table.markdown()}\n", encoding="utf-8")
    comma.write_text(table.csv(), encoding="utf-8")
    return [markdown, comma]


def _markdown(title: str, facts: Sequence[str], sections: Sequence[Section]) -> str:
    parts = [f"# {title}", "\n".join(f"- {fact}" for fact in facts)]
    for section in sections:
        parts += [f"## {section.title}", section.text]
        parts += [_figure_markdown(drawing) for drawing in section.drawings]
        for table in section.tables:
            name = _file(table.name)
            files = f"[Markdown](tables/{name}.md), [CSV](tables/{name}.csv)"
            parts.append(f"**{table.name}.** {table.caption} ({files})")
            parts += [table.markdown()] if table.shown else []
        if section.missing:
            parts += ["Missing:", "\n".join(f"- {sentence}" for sentence in section.missing)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _figure_markdown(drawing: Drawing) -> str:
    name = _file(drawing.name)
    return (
        f"![{drawing.caption}](figures/{name}.png)\n\n"
        f"**{drawing.name}.** {drawing.caption} ([PNG](figures/{name}.png), [SVG](figures/{name}.svg))"
    )


def _html(title: str, facts: Sequence[str], sections: Sequence[Section]) -> str:
    body = [f"<h1>{escape(title)}</h1>", _list(facts)]
    for section in sections:
        body += [f"<h2>{escape(section.title)}</h2>", f"<p>{escape(section.text)}</p>" if section.text else ""]
        for drawing in section.drawings:
            name = _file(drawing.name)
            body.append(
                f'<figure><img src="figures/{name}.svg" alt="{escape(drawing.caption)}"><figcaption><b>'
                f'{escape(drawing.name)}.</b> {escape(drawing.caption)} (<a href="figures/{name}.png">PNG</a>, '
                f'<a href="figures/{name}.svg">SVG</a>)</figcaption></figure>'
            )
        for table in section.tables:
            name = _file(table.name)
            body.append(
                f'<p><b>{escape(table.name)}.</b> {escape(table.caption)} (<a href="tables/{name}.csv">CSV</a>, '
                f'<a href="tables/{name}.md">Markdown</a>)</p>'
            )
            body += [f'<div class="wide">{table.html()}</div>'] if table.shown else []
        if section.missing:
            body += ["<p>Missing:</p>", _list(section.missing)]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(part for part in body if part) + "\n</body></html>\n"
    )


def _list(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in sentences)}</ul>"


def _file(name: str) -> str:
    """A name that every file system takes: segmentations may hold a colon."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)
