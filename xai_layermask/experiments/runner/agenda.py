"""`Agenda`: the units that an evaluation consists of, and which of them are still to be done."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ... import __version__
from ...dataset import Dataset, Item
from ...errors import InputError
from ...explain.predictor import load_model
from ...images import sample_photograph
from ...maskings import make
from ...models import Classifier
from ...segments import segment
from ..protocols import Protocol
from ..store import Store, Unit
from .source import Source, digest

__all__ = ["Agenda", "Entry", "agenda", "chosen", "input_size"]

_USUAL = 224


@dataclass(frozen=True, slots=True)
class Entry:
    """A unit that is to be done.

    Attributes:
        unit: The unit.
        source: Its model.
        item: Its picture.
        passes: How many forward passes it takes, about.
    """

    unit: Unit
    source: Source
    item: Item
    passes: int


@dataclass(frozen=True)
class Agenda:
    """What an evaluation consists of.

    Attributes:
        protocol: The experiment.
        entries: What is to be done, model by model and picture by picture.
        done: How many units are in the store already.
        pictures: How many pictures there are.
        skipped: A sentence for each picture that is left out.
    """

    protocol: Protocol
    entries: tuple[Entry, ...]
    done: int
    pictures: int
    skipped: tuple[str, ...]

    @property
    def passes(self) -> int:
        """How many forward passes are to be done, about."""
        return sum(entry.passes for entry in self.entries)


def chosen(dataset: Dataset, limit: int | None = None, shuffle_seed: int | None = None) -> Dataset:
    """Take some pictures of a dataset.

    Args:
        dataset: The dataset.
        limit: How many at most; None for all.
        shuffle_seed: Takes them at random, the same for the same seed; None keeps their order.

    Returns:
        The dataset with these pictures only. A higher limit keeps those of a lower one.
    """
    items = list(dataset.items)
    if shuffle_seed is not None:
        random.Random(shuffle_seed).shuffle(items)
    return replace(dataset, items=tuple(items[:limit]))


def agenda(
    protocol: Protocol,
    dataset: Dataset,
    sources: Sequence[Source],
    maskings: Sequence[str] = (),
    segments: Sequence[str] = (),
    store: Store | None = None,
    seed: int = 0,
    precision: str = "auto",
    strict: bool = False,
) -> Agenda:
    """Find out what is to be done.

    Every model is loaded once, and every name is tried, so that what cannot work fails before anything runs.

    Args:
        protocol: The experiment.
        dataset: The pictures.
        sources: The models.
        maskings: Names that [`make`][] knows; the protocol's own if there are none.
        segments: Names that [`segment`][] knows; the protocol's own if there are none.
        store: Where the results are; None for none yet.
        seed: Where randomness comes from.
        precision: "auto", "float32", "float64" or "bfloat16".
        strict: Whether a picture that cannot be measured is an error; otherwise it is left out.

    Returns:
        The agenda.

    Raises:
        InputError: If a name or a model does not do, no picture is left, or `strict` and a picture is wrong.
    """
    variants = tuple(dict.fromkeys(protocol.variants(maskings, segments)))
    pictures, skipped = _fingerprinted(protocol, dataset)
    if strict and (*dataset.skipped, *skipped):
        raise InputError((*dataset.skipped, *skipped)[0])
    if not pictures:
        said = next(iter((*dataset.skipped, *skipped)), "it has none")
        raise InputError(f"dataset {dataset.name!r} must have a picture that can be measured, but none is left: {said}")
    entries: list[Entry] = []
    done = 0
    for source in dict.fromkeys(sources):
        classifier = source.load()
        for masking in sorted({masking for masking, _ in variants}):
            make(masking, classifier.model, classifier.preprocess)
        photograph = classifier.preprocess(sample_photograph()).picture
        for how in sorted({how for _, how in variants if how}):
            segment(photograph, how)
        passes = {how: protocol.passes(*input_size(classifier), how) for _, how in variants}
        known = (source.name, digest(classifier))
        arithmetic = load_model(classifier, None, precision, "auto").arithmetic.precision
        found = [
            Entry(
                Unit(protocol.name, protocol.settings(), *known, masking, how, item.name, fingerprint, seed, arithmetic,
                     __version__),
                source, item, passes[how],
            )
            for item, fingerprint in pictures
            for masking, how in variants
        ]  # fmt: skip
        there = store.done(entry.unit.key for entry in found) if store is not None else set()
        entries += (entry for entry in found if entry.unit.key not in there) if there else found
        done += len(there)
    return Agenda(protocol, tuple(entries), done, len(pictures), (*dataset.skipped, *skipped))


def input_size(classifier: Classifier) -> tuple[int, int]:
    """The height and width of a model's input, or what is usual where its pictures keep their size."""
    size = classifier.preprocess.crop or classifier.preprocess.resize or _USUAL
    return size if isinstance(size, tuple) else (size, size)


def _fingerprinted(protocol: Protocol, dataset: Dataset) -> tuple[list[tuple[Item, str]], tuple[str, ...]]:
    """The pictures that can be measured with their digests, and sentences about the others."""

    def of(item: Item) -> tuple[str, str]:
        if protocol.needs_masks and item.source is None:
            return "", f"{item.name!r} must have an object mask for {protocol.name}, but it has none: give one."
        try:
            return item.digest(), ""
        except InputError as error:
            return "", str(error)

    found: dict[str, tuple[Item, str]] = {}
    skipped = []
    with ThreadPoolExecutor() as readers:  # who reads files waits for the disk most of the time
        for item, (value, problem) in zip(dataset.items, readers.map(of, dataset.items), strict=True):
            if item.name in found:
                problem = f"the name {item.name!r} must be that of one picture, but several have it: rename them."
            if problem:
                skipped.append(problem)
            else:
                found[item.name] = item, value
    return list(found.values()), tuple(skipped)
