"""shapiq's Shapley values and interactions with layer masking instead of an imputer.

Requires `pip install xai-layermask[shapiq]`. Every approximator, the exact computer and every plot of shapiq take a
[`SegmentGame`][].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shapiq
import torch
from PIL import Image
from torch import Tensor

from .captum.attribution import Game, masked_function
from .captum.inputs import OneTarget, as_extras, as_present, as_segments, as_targets
from .errors import InputError, check_integer
from .maskings import Masking, as_image
from .models import Output, as_output

__all__ = ["SegmentGame"]

Floats = npt.NDArray[np.float64]


class SegmentGame(shapiq.Game):
    """A game whose players are the segments of an image, worth what the network predicts without the others.

    Args:
        model: The network, which is layer masked; or any masking, such as `Fill(model, "grey")`.
        image: `(1, C, H, W)`, normalised for the model; or `(1, 4, H, W)` with presence, as `with_presence` makes it.
        segments: Integers `(H, W)`; players are the segments in ascending order of their ids.
        target: The output to explain: an index, a tuple of indices for outputs with more dimensions, or None for a
            model with one number per image.
        output: What the game is worth, as [`Output`][] takes it; log-odds by default.
        batch_size: Coalitions per forward pass; halved when memory runs out.
        additional_forward_args: Further inputs of the model, a tuple or a single one.
        presence: Bool or 0/1, broadcastable to `(1, 1, H, W)`: pixels that are present from the start.
        normalize: Whether to subtract the worth of the empty coalition, as shapiq does by default.

    Attributes:
        segments: int64 `(H, W)`, ids 0..n-1.

    Raises:
        InputError: If an argument is invalid.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> game = SegmentGame(model, torch.rand(1, 3, 8, 8), np.arange(64).reshape(8, 8) // 16, target=1)
        >>> values = game.exact_values("k-SII", order=2)
        >>> bool(np.isclose(values.values.sum(), game.grand_coalition_value))
        True
    """

    def __init__(
        self,
        model: Any,
        image: Tensor,
        segments: npt.ArrayLike | Tensor,
        target: OneTarget = None,
        output: str | Output = "auto",
        batch_size: int = 32,
        additional_forward_args: Any = None,
        presence: Tensor | None = None,
        normalize: bool = True,
    ) -> None:
        image = as_image(image)
        if len(image) != 1:
            raise InputError.expected("one image (1, C, H, W)", str(tuple(image.shape)), "make a game for each image")
        image, present = as_present(image, presence)
        forward = masked_function(model)
        explained = as_output(output)
        self._game = Game(
            forward,
            image,
            present,
            as_segments(segments, image)[0],
            as_targets(target, 1)[0],
            as_extras(additional_forward_args, 1)[0],
            explained.for_model(forward.model) if isinstance(forward, Masking) else explained,
            check_integer(batch_size, "batch_size", 1),
            lambda _: None,
        )
        self.segments = self._game.segments
        players = self._game.players
        empty = float(self.value_function(np.zeros((1, players), bool))[0]) if normalize else 0.0
        super().__init__(players, normalize=normalize, normalization_value=empty)

    @property
    def empty_coalition_value(self) -> float:
        """The worth of no segment, normalised."""
        return float(self(self.empty_coalition)[0])

    @property
    def grand_coalition_value(self) -> float:
        """The worth of all segments, normalised."""
        return float(self(self.grand_coalition)[0])

    def value_function(self, coalitions: npt.NDArray[Any]) -> Floats:
        """The explained output where only a coalition's segments are present; shapiq calls it.

        Args:
            coalitions: Bool or 0/1 `(M, n)`.

        Returns:
            float64 `(M,)`, not normalised.
        """
        with torch.no_grad():
            values: Floats = self._game.values(np.asarray(coalitions) != 0).cpu().double().numpy()
        return values

    def paint(self, values: shapiq.InteractionValues) -> Floats:
        """Give each pixel the first-order value of its segment.

        Args:
            values: Interaction values of this game, including those of order 1.

        Returns:
            `(H, W)`, in units of the game's worth.

        Raises:
            InputError: If the values belong to another number of players.
        """
        if values.n_players != self.n_players:
            raise InputError.expected(
                f"values of {self.n_players} players", str(values.n_players), "pass values of this game"
            )
        scores = np.array([values[(player,)] for player in range(self.n_players)], np.float64)
        painted: Floats = scores[self.segments]
        return painted

    def cutouts(self, picture: npt.NDArray[np.uint8]) -> list[Image.Image]:
        """Each segment cut out of a picture, for `feature_image_patches` of shapiq's plots.

        Args:
            picture: uint8 `(H, W, 3)`, of the size of the segments.

        Returns:
            For each segment an RGBA image of its bounding box, transparent outside of it.

        Raises:
            InputError: If the picture has another size.
        """
        if np.shape(picture) != (*self.segments.shape, 3) or np.asarray(picture).dtype != np.uint8:
            raise InputError.expected(f"uint8 {(*self.segments.shape, 3)} for picture", str(np.shape(picture)))
        found = []
        for player in range(self.n_players):
            inside = self.segments == player
            rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
            box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            alpha = np.where(inside, np.uint8(255), np.uint8(0))
            found.append(Image.fromarray(np.dstack([picture, alpha])[box]))
        return found
