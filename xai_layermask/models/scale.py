"""`Scale`: from a model's numbers to those that are explained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ..errors import InputError

__all__ = ["Scale", "check_finite", "sums_to_one"]


@dataclass(frozen=True)
class Scale:
    """From a model's numbers to those that are explained.

    Attributes:
        name: One of the scales of an `Output`, but not "auto".
        given: "logits", "probabilities" or "values".
        independent: Whether each output has a probability of its own, a sigmoid; otherwise they share a softmax.
    """

    name: str
    given: str
    independent: bool = False

    def __call__(self, tensor: Tensor) -> Tensor:
        """Bring the model's numbers to the scale that is explained.

        Args:
            tensor: `(N, K)` or `(N, K, ...)`; classes along the second dimension.

        Returns:
            The same shape, float64 on the CPU.
        """
        x = _exact(tensor)
        if self.name in ("value", "logit"):
            return x
        if self.name in ("probability", "sigmoid"):
            return x if self.given == "probabilities" else self._probabilities(x)
        if self.given == "probabilities":
            # 0 and 1 stand for what the model's precision cannot tell from them.
            limits = torch.finfo(tensor.dtype)
            x = x.clamp(limits.tiny, 1 - limits.eps / 2)
            return x.log() if self.name == "log_probability" else torch.logit(x)
        if self.name == "log_probability":
            return logsigmoid(x) if self.independent else x.log_softmax(1)
        return x if self.independent else x - _log_others(x)

    def probabilities(self, tensor: Tensor) -> Tensor | None:
        """The probabilities that belong to the model's numbers, as `__call__` returns them; None for values."""
        if self.given == "values":
            return None
        x = _exact(tensor)
        return x if self.given == "probabilities" else self._probabilities(x)

    def regions(self, tensor: Tensor) -> Tensor | None:
        """Where a map `(1, K, H, W)` predicts each class, bool `(K, H, W)`; None for other outputs."""
        if tensor.dim() != 4:
            return None
        probabilities = self.probabilities(tensor)
        if probabilities is not None and self.independent:
            return probabilities[0] > 0.5
        likeliest = tensor[0].argmax(0).cpu()
        return torch.nn.functional.one_hot(likeliest, tensor.shape[1]).movedim(2, 0).bool()

    def _probabilities(self, x: Tensor) -> Tensor:
        return x.sigmoid() if self.independent else x.softmax(1)

    @property
    def sentence(self) -> str:
        """What is explained, in words for figures and tables."""
        if self.name == "value":
            return "the model's output as it is"
        if self.name == "logit":
            return "logit, as the model returns it"
        what = {"log_probability": "logarithm of the probability", "log_odds": "log-odds"}.get(self.name, "probability")
        if self.given == "probabilities":
            if what == "probability":
                return "probability, as the model returns it"
            return f"{what} of the model's probability" if what == "log-odds" else f"{what} that the model returns"
        return f"{what} (sigmoid of the output)" if self.independent else f"{what} (softmax of the outputs)"


def sums_to_one(whole: Tensor) -> bool:
    """Whether the rows of `(N, K, ...)` are probabilities that sum to 1 over at least two classes."""
    if whole.dim() < 2 or whole.shape[1] < 2:
        return False
    x = _exact(whole)
    return bool((x >= 0).all()) and bool(((x.sum(1) - 1).abs() < 1e-3).all())


def _exact(tensor: Tensor) -> Tensor:
    """In float64; on the CPU, since not every accelerator has float64."""
    return tensor.detach().cpu().double()


def _log_others(x: Tensor) -> Tensor:
    """For each class the logarithm of the summed exponentials of all others, exact also for a class near 1."""
    likeliest = x.argmax(1, keepdim=True)
    others = x.logsumexp(1, keepdim=True) + torch.log1p(-x.softmax(1).scatter(1, likeliest, 0.0))
    rest = x.scatter(1, likeliest, float("-inf")).logsumexp(1, keepdim=True)
    return others.scatter(1, likeliest, rest)


def check_finite(output: Tensor) -> Tensor:
    """The output of a model, if all of its numbers are finite.

    Raises:
        InputError: If one is not.

    Example:
        >>> check_finite(torch.ones(2))
        tensor([1., 1.])
    """
    if not torch.isfinite(output).all():
        raise InputError.expected(
            "finite numbers from the model",
            "NaN or infinity",
            "check its weights, and that the preprocessing is the model's own",
        )
    return output
