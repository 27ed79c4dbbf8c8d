"""Errors about pictures whose number of channels the model does not take."""

from __future__ import annotations

import re

from ..errors import InputError

__all__ = ["wrong_channels"]


def wrong_channels(error: BaseException, channels: int) -> InputError | None:
    """Word an error of torch about the number of channels of a model's input.

    Args:
        error: What the model raised.
        channels: Number of channels of the image that it was given.

    Returns:
        The error to raise instead; None if the model complained about something else.

    Example:
        >>> torchs = RuntimeError("expected input[1, 3, 8, 8] to have 1 channels, but got 3 channels instead")
        >>> print(wrong_channels(torchs, 3))
        expected an image of 1 channel, which the model takes, got 3: use Preprocess(channels='L', mean=..., std=...), \
which converts colours to grey
    """
    found = re.search(r"to have (\d+) channels, but got (\d+) channels", str(error))
    if found is None or int(found[2]) != channels:
        return None
    wanted = int(found[1])
    remedy = {
        1: "use Preprocess(channels='L', mean=..., std=...), which converts colours to grey",
        3: "use Preprocess(channels='RGB', mean=..., std=...), which takes colours",
    }.get(wanted, f"pass a raster of {wanted} bands, with Preprocess(channels={wanted}, mean=..., std=...)")
    several = "" if wanted == 1 else "s"
    return InputError.expected(f"an image of {wanted} channel{several}, which the model takes", channels, remedy)
