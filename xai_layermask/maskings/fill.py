"""`Fill`: maskings that fill absent pixels and run the ordinary network, the baselines of layer masking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..engine.additional import NONE, Additional
from ..engine.dense import neighbor_padding
from ..errors import InputError, choose
from ..images import Preprocess, Transform, as_preprocess
from .base import Masking
from .channels import fill_each_channel
from .imputers import inpaint, road
from .presence import as_image

__all__ = ["COLOURS", "Fill"]

#: Colours by name, RGB from 0 to 255. Grey is the mean colour of ImageNet.
COLOURS: dict[str, tuple[float, float, float]] = {
    "black": (0.0, 0.0, 0.0),
    "grey": (123.675, 116.28, 103.53),
    "red": (255.0, 0.0, 0.0),
    "green": (0.0, 255.0, 0.0),
    "blue": (0.0, 0.0, 255.0),
    "white": (255.0, 255.0, 255.0),
}
_BLUR = 10.0  # standard deviation in pixels: segments of a 224 x 224 picture, about 16 pixels wide, lose their texture


class Fill(Masking):
    """A masking that fills absent pixels and runs the ordinary network.

    Args:
        model: The network: images `(N, C, H, W)` to logits `(N, K)`.
        colour: The fill: a colour by name ("black", "grey", "red", "green", "blue", "white") or as `(r, g, b)` from 0
            to 255; "mean", the image's mean colour; "blur", the image blurred; "neighbor", neighbour padding of the
            picture alone, to the last absent pixel; "road", noisy linear imputation (Rong et al. 2022); "inpaint",
            scikit-image's biharmonic inpainting.
        preprocess: How pictures become inputs of the model; ImageNet's preprocessing if None.

    Raises:
        InputError: If there is no such fill.

    Example:
        >>> model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> black = Fill(model, "black", Preprocess(mean=(0, 0, 0), std=(1, 1, 1)))
        >>> presence = torch.tensor([[1, 0], [1, 0]])
        >>> black(torch.ones(1, 3, 2, 2), presence)
        tensor([[0.5000, 0.5000, 0.5000]])
    """

    takes_preprocess = True
    preprocess: Preprocess | Transform

    def __init__(
        self,
        model: nn.Module,
        colour: str | tuple[float, float, float],
        preprocess: Preprocess | Transform | None = None,
    ) -> None:
        if isinstance(colour, str):
            name = choose(colour, (*COLOURS, *_FILLS), "colour")
            rgb = COLOURS.get(name)
        else:
            rgb = _checked(colour)
            name = f"({','.join(np.format_float_positional(value, trim='-') for value in rgb)})"
        super().__init__(model, name)
        self.rgb = rgb
        self.preprocess = Preprocess() if preprocess is None else as_preprocess(preprocess)
        self.sees_absent = name in ("mean", "blur")

    def _masked(self, image: Tensor, presence: Tensor | None, additional: Additional = NONE) -> Any:
        if presence is None:
            return self.answer(image, additional)
        return self.answer(self.picture(image, presence), additional)

    def _without_channels(self, image: Tensor, presence: Tensor) -> tuple[Tensor, Tensor]:
        filled = self.picture(image, presence)
        return filled, torch.ones_like(presence[:, :1])

    def picture(self, image: Tensor, presence: Tensor) -> Tensor:
        """Fill an image.

        Args:
            image: `(N, C, H, W)`, normalised.
            presence: Bool `(N, 1, H, W)`, or `(N, C, H, W)` with one mask per channel.

        Returns:
            `(N, C, H, W)`: the image where it is present, the fill elsewhere.

        Raises:
            InputError: If the fill is a colour, and the preprocessing has another number of channels than the image.
        """
        if self.rgb is not None:
            colour = self.preprocess.color(self.rgb).to(image)
            if as_image(image).shape[1] != colour.shape[1]:
                raise InputError.expected(
                    f"a tensor (N, {colour.shape[1]}, H, W) for image",
                    tuple(image.shape),
                    f"pass Fill(model, {self.name!r}, Preprocess(channels={image.shape[1]}, mean=..., std=...))",
                )
            return torch.where(presence, image, colour)
        fill = _FILLS[self.name]
        return fill(image, presence) if presence.shape[1] == 1 else fill_each_channel(fill, image, presence)


def _checked(colour: Any) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(value) + 0.0 for value in colour)  # -0.0 becomes 0.0
    except (TypeError, ValueError):
        red = green = blue = float("nan")
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise InputError.expected("a name or (r, g, b) from 0 to 255 for colour", repr(colour))
    return red, green, blue


def _mean(image: Tensor, presence: Tensor) -> Tensor:
    return torch.where(presence, image, image.mean((2, 3), keepdim=True))


def _blur(image: Tensor, presence: Tensor) -> Tensor:
    return torch.where(presence, image, _blurred(image))


def _blurred(image: Tensor) -> Tensor:
    """Gaussian blur; at the border the weights inside the image are scaled to sum to 1."""
    reach = int(3 * _BLUR)
    steps = torch.arange(-reach, reach + 1, dtype=torch.float32, device=image.device)
    kernel = torch.exp(-0.5 * (steps / _BLUR) ** 2)
    kernel = kernel / kernel.sum()  # sums of colours up to 255 would overflow float16
    channels = image.shape[1]
    weights = kernel.to(image.dtype).expand(channels, 1, -1)

    def smooth(x: Tensor) -> Tensor:
        x = F.conv2d(x, weights[..., None], padding=(reach, 0), groups=channels)
        return F.conv2d(x, weights[:, :, None], padding=(0, reach), groups=channels)

    return smooth(image) / smooth(torch.ones_like(image[:1]))


# Fills that are computed, by name.
_FILLS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": _mean,
    "blur": _blur,
    "neighbor": neighbor_padding,
    "road": road,
    "inpaint": inpaint,
}
