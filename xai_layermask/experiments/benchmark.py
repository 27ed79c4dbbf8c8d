"""The cost of layer masking: forward passes and explanations against alternatives, as ratios within one run.

Speed drifts on any machine, so contenders take turns, and times are compared within each round.
"""

from __future__ import annotations

import copy
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..engine.batching import auto_batch_size, batched_predict
from ..engine.runtime import first_parameter
from ..engine.twin import evaluating
from ..explain import LayerMaskExplainer
from ..images import Preprocess, sample_photograph
from ..maskings import COLOURS, Fill, LayerMask, Reference
from ..segments import presence_of, segment

__all__ = [
    "EXPLANATIONS",
    "FORWARDS",
    "REFERENCE",
    "STOCK",
    "BenchmarkCase",
    "Timing",
    "benchmark_case",
    "peak_memory",
    "time_in_turns",
]

Contender = Callable[[], object]

#: The forward pass that others are compared with: the plain model in its faster layout.
REFERENCE = "plain, channels last"
FORWARDS = ("plain, as given", REFERENCE, "grey fill", "layer masking", "layer masking, literal")
#: The explanation that others are compared with.
STOCK = "Captum Lime, grey"
EXPLANATIONS = (
    "LayerMaskExplainer",
    "LayerMaskExplainer, float32",
    STOCK,
    "Captum KernelShap, grey",
    "lime, grey",
)


@dataclass(frozen=True)
class Timing:
    """The time of a contender.

    Attributes:
        name: The contender.
        ratio: Median over rounds of its time divided by the reference's in the same round.
        seconds: Its median time.
    """

    name: str
    ratio: float
    seconds: float


def time_in_turns(
    contenders: Mapping[str, Contender], reference: str, rounds: int, advance: Callable[[], object] = lambda: None
) -> list[Timing]:
    """Time contenders in turns, after each has run once.

    Args:
        contenders: Functions by name.
        reference: Name of the contender that the others are divided by.
        rounds: How often each is timed.
        advance: Called after each run.

    Example:
        >>> [timing.name for timing in time_in_turns({"a": lambda: sum(range(9)), "b": lambda: None}, "b", rounds=3)]
        ['a', 'b']
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            start = time.perf_counter()
            contender()
            if torch.accelerator.is_available():
                torch.accelerator.synchronize()  # launches return before the work is done
            if number:
                seconds[name].append(time.perf_counter() - start)
            advance()
    return [
        Timing(
            name,
            statistics.median(own / other for own, other in zip(found, seconds[reference], strict=True)),
            statistics.median(found),
        )
        for name, found in seconds.items()
    ]


@dataclass(frozen=True)
class BenchmarkCase:
    """A model with a photograph and its segments.

    Attributes:
        model: The network, in evaluation mode.
        preprocess: Its preprocessing.
        image: `(1, 3, H, W)`, normalised.
        picture: uint8 `(H, W, 3)`.
        segments: int64 `(H, W)`.
        batch: Images in a forward pass.
        generator: Source of the masks.
        masking: Layer masking of the model, captured once for all sizes of batches.
    """

    model: nn.Module
    preprocess: Preprocess
    image: Tensor
    picture: Any
    segments: Any
    batch: int
    generator: np.random.Generator
    masking: LayerMask

    def presence(self) -> Tensor:
        """New presence masks `(batch, 1, H, W)` with half of the segments absent."""
        coalitions = self.generator.random((self.batch, int(self.segments.max()) + 1)) < 0.5
        return presence_of(self.segments, torch.from_numpy(coalitions).to(self.image.device))

    def forward(self, name: str) -> Contender:
        """A function that runs one of `FORWARDS` on a batch, with new masks each time."""
        image = self.image.expand(self.batch, -1, -1, -1).contiguous()
        if name == "plain, as given":
            return lambda: self.model(image)
        if name == REFERENCE:
            model = copy.deepcopy(self.model).to(memory_format=torch.channels_last)
            channels_last = image.contiguous(memory_format=torch.channels_last)
            return lambda: model(channels_last)
        if name == "grey fill":
            bound = Fill(self.model, "grey", self.preprocess).bind(self.image)
        else:
            bound = (self.masking if name == "layer masking" else Reference(self.model)).bind(self.image)
        # In batches of the size that explanations take by default.
        size = min(self.batch, auto_batch_size(self.image.shape[2], self.image.shape[3], self.image.device))
        return lambda: batched_predict(bound, self.presence(), size)[0]

    def explanation(self, name: str, samples: int) -> Contender:
        """A function that explains the photograph by one of `EXPLANATIONS`."""
        if name.startswith("LayerMaskExplainer"):
            precision = "float32" if name.endswith("float32") else "auto"
            explainer = LayerMaskExplainer(
                self.model, segments=self.segments, n_samples=samples, preprocess=self.preprocess, progress=False,
                precision=precision,
            )  # fmt: skip
            return lambda: explainer.explain(self.picture)
        return self._lime(samples) if name == "lime, grey" else self._captum(name, samples)

    def _captum(self, name: str, samples: int) -> Contender:
        import captum.attr

        method = (captum.attr.Lime if "Lime" in name else captum.attr.KernelShap)(self.model)
        with torch.inference_mode():
            target = int(self.model(self.image).argmax())
        options = {
            "baselines": self.preprocess.color(COLOURS["grey"]).to(self.image).expand_as(self.image).contiguous(),
            "target": target,
            "feature_mask": torch.from_numpy(self.segments)[None, None].to(self.image.device),
            "n_samples": samples,
            "perturbations_per_eval": 16,
        }
        return lambda: method.attribute(self.image, **options)

    def _lime(self, samples: int) -> Contender:
        from lime.lime_image import LimeImageExplainer

        def classify(pictures: Any) -> Any:
            image = torch.cat([self.preprocess.normalize(one) for one in pictures]).to(self.image)
            with torch.inference_mode():
                return self.model(image).softmax(1).cpu().numpy()

        def explain() -> None:
            with redirect_stderr(StringIO()):  # its progress bar cannot be turned off
                LimeImageExplainer(random_state=0).explain_instance(
                    self.picture, classify, hide_color=np.array(COLOURS["grey"]), num_samples=samples, batch_size=16,
                    segmentation_fn=lambda picture: self.segments, top_labels=1,
                )  # fmt: skip

        return explain

    def overhead(self, samples: int) -> float:
        """The fraction of an explanation's time that is spent outside forward passes."""
        masking = LayerMask(self.model)
        explainer = LayerMaskExplainer(
            self.model, masking=masking, segments=self.segments, n_samples=samples, preprocess=self.preprocess,
            progress=False,
        )  # fmt: skip
        explainer.explain(self.picture)
        inside = started = 0.0

        def begin(*_: object) -> None:
            nonlocal started
            started = time.perf_counter()

        def end(*_: object) -> None:
            nonlocal inside
            inside += time.perf_counter() - started

        hooks = [masking.register_forward_pre_hook(begin), masking.register_forward_hook(end)]
        start = time.perf_counter()
        explainer.explain(self.picture)
        total = time.perf_counter() - start
        for hook in hooks:
            hook.remove()
        return 1.0 - inside / total


def benchmark_case(model: nn.Module, size: tuple[int, int], segments: str, batch: int) -> BenchmarkCase:
    """Set up a model with scikit-image's photograph.

    Args:
        model: The network, on its device.
        size: Height and width of its input.
        segments: Name of a segmentation, as [`segment`][xai_layermask.segments.segment] takes it.
        batch: Images in a forward pass.

    Raises:
        InputError: If the segmentation is unknown.
    """
    preprocess = Preprocess(min(size), size)
    image, picture = preprocess(sample_photograph())
    image = image.to(first_parameter(model).device)
    ids = segment(picture, segments)
    model, generator = evaluating(model), np.random.default_rng(0)
    return BenchmarkCase(model, preprocess, image, picture, ids, batch, generator, LayerMask(model))


def peak_memory() -> int | None:
    """Peak memory of this process in bytes; None if the system does not report it."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    try:
        # On Linux, `getrusage` starts with the peak of the parent process.
        status = Path("/proc/self/status").read_text()
    except OSError:
        status = ""
    if found := re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE):
        return int(found[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
