"""Values with the state of each of their elements, and what padding and windows do to states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

#: States of an element. A border is a constant that the model itself puts around a map: no window takes it for present,
#: but its value is the model's own and counts in sums. The order matters: joining takes the minimum.
ABSENT, PRESENT, BORDER = 0.0, 1.0, 2.0


@dataclass
class Masked:
    """A value and the state of every element of it.

    Attributes:
        x: The value, float64.
        state: Same shape and, where it matters, same strides.
        source: For a padded map, the map before it was padded, and the padding; windows fill before they pad.
    """

    x: Tensor
    state: Tensor
    source: tuple[Masked, Callable[[Tensor], Tensor], bool] | None = field(default=None, repr=False)

    def zeroed(self) -> Tensor:
        """The value with 0 at absent elements."""
        return torch.where(self.state == ABSENT, 0.0, self.x)

    def seen(self) -> Tensor:
        """Where a sum over many elements looks: at present ones, and at borders."""
        return self.state != ABSENT

    def by_position(self) -> Masked:
        """The same map with one state a position: absent in some channel is absent."""
        return Masked(self.x, self.state.amin(1, keepdim=True).expand_as(self.state), self.source)


def masked(x: Tensor, state: Tensor) -> Masked:
    """Attach a state, of its own memory and strided as the value is, so that views of both share alike."""
    own = torch.empty_like(x, dtype=torch.float64, requires_grad=False)
    return Masked(x, own.copy_(state.detach().expand(x.shape)))


def any_of(state: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The state of what is made of many elements: present if one is, a border if all are; dimensions stay."""
    present = (state == PRESENT).to(state.dtype).amax(dims, keepdim=True)
    border = (state == BORDER).to(state.dtype).amin(dims, keepdim=True)
    return torch.where(present > 0, PRESENT, torch.where(border > 0, BORDER, ABSENT))


def box(x: Tensor) -> Tensor:
    """The sum over each 3 x 3 neighbourhood; cells outside the image add nothing."""
    h, w = x.shape[2:]
    wide = F.pad(x, (1, 1, 1, 1))
    return sum(wide[:, :, i : i + h, j : j + w] for i in range(3) for j in range(3))


def fill(m: Masked, rounds: int | None) -> Tensor:
    """Neighbour padding (Algorithm 1): in each round, absent cells that touch known ones take their mean.

    Args:
        m: A map `(N, C, H, W)` whose channels share one state.
        rounds: How many; until nothing changes if None, or if borders lie between cells of the image, since a window
            may then read a cell that is farther from the next present one than it is wide.

    Returns:
        The filled value; cells that no round reaches are 0.
    """
    if m.source is not None:
        before, pad, mirrored = m.source
        # A mirror may bring a far corner of the image here.
        return pad(fill(before.by_position(), None if mirrored else rounds))
    state = m.state[:, :1]
    known, border = state == PRESENT, state == BORDER
    x = torch.where(known, m.x, 0.0)
    rounds = rounds if _is_rectangle(border) else None
    done = 0
    while rounds is None or done < rounds:
        count = box(known.double())
        new = ~known & ~border & (count > 0)
        if not new.any():
            break
        x = torch.where(new, box(x) / count.clamp(min=1), x)
        known = known | new
        done += 1
    return torch.where(border, m.x, x)


def _is_rectangle(border: Tensor) -> bool:
    """Whether what is no border is the same rectangle in every image."""
    rows, columns = (~border).any(3, keepdim=True), (~border).any(2, keepdim=True)
    places = (line.nonzero()[:, dim] for line, dim in ((rows[:1], 2), (columns[:1], 3)))
    solid = all(len(place) == 0 or int(place[-1] - place[0]) + 1 == len(place) for place in places)
    return solid and bool(((rows & columns) == ~border).all())


def windows(state: Tensor, kernel, stride, padding, dilation, size) -> Tensor:
    """The states that each window looks at, borders outside the image: `(N, 1, h, w)` to `(N, cells, h', w')`."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel, stride, padding, dilation
    height, width = (size[0] - 1) * sh + dh * (kh - 1) + 1, (size[1] - 1) * sw + dw * (kw - 1) + 1
    below, right = max(height - state.shape[2] - ph, 0), max(width - state.shape[3] - pw, 0)
    wide = F.pad(state, (pw, right, ph, below), value=BORDER)
    looks = [
        wide[:, :, i * dh : i * dh + (size[0] - 1) * sh + 1 : sh, j * dw : j * dw + (size[1] - 1) * sw + 1 : sw]
        for i in range(kh)
        for j in range(kw)
    ]
    return torch.cat(looks, 1)
