"""The smallest network that still fails as a given one does: `python -m tests.fuzz.minimize SEED [CHECK]`."""

from __future__ import annotations

import argparse
import logging
import re
from dataclasses import replace

import torch

from .checks import CHECKS, TOLERANCE, Failure, check
from .networks import Network, draw_network, trimmed


def fails(network: Network, name: str, trials: int, first: int = 0) -> Failure | None:
    """The first failure of a check, if there is one."""
    try:
        network.build()
    except Exception:  # a smaller network need not be one
        return None
    report = check(network, trials, (name,), first)
    return next((one for one in report.failures if one.check in (name, "runs")), None)


def minimize(network: Network, name: str, trials: int = 6) -> tuple[Network, Failure]:
    """Take away statements as long as the check fails.

    Args:
        network: A network that fails.
        name: The check.
        trials: How many trials each smaller network gets.

    Returns:
        The smallest network found, and how it fails.
    """
    failure = fails(network, name, trials)
    if failure is None:
        raise ValueError(f"seed {network.seed} passes {name}")
    runs = failure.check == "runs"
    for end in range(1, len(network.lines)):
        last = network.lines[end - 1].partition(" = ")[0]
        short = trimmed(replace(network, lines=(*network.lines[:end], f"return {last}")))
        found = fails(short, name, trials)
        if found is not None and (found.check == "runs") == runs:
            network, failure = short, found
            break
    progress = True
    while progress:
        progress = False
        for place, line in enumerate(network.lines[:-1]):
            target, _, code = line.partition(" = ")
            for source in sorted(set(re.findall(r"\bx\d*\b", code))):
                lines = [re.sub(rf"\b{target}\b", source, other) for other in network.lines]
                del lines[place]
                short = trimmed(replace(network, lines=tuple(lines)))
                found = fails(short, name, trials)
                if found is not None and (found.check == "runs") == runs:
                    network, failure, progress = short, found, True
                    break
            if progress:
                break
    return network, failure


def main() -> None:
    """Read the command line, minimise, print."""
    logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)  # smaller networks may not fit
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.minimize", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("check", nargs="?", choices=CHECKS, help="the first check that fails if not given")
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--tolerance", type=float)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.tolerance:
        TOLERANCE[torch.float64] = options.tolerance
    network = draw_network(options.seed)
    name = options.check
    if name is None:
        failures = check(network, options.trials).failures
        name = next((one for one in CHECKS if any(f.check == one for f in failures)), "literal")
    if name == "runs":
        name = "literal"
    small, failure = minimize(network, name, options.trials)
    print(small.code)
    print(f"# {failure.check}, trial {failure.trial}: {failure.text.splitlines()[0][:200]}  {failure.settings}")


if __name__ == "__main__":
    main()
