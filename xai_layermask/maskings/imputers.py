"""Imputers from the literature: absent pixels computed from the present ones, before any network runs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError

__all__ = ["inpaint", "road"]

_DIRECT, _DIAGONAL = 1 / 6, 1 / 12


def road(image: Tensor, presence: Tensor, noise: float = 0.01, seed: int = 0) -> Tensor:
    """Noisy linear imputation: every absent pixel is the weighted mean of its eight neighbours, plus noise.

    All absent pixels are solved for together. Direct neighbours weigh 1/6, diagonal ones 1/12; at the border the
    weights inside the image are scaled to sum to 1.

    Source: Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods" (ICML 2022).

    Args:
        image: `(N, C, H, W)`, or one for all presences; absent pixels are never read.
        presence: Bool `(N, 1, H, W)`.
        noise: Standard deviation of the noise, in the image's normalised units.
        seed: Seed of the noise.

    Returns:
        `(N, C, H, W)`; only noise where no pixel is present.

    Example:
        >>> image = torch.tensor([[[[1.0, 0.0, 3.0]]]])
        >>> road(image, torch.tensor([[[[True, False, True]]]]), noise=0.0).tolist()
        [[[[1.0, 2.0, 3.0]]]]
    """
    _check_gradient(image)
    generator = torch.Generator().manual_seed(seed)
    image = image.expand(len(presence), -1, -1, -1)
    filled = [_solved(picture, mask[0]) for picture, mask in zip(image, presence, strict=True)]
    spread = noise * torch.randn(image.shape[1:], generator=generator)
    result = torch.stack(filled) + spread.to(image)
    return torch.where(presence, image, result)


def _check_gradient(image: Tensor) -> None:
    if image.requires_grad and torch.is_grad_enabled():
        raise InputError.expected(
            "an image that needs no gradient, which this fill does not have", "one that requires it",
            "detach it, or use another fill",
        )  # fmt: skip


def _solved(picture: Tensor, present: Tensor) -> Tensor:
    """One image `(C, H, W)` with its absent pixels imputed."""
    from scipy.sparse import coo_matrix, identity
    from scipy.sparse.linalg import splu

    known = present.cpu().numpy()
    if known.all() or not known.any():
        return torch.where(present, picture, picture.new_zeros(()))
    height, width = known.shape
    number = np.full(known.shape, -1)
    rows, columns = np.nonzero(~known)
    number[rows, columns] = np.arange(len(rows))
    values = picture.detach().cpu().double().numpy()
    right = np.zeros((len(rows), len(values)))
    total = np.zeros(len(rows))
    entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for down in (-1, 0, 1):
        for along in (-1, 0, 1):
            if not (down or along):
                continue
            weight = _DIAGONAL if down and along else _DIRECT
            r, c = rows + down, columns + along
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            here = np.nonzero(inside)[0]
            total[here] += weight
            there = number[r[here], c[here]]
            given = here[there < 0]
            right[given] += weight * values[:, r[given], c[given]].T
            unknown = there >= 0
            entries.append((here[unknown], there[unknown], np.full(int(unknown.sum()), weight)))
    i, j, w = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    system = (
        identity(len(rows), format="csc") - coo_matrix((w / total[i], (i, j)), shape=(len(rows),) * 2).tocsc()
    )
    values[:, rows, columns] = splu(system).solve(right / total[:, None]).T
    return torch.from_numpy(values).to(picture)


def inpaint(image: Tensor, presence: Tensor) -> Tensor:
    """Biharmonic inpainting of absent pixels, by scikit-image.

    Args:
        image: `(N, C, H, W)`, or one for all presences; absent pixels are never read.
        presence: Bool `(N, 1, H, W)`.

    Returns:
        `(N, C, H, W)`; 0 where no pixel is present.

    Example:
        >>> image = torch.ones(1, 1, 5, 5)
        >>> presence = torch.ones(1, 1, 5, 5, dtype=torch.bool)
        >>> presence[..., 2, 2] = False
        >>> bool(torch.allclose(inpaint(image, presence), image, atol=1e-4))
        True
    """
    from skimage.restoration import inpaint_biharmonic

    _check_gradient(image)
    image = image.expand(len(presence), -1, -1, -1)
    filled = []
    for picture, mask in zip(image, presence[:, 0], strict=True):
        picture = torch.where(mask, picture, picture.new_zeros(()))
        if mask.all() or not mask.any():
            filled.append(picture)
            continue
        values = picture.detach().cpu().double().numpy()
        made = inpaint_biharmonic(values, ~mask.cpu().numpy(), split_into_regions=True, channel_axis=0)
        filled.append(torch.from_numpy(made).to(picture))
    return torch.where(presence, image, torch.stack(filled))
