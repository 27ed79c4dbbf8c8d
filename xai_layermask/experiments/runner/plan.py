"""`WorkPlan`: the trials of an evaluation that are not in the store yet."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ... import __version__
from ...dataset import Dataset, Item
from ...errors import InputError
from ...images.read import sample_photograph
from ...maskings.registry import pin
from ...segments import segment
from ..protocols import MaskedClassifier, Protocol
from ..store import Store
from ..trial import Trial
from .model_spec import ModelSpec, load_model

__all__ = ["PlannedTrial", "WorkPlan", "select_items", "work_plan"]


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A trial to run.

    Attributes:
        trial: The trial.
        model: Its model.
        item: Its picture.
        passes: Approximate number of forward passes.
    """

    trial: Trial
    model: ModelSpec
    item: Item
    passes: int


@dataclass(frozen=True)
class WorkPlan:
    """The trials of an evaluation.

    Attributes:
        protocol: The protocol.
        planned: The trials to run, model by model and picture by picture.
        done: Number of trials that are in the store already.
        pictures: Number of pictures.
        skipped: For each picture that is left out, what is wrong with it.
    """

    protocol: Protocol
    planned: tuple[PlannedTrial, ...]
    done: int
    pictures: int
    skipped: tuple[str, ...]

    @property
    def passes(self) -> int:
        """Approximate number of forward passes to run."""
        return sum(planned.passes for planned in self.planned)


def select_items(dataset: Dataset, limit: int | None = None, shuffle_seed: int | None = None) -> Dataset:
    """Keep the first pictures of a dataset.

    Args:
        dataset: The dataset.
        limit: How many pictures to keep; None keeps all. A higher limit keeps those of a lower one.
        shuffle_seed: Seed to shuffle the pictures with before that; None keeps their order.
    """
    items = list(dataset.items)
    if shuffle_seed is not None:
        random.Random(shuffle_seed).shuffle(items)
    return replace(dataset, items=tuple(items[:limit]))


def work_plan(
    protocol: Protocol,
    dataset: Dataset,
    models: Sequence[ModelSpec],
    maskings: Sequence[str] = (),
    segments: Sequence[str] = (),
    store: Store | None = None,
    seed: int = 0,
    precision: str = "auto",
    strict: bool = False,
) -> WorkPlan:
    """Plan an evaluation.

    Loads every model and tries every name, so that mistakes show before anything runs.

    Args:
        protocol: The protocol.
        dataset: The pictures.
        models: The models.
        maskings: Names for [`make`][xai_layermask.maskings.make]; the protocol's own by default.
        segments: Names for [`segment`][xai_layermask.segments.segment]; the protocol's own by default.
        store: Store with earlier results.
        seed: Seed of all random choices.
        precision: "auto", "float32", "float64", "bfloat16" or "float16".
        strict: Whether a wrong picture is an error. Otherwise it is left out.

    Raises:
        InputError: If a name is unknown, a model cannot be loaded, no picture is left, or `strict` and a picture is
            wrong.
    """
    variants = tuple(dict.fromkeys((pin(masking), how) for masking, how in protocol.variants(maskings, segments)))
    pictures, problems = _digested(protocol, dataset)
    skipped = (*dataset.skipped, *problems)
    if strict and skipped:
        raise InputError(skipped[0])
    if not pictures:
        found = f"none, since {skipped[0]}" if skipped else "none"
        raise InputError.expected(f"a picture that can be measured in dataset {dataset.name!r}", found)
    planned: list[PlannedTrial] = []
    done = 0
    for model in dict.fromkeys(models):
        loaded, digest_of_model = load_model(model)
        classifier = MaskedClassifier(loaded, precision)
        _try_names(classifier, variants)
        passes = {how: protocol.passes(*classifier.input_size, how) for _, how in variants}
        found_trials = [
            PlannedTrial(
                Trial(protocol.name, protocol.settings(), model.name, digest_of_model, masking, how, item.name, digest,
                      seed, classifier.precision, __version__),
                model, item, passes[how],
            )
            for item, digest in pictures
            for masking, how in variants
        ]  # fmt: skip
        stored = store.done(one.trial.key for one in found_trials) if store is not None else set()
        planned += (one for one in found_trials if one.trial.key not in stored) if stored else found_trials
        done += len(stored)
    return WorkPlan(protocol, tuple(planned), done, len(pictures), skipped)


def _try_names(classifier: MaskedClassifier, variants: Sequence[tuple[str, str]]) -> None:
    for masking in sorted({masking for masking, _ in variants}):
        classifier.masking(masking)
    photograph = classifier.preprocess(sample_photograph()).picture
    for segmentation in sorted({segmentation for _, segmentation in variants if segmentation}):
        segment(photograph, segmentation)


def _digested(protocol: Protocol, dataset: Dataset) -> tuple[list[tuple[Item, str]], tuple[str, ...]]:
    """The usable pictures with their digests, and what is wrong with the others."""

    def digest(item: Item) -> tuple[str, str]:
        if protocol.needs_masks and item.source is None:
            return "", str(InputError.expected(f"an object mask of {item.name!r} for {protocol.name}", "none"))
        try:
            return item.digest(), ""
        except InputError as error:
            return "", str(error)

    found: dict[str, tuple[Item, str]] = {}
    problems = []
    with ThreadPoolExecutor() as readers:  # reading files mostly waits for the disk
        for item, (value, problem) in zip(dataset.items, readers.map(digest, dataset.items), strict=True):
            if item.name in found:
                problem = str(InputError.expected("unique names of pictures", f"several {item.name!r}", "rename them"))
            if problem:
                problems.append(problem)
            else:
                found[item.name] = item, value
    return list(found.values()), tuple(problems)
