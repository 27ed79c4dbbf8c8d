"""How long an evaluation takes, from a short measurement of forward passes."""

from __future__ import annotations

import os
import time
from collections import Counter

import numpy as np
import torch

from ...engine.runtime import auto_batch_size
from ...explain.predictor import Predictor, load_model
from ...maskings import make
from .agenda import Agenda, input_size
from .source import Source
from .worker import device_of

__all__ = ["estimate", "speed"]

_SECONDS = 2.0
_SIDE = 14  # what is present is drawn from so many by so many cells


def estimate(
    agenda: Agenda, device: str = "auto", batch_size: int | None = None, workers: int = 1, here: bool = True
) -> float:
    """Estimate how long the forward passes of an agenda take.

    Args:
        agenda: The agenda.
        device: "auto" or a device.
        batch_size: How many pictures go through a model at once; None for what suits it.
        workers: How many work at the same time.
        here: Whether they share this machine's processors; otherwise each has as many as this machine.

    Returns:
        Seconds. Reading and cutting pictures comes on top, and so does whatever a protocol computes of the answers.
    """
    passes: Counter[tuple[Source, str, str]] = Counter()
    for entry in agenda.entries:
        passes[entry.source, entry.unit.masking, entry.unit.precision] += entry.passes
    threads = torch.get_num_threads()
    if here:
        torch.set_num_threads(max(1, min(threads, (os.cpu_count() or 1) // workers)))
    try:
        rates = {one: speed(*one, device_of(device, ""), batch_size) for one in passes}
    finally:
        torch.set_num_threads(threads)
    return sum(count / rates[one] for one, count in passes.items()) / workers


def speed(source: Source, masking: str, precision: str, device: str, batch_size: int | None = None) -> float:
    """Measure a masked model.

    Args:
        source: The model.
        masking: The masking's name.
        precision: The arithmetic.
        device: Where it runs.
        batch_size: How many pictures go through it at once; None for what suits it.

    Returns:
        Forward passes per second, measured for about two seconds after a first batch.
    """
    classifier = source.load(device)
    loaded = load_model(classifier, None, precision, "auto")
    generator = np.random.default_rng(0)
    height, width = input_size(classifier)
    picture = generator.integers(0, 255, (height, width, 3), np.uint8)
    image = loaded.input(loaded.classifier.preprocess.normalize(picture))
    segments = np.arange(height)[:, None] * _SIDE // height * _SIDE + np.arange(width) * _SIDE // width
    predictor = Predictor(
        make(masking, loaded.network, loaded.classifier.preprocess), image, segments, loaded.arithmetic.autocast
    )
    size = batch_size or auto_batch_size(height, width, loaded.device)
    done, start, elapsed = 0, 0.0, 0.0
    while elapsed < _SECONDS:
        keep = generator.random((size, _SIDE**2)) < 0.5
        predictor.predict(keep, [0], size)
        if not start:
            start = time.perf_counter()  # the first batch captures the model
            continue
        done += size
        elapsed = time.perf_counter() - start
    return done / elapsed
