"""What tables and figures of the paper need, as options and as jobs of `evaluate`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..catalog import PAPER_FIGURES, PAPER_TABLES
from ..errors import InputError
from .types import comma_separated, one_of

if TYPE_CHECKING:
    from ..experiments.paper import Part
    from ..experiments.protocols import Protocol

__all__ = ["Job", "add_parts", "paper_jobs", "parts_of"]


def add_parts(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --table and --figure; `what` ends their help."""
    for name, numbers in (("table", PAPER_TABLES), ("figure", PAPER_FIGURES)):
        parser.add_argument(f"--{name}", type=comma_separated(one_of(numbers)), default=[], metavar="N,N,...",
                            help=f"only what these {name}s of the {what}")


@dataclass(frozen=True)
class Job:
    """A protocol to run, and the parts of the paper that need it.

    Attributes:
        protocol: The protocol.
        maskings: Names of maskings; the protocol's own if empty.
        segments: Names of segmentations; the protocol's own if empty.
        name: The parts of the paper, such as "table 4, table 11"; "" for none.
        title: What they show.
    """

    protocol: Protocol
    maskings: Sequence[str]
    segments: Sequence[str]
    name: str = ""
    title: str = ""

    @property
    def named(self) -> dict[str, Any]:
        """The name for JSON, if there is one."""
        return {"part": self.name} if self.name else {}

    def check_masks(self, masks: bool) -> list[str]:
        """What cannot be measured without object masks, as sentences.

        Raises:
            InputError: If nothing can be measured.
        """
        if not self.name or masks:
            return []
        if self.protocol.needs_masks:
            raise InputError.expected(f"pictures with object masks for {self.protocol.name}", "none")
        orders = [one for one in getattr(self.protocol, "orders", ()) if one != "random"]
        return [f"{self.name}: the orders {' and '.join(orders)}, which need object masks"] if orders else []


def parts_of(args: argparse.Namespace) -> dict[str, Part]:
    """The parts of the paper that the options name; all if they name none."""
    from ..experiments.paper import parts

    return parts(args.table, args.figure)


def paper_jobs(args: argparse.Namespace) -> list[Job]:
    """The jobs that the options name; parts with the same needs share one."""
    from ..experiments.protocols import PROTOCOLS

    found: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[tuple[str, str]]] = {}
    for name, part in parts_of(args).items():
        segments = args.segments if PROTOCOLS[part.protocol].segments and args.segments else part.segments
        key = part.protocol, tuple(args.maskings or part.maskings), tuple(segments)
        found.setdefault(key, []).append((name, part.title))
    return [
        Job(PROTOCOLS[protocol](), maskings, segments, ", ".join(name for name, _ in named),
            "; ".join(dict.fromkeys(title for _, title in named)))
        for (protocol, maskings, segments), named in found.items()
    ]  # fmt: skip
