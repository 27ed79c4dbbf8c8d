"""The preprocessing of the models of torchvision and timm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InputError, choose
from .resize import Size

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Recipes"]


class Recipes:
    """Alternative constructors of `Preprocess`, from the configuration of a library."""

    @classmethod
    def from_torchvision(cls, weights: Any) -> Self:
        """The preprocessing of torchvision's weights.

        Args:
            weights: A member of a weights enum, such as `torchvision.models.ResNet50_Weights.DEFAULT`.

        Raises:
            InputError: If they are not weights of a classifier.
        """
        transform: Any = weights.transforms() if hasattr(weights, "transforms") else None
        if not hasattr(transform, "crop_size"):
            raise InputError.expected(
                "weights of a torchvision classifier", repr(weights),
                "for example torchvision.models.ResNet50_Weights.DEFAULT",
            )  # fmt: skip
        make: Any = cls
        made: Self = make(
            resize=_short(transform.resize_size),
            crop=_short(transform.crop_size),
            mean=transform.mean,
            std=transform.std,
            interpolation=transform.interpolation.value,
        )
        return made

    @classmethod
    def from_timm(cls, data_config: Mapping[str, Any]) -> Self:
        """The preprocessing of a timm model.

        Args:
            data_config: What `timm.data.resolve_model_data_config(model)` returns.

        Raises:
            InputError: If an entry is missing or not supported.

        Example:
            >>> config = dict(input_size=(3, 192, 192), crop_pct=0.75, interpolation="bicubic",
            ...               mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), crop_mode="center")
            >>> from xai_layermask.images import Preprocess
            >>> preprocess = Preprocess.from_timm(config)
            >>> preprocess.resize, preprocess.crop, preprocess.interpolation
            (256, 192, 'bicubic')
        """
        needed = ("input_size", "crop_pct", "interpolation", "mean", "std")
        missing = [key for key in needed if key not in data_config]
        if missing:
            raise InputError.expected(
                f"{', '.join(needed)} in data_config", f"none of {', '.join(missing)}",
                "pass timm.data.resolve_model_data_config(model)",
            )  # fmt: skip
        channels, height, width = data_config["input_size"]
        if channels != 3:
            raise InputError.expected("a model with 3 input channels", channels)
        mode = choose(data_config.get("crop_mode") or "center", ("center", "squash"), "crop_mode")
        if mode == "center" and height != width:
            raise InputError.expected("a square for crop_mode 'center'", f"{height} x {width}", "use 'squash'")
        sides = (math.floor(height / data_config["crop_pct"]), math.floor(width / data_config["crop_pct"]))
        make: Any = cls
        made: Self = make(
            resize=sides if mode == "squash" else sides[0],
            crop=(height, width) if height != width else height,
            mean=data_config["mean"],
            std=data_config["std"],
            interpolation=data_config["interpolation"],
        )
        return made


def _short(size: Sequence[int]) -> Size:
    """One side for a list of one."""
    return size[0] if len(size) == 1 else (size[0], size[1])
