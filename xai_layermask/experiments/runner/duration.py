"""How long an evaluation will take, from a short measurement."""

from __future__ import annotations

import os
import time
from collections import Counter

import numpy as np
import torch

from ..protocols import MaskedClassifier
from .model_spec import ModelSpec, take_model
from .plan import WorkPlan
from .worker import device_of_worker

__all__ = ["estimate_duration", "measure_speed"]

_SECONDS = 2.0
_GRID = 14  # segments along each side of the picture


def estimate_duration(
    plan: WorkPlan, device: str = "auto", batch_size: int | None = None, workers: int = 1, local: bool = True
) -> float:
    """Estimate how long the forward passes of a plan take, by running some of them.

    Args:
        plan: The plan.
        device: "auto" or a device.
        batch_size: Pictures in a forward pass; None for a default that suits their size.
        workers: Number of workers.
        local: Whether they share the cores of this machine. Otherwise each has as many as this machine.

    Returns:
        Seconds, without reading and segmenting pictures and without what protocols compute from predictions.
    """
    passes: dict[tuple[ModelSpec, str], Counter[str]] = {}
    for one in plan.planned:
        counts = passes.setdefault((one.model, one.trial.precision), Counter())
        counts[one.trial.masking] += one.passes
    threads = torch.get_num_threads()
    if local:
        torch.set_num_threads(max(1, min(threads, (os.cpu_count() or 1) // workers)))
    seconds = 0.0
    try:
        for (model, precision), counts in passes.items():
            loaded, _ = take_model(model, device_of_worker(device, None))
            classifier = MaskedClassifier(loaded, precision, batch_size)
            seconds += sum(count / measure_speed(classifier, masking) for masking, count in counts.items())
    finally:
        torch.set_num_threads(threads)
    return seconds / workers


def measure_speed(classifier: MaskedClassifier, masking: str) -> float:
    """Forward passes per second of a masked model, measured for about two seconds after the model is captured."""
    generator = np.random.default_rng(0)
    height, width = classifier.input_size
    image = classifier.to_image(generator.integers(0, 255, (height, width, 3), np.uint8))
    segments = np.arange(height)[:, None] * _GRID // height * _GRID + np.arange(width) * _GRID // width
    size = classifier.batch_size(image)
    done, start, elapsed = 0, 0.0, 0.0
    while elapsed < _SECONDS:
        classifier.predict(image, masking, segments, generator.random((size, _GRID**2)) < 0.5)
        if start:
            done += size
            elapsed = time.perf_counter() - start
        else:  # the first batch captures the model
            start = time.perf_counter()
    return done / elapsed
