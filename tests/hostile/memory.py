"""Does memory grow? Evaluate small pictures for a while: `python -m tests.hostile.memory --minutes 15`.

Prints the memory of the process (resident set) over time, and its growth per hour by a line through the second half.
The exit code is 1 if it grows by more than 5 % an hour.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

_EVALUATE = ("-m", "xai_layermask", "evaluate", "robustness", "--data", ".", "--model", "faked:tiny", "--maskings",
             "black,layer,neighbor", "--segments", "patches:4,patches:8", "--device", "cpu", "--quiet")  # fmt: skip
_ALLOWED = 0.05  # growth per hour


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.memory", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--pictures", type=int, default=20000, help="more than are done in that time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder), options.pictures)
        minutes, megabytes = watch(Path(folder), options.minutes)
    for at in np.linspace(0, len(minutes) - 1, min(16, len(minutes))).astype(int):
        print(f"{minutes[at]:6.1f} min {megabytes[at]:8.1f} MiB")
    growth = growth_per_hour(minutes, megabytes)
    print(f"{growth:+.1%} per hour over the second half of {minutes[-1]:.0f} minutes")
    return int(growth > _ALLOWED)


def make_pictures(folder: Path, count: int) -> None:
    """A folder of pictures of noise, with labels."""
    generator = np.random.default_rng(0)
    lines = ["image,class_index"]
    for number in range(count):
        size = (*generator.integers(16, 40, 2), 3)
        Image.fromarray(generator.integers(0, 256, size, np.uint8)).save(folder / f"{number:06}.png")
        lines.append(f"{number:06}.png,{number % 4}")
    (folder / "labels.csv").write_text("\n".join(lines))


def watch(folder: Path, minutes: float) -> tuple[list[float], list[float]]:
    """Evaluate for so many minutes; times in minutes and memory in MiB."""
    process = subprocess.Popen([sys.executable, *_EVALUATE], cwd=folder)
    start, times, sizes = time.monotonic(), [], []
    try:
        while process.poll() is None and time.monotonic() - start < 60 * minutes:
            times.append((time.monotonic() - start) / 60)
            sizes.append(psutil.Process(process.pid).memory_info().rss / 2**20)
            time.sleep(1.0)
        if process.returncode:
            raise SystemExit(f"evaluate ended with {process.returncode}")
    finally:
        process.kill()
        process.wait()
    return times, sizes


def growth_per_hour(minutes: list[float], sizes: list[float]) -> float:
    """Relative growth per hour in the second half, by least squares."""
    half = len(sizes) // 2
    slope, _ = np.polyfit(minutes[half:], sizes[half:], 1)
    return float(60 * slope / np.mean(sizes[half:]))


if __name__ == "__main__":
    sys.exit(main())
