"""Draw the packages, their layers and their imports: `python docs/architecture.py`.

The layers come from the contract in `setup.cfg`, the arrows from the import statements. Arrows that follow from others,
and those into the lowest layer, which every package may use, are left out.
"""

from __future__ import annotations

import ast
import configparser
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "xai_layermask"
FIGURE = ROOT / "docs" / "images" / "architecture.svg"
WIDTH, ROW, BOX, HIGH, BEND, GAP = 820, 72, 110, 34, 24, 16


def layers(config: Path = ROOT / "setup.cfg") -> list[list[str]]:
    """The packages of each layer, highest layer first, without the entry point `__main__`."""
    parser = configparser.ConfigParser()
    parser.read(config, encoding="utf-8")
    lines = parser["importlinter:contract:layers"]["layers"].split("\n")
    rows = [[name.strip() for name in line.replace("|", ":").split(":")] for line in lines if line.strip()]
    return [row for row in rows if row != ["__main__"]]


def imports(folder: Path = ROOT / PACKAGE) -> set[tuple[str, str]]:
    """Pairs (importing, imported) of the top-level packages and modules, without imports for types only."""
    names = {path.stem for path in folder.iterdir() if path.is_dir() or path.suffix == ".py"}
    found = set()
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).parts
        here = (folder.name, *parts[:-1])
        for target in _targets(ast.parse(path.read_text("utf-8")), here):
            if target[0] == folder.name and target[1:2] and target[1] in names:
                found.add((parts[0].removesuffix(".py"), target[1]))
    return {(one, other) for one, other in found if one != other and not one.startswith("__")}


def _targets(tree: ast.AST, here: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) + 1 - node.level] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            yield from ((*base, alias.name) for alias in node.names)
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from _targets(node, here)


def reduced(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges that do not follow from a longer path; the graph has no cycles."""
    after: dict[str, set[str]] = {}
    for one, other in edges:
        after.setdefault(one, set()).add(other)

    def reachable(start: str) -> set[str]:
        return {start}.union(*(reachable(name) for name in after.get(start, ())))

    return {
        (one, other) for one, other in edges if not any(other in reachable(name) for name in after[one] - {other})
    }


def placed(rows: list[list[str]], edges: set[tuple[str, str]]) -> tuple[dict[str, tuple[float, int]], list[list[str]]]:
    """Where the boxes are, `(x of the centre, row)`, and the boxes or bends that each arrow passes, from top to bottom.

    An arrow over several rows bends once in each of them, so that it passes between boxes.
    """
    level = {name: number for number, row in enumerate(rows) for name in row}
    order = [list(row) for row in rows]
    chains = []
    for one, other in sorted(edges):
        bends = [f"{one} {other} {number}" for number in range(level[one] + 1, level[other])]
        for number, bend in enumerate(bends, level[one] + 1):
            order[number].append(bend)
        chains.append([one, *bends, other])
    near: dict[str, list[str]] = {}
    for chain in chains:
        for above, below in itertools.pairwise(chain):
            near.setdefault(above, []).append(below)
            near.setdefault(below, []).append(above)
    x: dict[str, float] = {}
    for sweep in range(21):
        for row in order if sweep % 2 else reversed(order):
            # A box moves to the mean of its neighbours in the rows above and below.
            row.sort(key=lambda name: _mean(x.get(one, 0) for one in near.get(name, ())))
            left = (WIDTH - sum(BEND if " " in name else BOX + GAP for name in row)) / 2
            for name in row:
                wide = BEND if " " in name else BOX + GAP
                x[name] = left + wide / 2
                left += wide
    return {name: (x[name], number) for number, row in enumerate(order) for name in row}, chains


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / max(len(found), 1)


def svg(rows: list[list[str]], edges: set[tuple[str, str]]) -> str:
    """The figure: a row of boxes for each layer, an arrow for each import."""
    height = ROW * len(rows) - (ROW - HIGH) + 2 * GAP
    names = {name for row in rows[:-1] for name in row}
    place, chains = placed(rows[:-1], reduced({(one, other) for one, other in edges if {one, other} <= names}))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-size="14" text-anchor="middle">',
        "<style>text { font-family: sans-serif }</style>",
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
        '<path d="M0 0 L8 4 L0 8 z" fill="#777"/></marker>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for chain in chains:
        (x, row), *others = (place[name] for name in chain)
        path = f"M{x:.0f} {GAP + row * ROW + HIGH}"
        for to_x, to_row in others:
            top, middle = GAP + to_row * ROW, GAP + to_row * ROW - (ROW - HIGH) // 2
            path += f" C{x:.0f} {middle} {to_x:.0f} {middle} {to_x:.0f} {top}"
            path += f" V{top + HIGH}" if (to_x, to_row) != others[-1] else ""
            x = to_x
        lines.append(f'<path d="{path}" fill="none" stroke="#777" marker-end="url(#tip)"/>')
    boxes = [(name, *place[name], BOX) for name in place if " " not in name]
    wide = (WIDTH - GAP) / len(rows[-1])
    boxes += [(name, GAP / 2 + (at + 0.5) * wide, len(rows) - 1, wide - GAP) for at, name in enumerate(rows[-1])]
    for name, x, row, wide in boxes:
        y = GAP + row * ROW
        lines.append(
            f'<rect x="{x - wide / 2:.0f}" y="{y}" width="{wide:.0f}" height="{HIGH}" rx="5" fill="#e8f0f8"'
            ' stroke="#3b75af"/>'
        )
        lines.append(f'<text x="{x:.0f}" y="{y + HIGH // 2 + 5}" fill="#222">{name}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    FIGURE.write_text(svg(layers(), imports()), encoding="utf-8")
