"""What layer masking costs: forward passes and whole explanations against their rivals, as ratios within one run.

Machines are noisy, and drift: contenders take turns, round by round, and what is compared is the ratio within a round.
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

from ..engine.capture import evaluating
from ..engine.runtime import auto_batch_size, batched_predict, first_parameter
from ..explain.explainer import LayerMaskExplainer
from ..images import Preprocess, sample_photograph
from ..maskings import COLOURS, Fill, LayerMask, Reference
from ..segments import presence_of, segment

__all__ = ["EXPLANATIONS", "FORWARDS", "REFERENCE", "STOCK", "Race", "Trial", "peak_memory", "race", "trial"]

Contender = Callable[[], object]

#: The plain model in the layout that suits it, with which forward passes are compared.
REFERENCE = "plain, channels last"
FORWARDS = ("plain, as given", REFERENCE, "grey fill", "layer masking", "layer masking, literal")
#: What explanations are compared with.
STOCK = "Captum Lime, grey"
EXPLANATIONS = (
    "LayerMaskExplainer",
    "LayerMaskExplainer, float32",
    STOCK,
    "Captum KernelShap, grey",
    "lime, grey",
)


@dataclass(frozen=True)
class Race:
    """How a contender did.

    Attributes:
        name: The contender.
        ratio: Median over rounds of its time over the reference's in the same round.
        seconds: Median time.
    """

    name: str
    ratio: float
    seconds: float


def race(
    contenders: Mapping[str, Contender], reference: str, rounds: int, advance: Callable[[], object] = lambda: None
) -> list[Race]:
    """Time contenders in turns, after each has run once.

    Args:
        contenders: What is timed, by name.
        reference: The contender that the others are divided by.
        rounds: How often each runs.
        advance: Called after each run.

    Returns:
        A result for each contender, in their order.

    Example:
        >>> [one.name for one in race({"a": lambda: sum(range(9)), "b": lambda: None}, "b", 3)]
        ['a', 'b']
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for count in range(rounds + 1):
        for name, contender in contenders.items():
            start = time.perf_counter()
            contender()
            if count:
                seconds[name].append(time.perf_counter() - start)
            advance()
    return [
        Race(
            name,
            statistics.median(mine / other for mine, other in zip(found, seconds[reference], strict=True)),
            statistics.median(found),
        )
        for name, found in seconds.items()
    ]


@dataclass(frozen=True)
class Trial:
    """A model with a photograph, its segments, and masks that are new for every batch.

    Attributes:
        model: The network, in evaluation mode.
        preprocess: From the photograph to its input.
        image: `(1, 3, H, W)`.
        picture: uint8 `(H, W, 3)`.
        segments: int64 `(H, W)`.
        batch: Images in a forward pass.
        generator: Where the masks come from.
    """

    model: nn.Module
    preprocess: Preprocess
    image: Tensor
    picture: Any
    segments: Any
    batch: int
    generator: np.random.Generator

    def presence(self) -> Tensor:
        """Presence `(batch, 1, H, W)` with half of the segments absent."""
        keep = self.generator.random((self.batch, int(self.segments.max()) + 1)) < 0.5
        return presence_of(self.segments, torch.from_numpy(keep).to(self.image.device))

    def forward(self, name: str) -> Contender:
        """One of `FORWARDS`, as a function that runs a batch; everything that a new mask needs is included."""
        image = self.image.expand(self.batch, -1, -1, -1).contiguous()
        if name == "plain, as given":
            return lambda: self.model(image)
        if name == REFERENCE:
            model = copy.deepcopy(self.model).to(memory_format=torch.channels_last)
            laid = image.contiguous(memory_format=torch.channels_last)
            return lambda: model(laid)
        if name == "grey fill":
            bound = Fill(self.model, "grey", self.preprocess).bind(self.image)
        else:
            kind = LayerMask if name == "layer masking" else Reference
            bound = kind(self.model).bind(self.image)
        # In batches of the size that explanations take by default.
        size = min(self.batch, auto_batch_size(self.image.shape[2], self.image.shape[3], self.image.device))
        return lambda: batched_predict(bound, self.presence(), size)[0]

    def explanation(self, name: str, samples: int) -> Contender:
        """One of `EXPLANATIONS`, as a function that explains the photograph."""
        if name.startswith("LayerMaskExplainer"):
            explainer = LayerMaskExplainer(
                self.model, segments=self.segments, n_samples=samples, preprocess=self.preprocess, progress=False,
                precision="float32" if name.endswith("float32") else "auto",
            )  # fmt: skip
            return lambda: explainer.explain(self.picture)
        if name == "lime, grey":
            return self._lime(samples)
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
            with redirect_stderr(StringIO()):  # its progress bar has no switch
                LimeImageExplainer(random_state=0).explain_instance(
                    self.picture, classify, hide_color=np.array(COLOURS["grey"]), num_samples=samples, batch_size=16,
                    segmentation_fn=lambda picture: self.segments, top_labels=1,
                )  # fmt: skip

        return explain

    def overhead(self, samples: int) -> float:
        """Which part of an explanation's time goes by outside of forward passes."""
        masking = LayerMask(self.model)
        explainer = LayerMaskExplainer(
            self.model, masking=masking, segments=self.segments, n_samples=samples, preprocess=self.preprocess,
            progress=False,
        )  # fmt: skip
        explainer.explain(self.picture)
        inside, begun = [0.0], [0.0]

        def begin(*_: object) -> None:
            begun[0] = time.perf_counter()

        def end(*_: object) -> None:
            inside[0] += time.perf_counter() - begun[0]

        hooks = [masking.register_forward_pre_hook(begin), masking.register_forward_hook(end)]
        start = time.perf_counter()
        explainer.explain(self.picture)
        total = time.perf_counter() - start
        for hook in hooks:
            hook.remove()
        return 1.0 - inside[0] / total


def trial(model: nn.Module, size: tuple[int, int], segments: str, batch: int) -> Trial:
    """Set a model before scikit-image's photograph.

    Args:
        model: The network, on the device that it is to be timed on.
        size: The height and width of its input.
        segments: How the photograph is cut, as [`segment`][xai_layermask.segments.segment] takes it.
        batch: Images in a forward pass.

    Returns:
        The trial.

    Raises:
        InputError: If there are no such segments.
    """
    preprocess = Preprocess(min(size), size)
    image, picture = preprocess(sample_photograph())
    cut = segment(picture, segments)
    image = image.to(first_parameter(model).device)
    return Trial(evaluating(model), preprocess, image, picture, cut, batch, np.random.default_rng(0))


def peak_memory() -> int | None:
    """The most memory in bytes that this process ever held; None where the system does not tell."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    try:
        # What `getrusage` says on Linux begins with the peak of the process that started this one.
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
