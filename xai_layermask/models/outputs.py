"""What is explained: which tensor of a model's output, and on which scale.

A model may return logits, probabilities or plain numbers; a tensor, a tuple, a dictionary or an object with `.logits`.
[`Output`][] finds the tensor and decides on a [`Scale`][]. A [`Target`][xai_layermask.models.targets.Target] then picks
one number per image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

from torch import Tensor, nn

from ..catalog import OUTPUTS
from ..errors import InputError, choose
from .scale import Scale, sums_to_one

__all__ = ["GIVEN", "Output", "as_output"]

#: What the model's numbers are.
GIVEN = ("auto", "logits", "probabilities", "values")
# What can be computed from probabilities.
_OF_PROBABILITIES = ("probability", "sigmoid", "log_probability", "log_odds", "value")
_NAMES = ("logits", "out")
#: A single output beyond this is hardly a logit: its sigmoid differs from 0 or 1 by less than 1e-8.
_LOGIT_LIMIT = 20.0


@dataclass(frozen=True)
class Output:
    """Which tensor of a model's output is explained, and on which scale.

    Args:
        scale: "probability" (softmax over the classes; sigmoid of a single logit), "sigmoid" (each output on its own,
            for independent classes), "logit" (as the model returns it), "log_probability", "log_odds"
            (log p / (1 - p)), "value" (as it is, for regressions), or "auto": "log_odds", whose scores converge with
            fewer samples than those of probabilities, and "value" for values.
        select: A key, an index, an attribute's name, or a function of the output. None takes the output itself if it is
            a tensor, else `.logits`, `["logits"]`, `["out"]`, the only entry of a dictionary, or the first of a tuple.
        given: What the model's numbers are: "logits", "probabilities" or "values"; "auto" takes them for
            probabilities if the model ends in a softmax or sigmoid, or if they are at least 0 and sum to 1.

    Raises:
        InputError: If an option is unknown.

    Example:
        >>> import torch
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
        choose(self.scale, OUTPUTS, "output")
        choose(self.given, GIVEN, "given")
        chosen: object = self.select
        if isinstance(chosen, Integral):
            object.__setattr__(self, "select", int(chosen))  # as JSON can hold it, also from numpy

    def for_model(self, model: nn.Module) -> Output:
        """This output; if it is "auto", what the configuration of a model of transformers says (`problem_type`)."""
        config = getattr(model, "config", None) or getattr(getattr(model, "model", None), "config", None)
        problem = getattr(config, "problem_type", None)
        known = {"multi_label_classification": "sigmoid", "regression": "value"}.get(str(problem))
        return self if known is None or self.scale != "auto" else replace(self, scale=known)

    def tensor(self, answer: Any, count: int) -> Tensor:
        """Find the explained tensor in a model's output for `count` images.

        Returns:
            A floating-point tensor `(count, ...)`.

        Raises:
            InputError: If the output holds no such tensor, or several and none was selected.
        """
        part = self.part(answer)
        found = answer if part is None else _selected(answer, part)
        if not isinstance(found, Tensor) or not found.is_floating_point() or found.shape[:1] != (count,):
            shown = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise InputError.expected(
                f"a floating-point tensor ({count}, ...) from the model for {count} images", shown, _remedy(answer)
            )
        return found

    def part(self, answer: Any) -> str | int | Callable[[Any], Any] | None:
        """The part of a model's output that is selected, by `select` or automatically; None for the whole output."""
        if self.select is not None or isinstance(answer, Tensor):
            return self.select
        if isinstance(answer, Mapping):
            known = [name for name in _NAMES if name in answer] or (list(answer) if len(answer) == 1 else [])
            return known[0] if known else None
        if isinstance(getattr(answer, "logits", None), Tensor):
            return "logits"
        return 0 if isinstance(answer, tuple | list) and answer else None

    def part_name(self, answer: Any) -> str | int | None:
        """The selected part as text or index; "function NAME" for a function, to tell it from a key."""
        part = self.part(answer)
        return f"function {getattr(part, '__qualname__', type(part).__qualname__)}" if callable(part) else part

    def decide(self, whole: Tensor, ends_in_probabilities: bool = False, auto: str = "log_odds") -> Scale:
        """Decide on the scale, from the model's output for the whole picture.

        Args:
            whole: `(1, K)` or `(1, K, ...)`, from [`tensor`][xai_layermask.models.outputs.Output.tensor].
            ends_in_probabilities: Whether they are known to come from a softmax or sigmoid, by
                [`Ending`][xai_layermask.models.ending.Ending].
            auto: What "auto" stands for, unless the numbers are values.

        Raises:
            InputError: If the scale cannot be computed from such numbers, or a single output may be a logit or a value.
        """
        given = self.given
        if self.scale == "value":
            given = "values"
        elif given == "auto":
            given = "probabilities" if ends_in_probabilities or sums_to_one(whole) else "logits"
        single = whole.dim() < 2 or whole.shape[1] == 1
        name = {"values": "value"}.get(given, auto) if self.scale == "auto" else self.scale
        if self.scale == "auto" and given == "logits" and single and float(whole.abs().max()) > _LOGIT_LIMIT:
            raise InputError.expected(
                "output='value' or output='sigmoid' for a model with one output",
                f"'auto' and an output of {float(whole.flatten()[whole.abs().argmax()]):.4g}",
                "say whether it is a value or a logit",
            )
        possible = {"values": ("value",), "probabilities": _OF_PROBABILITIES}.get(given, OUTPUTS)
        if name not in possible:
            raise InputError.expected(
                f"one of {', '.join(possible)} for output, since the model returns {given}",
                repr(name),
                "pass Output(..., given='logits') if its numbers are logits",
            )
        shared = sums_to_one(whole) if given == "probabilities" else not single
        return Scale(name, given, name == "sigmoid" or not shared)


def as_output(output: str | Output) -> Output:
    """An [`Output`][] from what a caller passes as `output`: a scale's name, or an `Output`.

    Raises:
        InputError: If it is neither.

    Example:
        >>> as_output("logit").scale
        'logit'
    """
    return output if isinstance(output, Output) else Output(output)


def _selected(answer: Any, part: str | int | Callable[[Any], Any]) -> Any:
    if callable(part):
        return part(answer)
    try:
        return getattr(answer, part) if isinstance(part, str) and not isinstance(answer, Mapping) else answer[part]
    except (AttributeError, KeyError, IndexError, TypeError):
        raise InputError.expected("a part of the model's output for select", repr(part), _remedy(answer)) from None


def _remedy(answer: Any) -> str:
    if isinstance(answer, Mapping):
        return f"choose select of Output(...) from its keys {', '.join(map(repr, answer))}"
    if isinstance(answer, tuple | list):
        return f"choose select of Output(...) from 0 to {len(answer) - 1}"
    names = [name for name, value in getattr(answer, "__dict__", {}).items() if isinstance(value, Tensor)]
    if names:
        return f"choose select of Output(...) from its attributes {', '.join(names)}"
    return "pass Output(select=...), a function of the model's output"
