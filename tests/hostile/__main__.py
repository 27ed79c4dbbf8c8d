"""Try many damaged files: `python -m tests.hostile --count 3000 --log hostile.jsonl`.

The exit code is 1 if one failed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

from .cases import KINDS, Outcome, run_case


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="how many cases, of all kinds in turn")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case of each kind")
    parser.add_argument("--log", type=Path, help="file for the outcomes, one line each")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Pillow warns of damaged files
    outcomes = campaign(options.count, options.seed, options.log)
    print(table(outcomes))
    failed = [one for one in outcomes if one.result == "failed"]
    for one in failed:
        print(f"{one.kind} {one.seed}: {one.text[:300]}", file=sys.stderr)
    return int(bool(failed))


def campaign(count: int, seed: int = 0, log: Path | None = None) -> list[Outcome]:
    """Run cases of all kinds in turn, each in a folder of its own."""
    outcomes = []
    for number in range(count):
        kind = list(KINDS)[number % len(KINDS)]
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(run_case(kind, seed + number // len(KINDS), Path(folder)))
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(dataclasses.asdict(outcomes[-1])) + "\n")
    return outcomes


def table(outcomes: list[Outcome]) -> str:
    """What became of the cases, in Markdown."""
    lines = ["| damaged | cases | read | refused with one sentence | failed |", "| --- | ---: | ---: | ---: | ---: |"]
    for kind in (*KINDS, ""):
        results = Counter(one.result for one in outcomes if one.kind == kind or not kind)
        numbers = (results.total(), results["read"], results["refused"], results["failed"])
        lines.append(f"| {kind or 'all'} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
