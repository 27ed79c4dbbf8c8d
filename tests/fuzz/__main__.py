"""Run many random networks: `python -m tests.fuzz --count 5000 --seed 0 --log fuzz.jsonl`.

An existing log is continued. The exit status is 1 if any network is not right.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import time
from pathlib import Path

import torch

from .checks import TOLERANCE, check
from .networks import draw_network


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__
    )
    parser.add_argument("--count", type=int, default=100, help="how many networks")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first one; the others follow it")
    parser.add_argument("--trials", type=int, default=6, help="settings, images and presences for each network")
    parser.add_argument("--log", type=Path, help="file of results, one line a network; what is in it is not run again")
    parser.add_argument("--show", action="store_true", help="print the code of a network, and check it")
    parser.add_argument("--tolerance", type=float, help="how far double precision may be off (1e-9)")
    options = parser.parse_args()
    if options.tolerance:
        TOLERANCE[torch.float64] = options.tolerance
    torch.set_num_threads(1)
    known: dict[int, dict[str, object]] = {}
    if options.log and options.log.exists():
        known = {one["seed"]: one for one in map(json.loads, options.log.read_text().splitlines())}
    for seed in range(options.seed, options.seed + options.count):
        if seed not in known:
            known[seed] = run(seed, options.trials, options.show)
            if options.log:
                with options.log.open("a") as log:
                    log.write(json.dumps(known[seed]) + "\n")
    results = [known[seed] for seed in range(options.seed, options.seed + options.count)]
    table(results)
    if any(one["outcome"] != "right" for one in results):
        raise SystemExit(1)


def run(seed: int, trials: int, show: bool = False) -> dict[str, object]:
    """Check one network; print what does not hold."""
    start = time.perf_counter()
    network = draw_network(seed)
    if show:
        print(network.code)
    report = check(network, trials)
    for failure in report.failures:
        text = failure.text.splitlines()[0][:150]
        print(
            f"seed {seed}, trial {failure.trial}: {failure.check}: {text}  {failure.settings}",
            flush=True,
        )
    if report.refused or report.unknown:
        print(f"seed {seed}: {report.outcome}: {report.refused or report.unknown}", flush=True)
    return {
        "seed": seed,
        "outcome": report.outcome,
        "dtype": network.dtype,
        "statements": len(network.lines),
        "trials": report.trials,
        "checks": sorted({failure.check for failure in report.failures}),
        "refused": report.refused,
        "unknown": report.unknown,
        "failures": [dataclasses.asdict(failure) for failure in report.failures],
        "seconds": round(time.perf_counter() - start, 2),
    }


def table(results: list[dict[str, object]]) -> None:
    """Print what became of the networks."""
    outcomes = collections.Counter(one["outcome"] for one in results)
    checks = collections.Counter(name for one in results for name in one["checks"])
    trials, seconds = (sum(one[key] for one in results) for key in ("trials", "seconds"))
    print(f"\n{len(results)} networks, {trials} trials, {seconds:.0f} s")
    for name, count in outcomes.most_common():
        print(f"  {name:10} {count:6}")
    for name, count in checks.most_common():
        print(f"    {name:10} {count:4} networks")


if __name__ == "__main__":
    main()
