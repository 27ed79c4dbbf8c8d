"""The metrics as classes for pictures one after another: `update`, `compute`, `reset`.

Each class wraps the pure function of the same name.
"""

from __future__ import annotations

import math

from torch import Tensor

from ..errors import check_integer
from .ablation import Ablation, topk_ablation
from .ablator import Ablator, as_ablator
from .agreement import alignment_score, topk_jaccard
from .curves import symmetric_relevance_gain
from .inputs import Array, as_classes
from .predictions import class_entropy, linearity, unchanged_predictions
from .wordnet import wordnet_similarity

__all__ = [
    "AlignmentScore",
    "ClassEntropy",
    "Linearity",
    "Stream",
    "SymmetricRelevanceGain",
    "TopKAblation",
    "TopKJaccard",
    "UnchangedPredictions",
    "WordNetSimilarity",
]


class Stream:
    """A metric whose result is the mean over pictures.

    Attributes:
        values: One float for each picture so far, nan if undefined; an interval can be bootstrapped from them.
    """

    def __init__(self) -> None:
        self.values: list[float] = []

    @property
    def undefined(self) -> int:
        """The number of pictures with an undefined value, which the mean leaves out."""
        return sum(map(math.isnan, self.values))

    def compute(self) -> float:
        """The mean over the pictures with a defined value; nan if there are none."""
        defined = [value for value in self.values if not math.isnan(value)]
        return math.fsum(defined) / len(defined) if defined else float("nan")

    def reset(self) -> None:
        """Forget all pictures."""
        self.values.clear()

    def _add(self, value: float) -> float:
        self.values.append(value)
        return value


class AlignmentScore(Stream):
    """Mean [`alignment_score`][] over pictures.

    Example:
        >>> metric = AlignmentScore()
        >>> for mask in ([[1, 0]], [[1, 0]], [[0, 0]]):
        ...     _ = metric.update([1.0, -1.0], [[0, 1]], mask)
        >>> round(metric.compute(), 6), metric.undefined
        (1.0, 1)
    """

    def update(self, scores: Array, segments: Array, mask: Array) -> float:
        """Add a picture and return its value; arguments as for [`alignment_score`][]."""
        return self._add(alignment_score(scores, segments, mask))


class TopKJaccard(Stream):
    """Mean [`topk_jaccard`][] over pictures.

    Args:
        k: Number of segments of each picture.

    Raises:
        InputError: If k is not an integer of at least 1.

    Example:
        >>> metric = TopKJaccard(k=1)
        >>> metric.update([1.0, 0.0], [[0, 1]], [[1, 0]]), metric.update([1.0, 0.0], [[0, 1]], [[0, 1]])
        (1.0, 0.0)
        >>> metric.compute()
        0.5
    """

    def __init__(self, k: int = 20) -> None:
        super().__init__()
        self.k = check_integer(k, "k", least=1)

    def update(self, scores: Array, segments: Array, mask: Array) -> float:
        """Add a picture and return its value; arguments as for [`topk_jaccard`][]."""
        return self._add(topk_jaccard(scores, segments, mask, k=self.k))


class TopKAblation(Stream):
    """Accuracy after [`topk_ablation`][] over pictures.

    Args:
        masking: The ablator.
        k: Number of segments to remove from each picture.

    Raises:
        InputError: If an argument is invalid.

    Example:
        >>> class Dark:
        ...     name = "zero"
        ...     def __call__(self, image, presence):
        ...         return (image * presence).mean(-1)[:, 0]  # the class is the brightest row
        >>> import torch
        >>> metric = TopKAblation(Dark(), k=1)
        >>> metric.update(torch.eye(2).expand(1, 3, 2, 2), [1.0, 0.0], [[0, 0], [1, 1]]).predictions
        (1,)
        >>> metric.update(torch.ones(1, 3, 2, 2), [1.0, 0.0], [[0, 0], [1, 1]], targets=1).predictions
        (1,)
        >>> metric.masking.name, metric.compute()
        ('zero', 0.5)
    """

    def __init__(self, masking: Ablator, k: int = 20) -> None:
        super().__init__()
        self.masking = as_ablator(masking)
        self.k = check_integer(k, "k", least=1)

    def update(self, image: Tensor, scores: Array, segments: Array, targets: Array | None = None) -> Ablation:
        """Add one or more pictures and return the result; arguments as for [`topk_ablation`][]."""
        result = topk_ablation(self.masking, image, scores, segments, k=self.k, targets=targets)
        self.values.extend(map(float, result.unchanged))
        return result


class SymmetricRelevanceGain(Stream):
    """Mean [`symmetric_relevance_gain`][] over pictures.

    Args:
        masking: The ablator.
        steps: Number of steps of each curve; by default one for each segment.

    Raises:
        InputError: If an argument is invalid.

    Example:
        >>> class Dark:
        ...     name = "zero"
        ...     def __call__(self, image, presence):
        ...         return (image * presence).mean(-1)[:, 0]  # the class is the brightest row
        >>> import torch
        >>> metric = SymmetricRelevanceGain(Dark())
        >>> metric.update(torch.ones(1, 3, 2, 2), [1.0, 0.0], [[0, 0], [1, 1]], target=0) > 0
        True
    """

    def __init__(self, masking: Ablator, steps: int | None = None) -> None:
        super().__init__()
        self.masking = as_ablator(masking)
        self.steps = None if steps is None else check_integer(steps, "steps", least=1)

    def update(self, image: Tensor, scores: Array, segments: Array, target: int | None = None) -> float:
        """Add a picture and return its value; arguments as for [`symmetric_relevance_gain`][]."""
        return self._add(
            symmetric_relevance_gain(self.masking, image, scores, segments, target, steps=self.steps)
        )


class UnchangedPredictions(Stream):
    """Share of pictures with [`unchanged_predictions`][].

    Example:
        >>> metric = UnchangedPredictions()
        >>> metric.update([1, 2], [1, 0])
        >>> metric.update(3, 3)
        >>> round(metric.compute(), 3)
        0.667
    """

    def update(self, before: Array, after: Array) -> None:
        """Add one picture or N; arguments as for [`unchanged_predictions`][]."""
        unchanged_predictions(before, after)
        pairs = zip(as_classes(before, "before"), as_classes(after, "after"), strict=True)
        self.values.extend(float(one == other) for one, other in pairs)


class WordNetSimilarity(Stream):
    """Mean [`wordnet_similarity`][] over pictures.

    Example:
        >>> metric = WordNetSimilarity()
        >>> metric.update([281, 281], [282, 918])
        >>> round(metric.compute(), 3)
        0.628
    """

    def update(self, predictions: Array, targets: Array) -> None:
        """Add one picture or N; arguments as for [`wordnet_similarity`][]."""
        wordnet_similarity(predictions, targets)
        pairs = zip(as_classes(predictions, "predictions"), as_classes(targets, "targets"), strict=True)
        self.values.extend(wordnet_similarity(one, other) for one, other in pairs)


class Linearity(Stream):
    """Mean [`linearity`][] over pictures.

    Example:
        >>> metric = Linearity()
        >>> round(metric.update([1.0, 0.0], [[1.0, 1.0]]), 3)
        0.707
    """

    def update(self, whole: Array, parts: Array) -> float:
        """Add a picture and return its value; arguments as for [`linearity`][]."""
        return self._add(linearity(whole, parts))


class ClassEntropy:
    """[`class_entropy`][] over all pictures so far; the entropy of one distribution, not a mean.

    Attributes:
        predictions: The predicted class of each picture so far.

    Example:
        >>> metric = ClassEntropy()
        >>> metric.update([1, 1])
        >>> metric.update(2)
        >>> round(metric.compute(), 3)
        0.637
    """

    def __init__(self) -> None:
        self.predictions: list[int] = []

    def update(self, predictions: Array) -> None:
        """Add the predicted class of one picture or N."""
        self.predictions.extend(map(int, as_classes(predictions, "predictions")))

    def compute(self) -> float:
        """The entropy in nats; nan without pictures."""
        return class_entropy(self.predictions) if self.predictions else float("nan")

    def reset(self) -> None:
        """Forget all pictures."""
        self.predictions.clear()
