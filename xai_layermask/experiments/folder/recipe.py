"""`Recipe`: how every picture of a folder is explained."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from ...explain import LayerMaskExplainer
from ...models import Classifier, Output
from ..runner import ModelSpec

__all__ = ["Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How to explain pictures, for any worker.

    Attributes:
        model: How to load the model.
        labels: Names of the classes; None for the model's own.
        targets: Classes to explain, by name or index; empty for the most probable ones.
        top: Number of most probable classes.
        masking: Name of the masking.
        segments: Name of the segmentation, or "auto".
        method: Name of the method.
        n_samples: Number of samples, or "auto".
        sampling: Name of the sampling.
        estimator: Name of the estimator.
        window: Side of a window in pixels, or "auto".
        batch_size: Pictures in a forward pass, or "auto".
        precision: "auto", "float32", "float64", "bfloat16" or "float16".
        seed: Seed of the samples.
        output: What is explained.
        select: The part of the model's output that is explained.

    Example:
        >>> '"method": "rise"' in Recipe(ModelSpec("lite0"), method="rise").settings()
        True
    """

    model: ModelSpec
    labels: tuple[str, ...] | None = None
    targets: tuple[str, ...] = ()
    top: int = 1
    masking: str = "layer"
    segments: str = "auto"
    method: str = "lime"
    n_samples: int | str = "auto"
    sampling: str = "auto"
    estimator: str = "auto"
    window: int | str = "auto"
    batch_size: int | str = "auto"
    precision: str = "auto"
    seed: int = 0
    output: str = "auto"
    select: str | int | None = None

    def settings(self) -> str:
        """What changes results and has no field of its own in a trial, as canonical JSON."""
        names = ("targets", "top", "method", "n_samples", "sampling", "estimator", "window", "output", "select")
        content = {name: getattr(self, name) for name in names}
        digest = hashlib.sha256(json.dumps(self.labels).encode()).hexdigest()[:16]  # thousands of names are too many
        return json.dumps(content | {"labels": digest}, sort_keys=True)

    def explainer(self, classifier: Classifier) -> LayerMaskExplainer:
        """The explainer of a classifier that was loaded as `model` says.

        Raises:
            InputError: If an option does not fit the model.
        """
        labelled = classifier if self.labels is None else replace(classifier, labels=self.labels)
        return LayerMaskExplainer(
            labelled, self.method, self.masking, self.segments, self.n_samples, self.batch_size, self.precision,
            seed=self.seed, progress=False, sampling=self.sampling, estimator=self.estimator,
            output=Output(self.output, self.select), window=self.window,
        )  # fmt: skip
