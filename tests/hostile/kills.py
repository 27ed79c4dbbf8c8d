"""Kill the workers of `--jobs 2` at random, again and again: `python -m tests.hostile.kills --count 50`.

Prints how many died, and what became of the trials. The exit code is 1 if one is lost, doubled or changed.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

import faked

_PAUSE = 0.2  # seconds in each trial, so that most kills interrupt one


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="how many workers to kill")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = [f"a{number}.png" for number in range(options.pictures)]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        faked.run(one, names)
        expected = faked.results(one)
        killed, runs = kill_workers(Path(other), names, options.count, random.Random(options.seed))
        interrupted = len(faked.results(other))
        faked.run(other, names)
        found, started = faked.results(other), sum(faked.traces(other).values())
    print(f"{killed} workers killed in {runs} runs; {interrupted} of {len(expected)} trials were stored by then")
    print(f"{started - len(expected)} trials were started again; equal to an undisturbed run: {found == expected}")
    return int(found != expected)


def kill_workers(folder: Path, names: list[str], count: int, draw: random.Random) -> tuple[int, int]:
    """Start runs over a store and kill their workers; how many workers died, in how many runs."""
    killed = runs = 0
    while killed < count and len(faked.results(folder)) < 2 * len(names):
        runs += 1
        with _run(folder, names) as process:
            while killed < count and process.poll() is None:
                time.sleep(draw.uniform(0.0, 3.0))
                workers = _workers(process.pid)
                if workers:
                    with suppress(psutil.NoSuchProcess):
                        draw.choice(workers).kill()
                        killed += 1
            process.wait()
    return killed, runs


@contextmanager
def _run(folder: Path, names: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    here = Path(faked.__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])}
    command = [sys.executable, faked.__file__, str(folder), str(_PAUSE), "2", "", *names]
    with subprocess.Popen(command, env=environment) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _workers(pid: int) -> list[psutil.Process]:
    try:
        children = psutil.Process(pid).children()
        return [one for one in children if "spawn_main" in " ".join(one.cmdline())]
    except psutil.Error:
        return []


if __name__ == "__main__":
    sys.exit(main())
