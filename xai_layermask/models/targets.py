"""Targets: the one number per image that is explained.

A target is a class (its index or its name), a position `(class, y, x)` or a region `(class, mask)` of a map, a vector
to which an embedding is compared, or a function of the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ..errors import InputError, check_integer
from .labels import class_index

__all__ = ["Target", "as_targets", "count_classes", "has_vectors"]


@dataclass(frozen=True, eq=False)
class Target:
    """One number per image.

    Attributes:
        index: The class; -1 for any other target.
        label: Its name in tables and figures.
        read: Maps an output `(N, ...)` to `(N,)`.
        is_probability: Whether the number is a probability if the outputs are.
    """

    index: int
    label: str
    read: Callable[[Tensor], Tensor]
    is_probability: bool = True

    def __call__(self, output: Tensor) -> Tensor:
        """Read the target from an output `(N, ...)`.

        Returns:
            `(N,)`, float64.

        Raises:
            InputError: If a function does not return one number per image.
        """
        found = self.read(output)
        if not isinstance(found, Tensor) or found.shape != output.shape[:1]:
            shown = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise InputError.expected(
                f"a tensor ({len(output)},), one number per image, from the target {self.label!r}", shown
            )
        return found.detach().double()


def has_vectors(targets: Any) -> bool:
    """Whether targets are vectors to which embeddings are compared: a floating-point array `(D,)` or `(T, D)`.

    Example:
        >>> has_vectors(np.ones(4)), has_vectors([0, torch.ones(4)]), has_vectors([0, 1])
        (True, True, False)
    """
    return _is_floating(targets) or (isinstance(targets, list | tuple) and any(map(_is_vector, targets)))


def _is_vector(target: object) -> bool:
    return _is_floating(target) and getattr(target, "ndim", 0) == 1


def _is_floating(target: object) -> bool:
    if isinstance(target, Tensor):
        return target.is_floating_point()
    return isinstance(target, np.ndarray) and bool(np.issubdtype(target.dtype, np.floating))


def as_targets(
    targets: Any, whole: Tensor, labels: Sequence[str] = (), top: int = 1, regions: Tensor | None = None
) -> tuple[Target, ...]:
    """Turn what a caller names into targets.

    Args:
        targets: One target or a sequence of them, each a class index or name; `(class, y, x)` or `(class, mask)` with a
            boolean mask `(H, W)` in a map `(N, K, H, W)`, where a class alone is averaged over the region where it is
            predicted in the whole picture; a floating-point vector `(K,)`, to which embeddings are compared by their
            cosine; or a function from the output `(N, ...)` to `(N,)`. None for the `top` classes.
        whole: The output for the whole picture on the explained scale, `(1,)`, `(1, K)` or `(1, K, H, W)`.
        labels: Names of the classes; or of the vectors, if they are as many.
        top: Number of classes if `targets` is None: those with the largest outputs, or the largest regions in a map.
        regions: Bool `(K, H, W)`, where a map predicts each class; by default where its output is the largest.

    Raises:
        InputError: If a target does not fit the output, or two are the same.

    Example:
        >>> whole = torch.tensor([[0.2, 0.8]])
        >>> target, = as_targets("dog", whole, ("cat", "dog"))
        >>> target.index, target(whole).tolist()
        (1, [0.8...])
        >>> cosine, = as_targets(np.array([0.0, 3.0]), whole)
        >>> round(cosine(whole).item(), 3)
        0.97
    """
    if whole.dim() == 4 and regions is None:
        regions = torch.nn.functional.one_hot(whole[0].argmax(0), whole.shape[1]).movedim(2, 0).bool()
    if targets is None:
        return tuple(_class(index, whole, labels, regions) for index in _largest(whole, regions, top))
    asked = list(_several(targets, whole))
    found = [_target(target, whole, labels, regions) for target in asked]
    if not found:
        raise _no_targets(targets)
    classes = [one.index for one in found if one.index >= 0]
    if len(set(classes)) < len(classes):
        raise InputError.expected("different classes for targets", repr(targets))
    if all(map(_is_vector, asked)) and len(labels) == len(asked):
        found = [replace(one, label=label) for one, label in zip(found, labels, strict=True)]
    return tuple(_numbered(found))


def _several(targets: Any, whole: Tensor) -> Iterable[Any]:
    """The targets one by one; a tuple is a position or a region where it fits a map, otherwise a sequence."""
    if isinstance(targets, str | int | np.integer) or callable(targets) or _is_vector(targets) or _is_region(targets):
        return [targets]
    if whole.dim() == 4 and isinstance(targets, tuple) and len(targets) == 3 and not isinstance(targets[0], tuple):
        return [targets]
    if isinstance(targets, np.ndarray | Tensor):
        return list(targets) if targets.ndim == 2 else list(targets.reshape(-1).tolist())
    if isinstance(targets, Sequence):
        return targets
    raise _no_targets(targets)


def _no_targets(targets: Any) -> InputError:
    shown = repr(targets) if np.size(targets) < 5 else type(targets).__name__
    return InputError.expected("class indices or names for targets", shown, "pass at least one, or None for the top")


def _target(target: Any, whole: Tensor, labels: Sequence[str], regions: Tensor | None) -> Target:
    if callable(target):
        return Target(-1, getattr(target, "__name__", type(target).__name__), target, is_probability=False)
    if _is_vector(target):
        return _similarity(torch.as_tensor(target).detach().cpu().double(), whole)
    if isinstance(target, tuple):
        return _place(target, whole, labels)
    return _class(target, whole, labels, regions)


def _class(target: Any, whole: Tensor, labels: Sequence[str], regions: Tensor | None) -> Target:
    if whole[0].numel() == 1 and whole.dim() <= 2:
        index = class_index(labels or ("output",), target)
        return Target(index, labels[0] if labels else "output", lambda output: output.reshape(len(output)))
    index = class_index(labels or tuple(map(str, range(whole.shape[1]))), target)
    label = labels[index] if labels else str(index)
    if regions is None:
        return Target(index, label, lambda output: output[:, index])
    if not regions[index].any():
        raise InputError.expected(
            f"a class that the model predicts somewhere for target {target!r}",
            "none of its pixels",
            "name a region as (class, mask) or a position as (class, y, x)",
        )
    return _over(index, label, index, regions[index])


def _place(target: tuple[Any, ...], whole: Tensor, labels: Sequence[str]) -> Target:
    if whole.dim() != 4 or not (_is_region(target) or len(target) == 3):
        raise InputError.expected(
            "(class, y, x) or (class, mask) in a map (N, K, H, W) for target",
            f"{len(target)} values and an output {tuple(whole.shape)}",
        )
    names = labels or tuple(map(str, range(whole.shape[1])))
    index = class_index(names, target[0])
    if len(target) == 3:
        y, x = (check_integer(at, f"{of} of the target", 0, whole.shape[dim] - 1)
                for at, of, dim in ((target[1], "y", 2), (target[2], "x", 3)))  # fmt: skip
        return Target(-1, f"{names[index]} at ({y}, {x})", lambda output: output[:, index, y, x])
    mask = torch.as_tensor(np.asarray(target[1]))
    if mask.shape != whole.shape[2:] or mask.dtype != torch.bool or not mask.any():
        raise InputError.expected(
            f"a boolean mask {tuple(whole.shape[2:])} with a True cell for target (class, mask)",
            f"{mask.dtype} {tuple(mask.shape)} with {int(mask.count_nonzero())} cells",
        )
    return _over(-1, f"{names[index]} in a region", index, mask)


def _is_region(target: Any) -> bool:
    return isinstance(target, tuple) and len(target) == 2 and isinstance(target[1], np.ndarray | Tensor)


def _over(index: int, label: str, channel: int, region: Tensor) -> Target:
    return Target(index, label, lambda output: output[:, channel][:, region.to(output.device)].mean(1))


def _similarity(vector: Tensor, whole: Tensor) -> Target:
    if whole.dim() != 2 or whole.shape[1] != len(vector):
        raise InputError.expected(
            f"a vector for target that fits the model's output {tuple(whole.shape)}", f"{len(vector)} numbers"
        )
    return Target(
        -1, "similarity", lambda output: cosine_similarity(output.double(), vector[None], dim=1), is_probability=False
    )


def _largest(whole: Tensor, regions: Tensor | None, top: int) -> list[int]:
    """The classes with the largest outputs, or the largest regions."""
    values = whole[0].flatten() if regions is None else regions.flatten(1).count_nonzero(1)
    most = count_classes(whole, regions)
    return values.argsort(descending=True, stable=True)[: check_integer(top, "top", 1, most)].tolist()


def count_classes(whole: Tensor, regions: Tensor | None) -> int:
    """How many classes an output can be asked for by `top`: all, or those that a map predicts somewhere."""
    return whole[0].numel() if regions is None else max(1, int(regions.flatten(1).any(1).count_nonzero()))


def _numbered(targets: list[Target]) -> Iterable[Target]:
    """Targets whose labels all differ."""
    given, seen = {target.label for target in targets}, set[str]()
    for target in targets:
        label, count = target.label, 1
        while label in seen or (count > 1 and label in given):
            count += 1
            label = f"{target.label} {count}"
        seen.add(label)
        yield replace(target, label=label)
