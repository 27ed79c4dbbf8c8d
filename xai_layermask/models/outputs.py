"""What is explained: which tensor of a model's answer, and on which scale.

A model may return logits, probabilities or plain numbers; a tensor, a tuple, a dictionary or an object with `.logits`.
[`Output`][] finds the tensor and decides on a [`Scale`][]. A [`Target`][xai_layermask.models.targets.Target] then picks
one number per image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from torch.overrides import TorchFunctionMode

from ..errors import InputError, choose

__all__ = ["GIVEN", "SCALES", "Ending", "Output", "Scale", "as_output"]

#: What may be explained.
SCALES = ("auto", "probability", "sigmoid", "logit", "log_probability", "log_odds", "value")
#: What the model's numbers are.
GIVEN = ("auto", "logits", "probabilities", "values")
# What can be computed from probabilities.
_OF_PROBABILITIES = ("probability", "sigmoid", "log_probability", "log_odds", "value")
_NAMES = ("logits", "out")
_ENDINGS = ("softmax", "sigmoid", "sigmoid_", "special_expit")
_SAME_NUMBERS = "__getitem__ clone contiguous detach double flatten float reshape squeeze to unsqueeze view".split()
#: A single output beyond this is hardly a logit: its sigmoid differs from 0 or 1 by less than 1e-8.
_LOGIT_LIMIT = 20.0


class Ending(TorchFunctionMode):
    """Watches a model run, to tell which tensors are the output of a softmax or a sigmoid.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Softmax(1))
        >>> with Ending() as ending:
        ...     answer = model(torch.zeros(1, 2))
        >>> ending.made(answer)
        True
    """

    def __init__(self) -> None:
        super().__init__()
        # Tensors are kept alive, so that no other one takes their identity.
        self._made: dict[int, Tensor] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if isinstance(out, Tensor) and (
            name in _ENDINGS or (name in _SAME_NUMBERS and args and isinstance(args[0], Tensor) and self.made(args[0]))
        ):
            self._made[id(out)] = out
        return out

    def made(self, tensor: Tensor) -> bool:
        """Whether a tensor holds probabilities that a softmax or a sigmoid returned."""
        return id(tensor) in self._made


@dataclass(frozen=True)
class Output:
    """Which tensor of a model's answer is explained, and on which scale.

    Args:
        scale: "probability" (softmax over the classes; sigmoid of a single logit), "sigmoid" (each output on its own,
            for independent classes), "logit" (as the model returns it), "log_probability", "log_odds"
            (log p / (1 - p)), "value" (as it is, for regressions), or "auto": "log_odds", whose scores converge with
            fewer samples than those of probabilities, and "value" for values.
        select: A key, an index, an attribute's name, or a function of the answer. None takes the answer itself if it is
            a tensor, else `.logits`, `["logits"]`, `["out"]`, the only entry of a dictionary, or the first of a tuple.
        given: What the model's numbers are: "logits", "probabilities" or "values"; "auto" takes them for
            probabilities if the model ends in a softmax or sigmoid, or if they are at least 0 and sum to 1.

    Raises:
        InputError: If an option is unknown.

    Example:
        >>> whole = torch.tensor([[0.75, 0.25]])
        >>> scale = Output().decide(whole)
        >>> scale.sentence, scale(whole).round(decimals=3).tolist()
        ("log-odds of the model's probability", [[1.099, -1.099]])
        >>> Output("log_odds").decide(torch.zeros(1, 2))(torch.tensor([[2.0, 0.0]])).tolist()
        [[2.0, -2.0]]
    """

    scale: str = "auto"
    select: str | int | Callable[[Any], Any] | None = None
    given: str = "auto"

    def __post_init__(self) -> None:
        choose(self.scale, SCALES, "output")
        choose(self.given, GIVEN, "given")

    def tensor(self, answer: Any, count: int) -> Tensor:
        """Find the explained tensor in a model's answer for `count` images.

        Returns:
            A floating-point tensor `(count, ...)`.

        Raises:
            InputError: If the answer holds no such tensor, or several and none was selected.
        """
        found = _obvious(answer) if self.select is None else self._selected(answer)
        if not isinstance(found, Tensor) or not found.is_floating_point() or found.shape[:1] != (count,):
            shown = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise InputError.expected(
                f"a floating-point tensor ({count}, ...) from the model for {count} images", shown, _remedy(answer)
            )
        return found

    def _selected(self, answer: Any) -> Any:
        if callable(self.select):
            return self.select(answer)
        try:
            if isinstance(self.select, str) and not isinstance(answer, Mapping):
                return getattr(answer, self.select)
            return answer[self.select]
        except (AttributeError, KeyError, IndexError, TypeError):
            raise InputError.expected(
                "a part of the model's answer for select", repr(self.select), _remedy(answer)
            ) from None

    def decide(self, whole: Tensor, ends_in_probabilities: bool = False) -> Scale:
        """Decide on the scale, from the model's output for the whole picture.

        Args:
            whole: `(1, K)` or `(1, K, ...)`, from [`tensor`][xai_layermask.models.outputs.Output.tensor].
            ends_in_probabilities: Whether they are known to come from a softmax or sigmoid, as [`Ending`][] tells.

        Raises:
            InputError: If the scale cannot be computed from such numbers, or a single output may be a logit or a value.
        """
        given = self.given
        if self.scale == "value":
            given = "values"
        elif given == "auto":
            given = "probabilities" if ends_in_probabilities or _sums_to_one(whole) else "logits"
        single = whole.dim() < 2 or whole.shape[1] == 1
        name = {"values": "value"}.get(given, "log_odds") if self.scale == "auto" else self.scale
        if self.scale == "auto" and given == "logits" and single and float(whole.abs().max()) > _LOGIT_LIMIT:
            raise InputError.expected(
                "output='value' or output='sigmoid' for a model with one output",
                f"'auto' and an output of {float(whole.flatten()[0]):.4g}",
                "say whether it is a value or a logit",
            )
        possible = {"values": ("value",), "probabilities": _OF_PROBABILITIES}.get(given, SCALES)
        if name not in possible:
            raise InputError.expected(
                f"one of {', '.join(possible)} for output, since the model returns {given}",
                repr(name),
                "pass Output(..., given='logits') if its numbers are logits",
            )
        shared = _sums_to_one(whole) if given == "probabilities" else not single
        return Scale(name, given, name == "sigmoid" or not shared)


@dataclass(frozen=True)
class Scale:
    """From a model's numbers to those that are explained.

    Attributes:
        name: One of `SCALES`, but not "auto".
        given: What the model's numbers are, one of `GIVEN`, but not "auto".
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
        """The probabilities that belong to the model's numbers, as [`__call__`][] returns them; None for values."""
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
        """What is explained, as a figure or a table says it."""
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


def as_output(output: str | Output) -> Output:
    """An [`Output`][] from what a caller passes as `output`: a scale's name, or an `Output`.

    Raises:
        InputError: If it is neither.

    Example:
        >>> as_output("logit").scale
        'logit'
    """
    return output if isinstance(output, Output) else Output(output)


def _exact(tensor: Tensor) -> Tensor:
    """In float64; on the CPU, since not every accelerator has float64."""
    return tensor.detach().cpu().double()


def _obvious(answer: Any) -> Any:
    """The part of an answer that is explained where nothing was selected; the answer itself if no part is obvious."""
    if isinstance(answer, Tensor):
        return answer
    if isinstance(answer, Mapping):
        named = next((answer[name] for name in _NAMES if name in answer), None)
        if named is not None:
            return named
        return next(iter(answer.values())) if len(answer) == 1 else answer
    if isinstance(getattr(answer, "logits", None), Tensor):
        return answer.logits
    return answer[0] if isinstance(answer, tuple | list) and answer else answer


def _sums_to_one(whole: Tensor) -> bool:
    if whole.dim() < 2 or whole.shape[1] < 2:
        return False
    x = _exact(whole)
    return bool((x >= 0).all()) and bool(((x.sum(1) - 1).abs() < 1e-3).all())


def _log_others(x: Tensor) -> Tensor:
    """For each class the logarithm of the summed exponentials of all others, exact also for a class near 1."""
    likeliest = x.argmax(1, keepdim=True)
    others = x.logsumexp(1, keepdim=True) + torch.log1p(-x.softmax(1).scatter(1, likeliest, 0.0))
    rest = x.scatter(1, likeliest, float("-inf")).logsumexp(1, keepdim=True)
    return others.scatter(1, likeliest, rest)


def _remedy(answer: Any) -> str:
    if isinstance(answer, Mapping):
        return f"choose select of Output(...) from its keys {', '.join(map(repr, answer))}"
    if isinstance(answer, tuple | list):
        return f"choose select of Output(...) from 0 to {len(answer) - 1}"
    names = [name for name, value in getattr(answer, "__dict__", {}).items() if isinstance(value, Tensor)]
    if names:
        return f"choose select of Output(...) from its attributes {', '.join(names)}"
    return "pass Output(select=...), a function of the model's answer"
