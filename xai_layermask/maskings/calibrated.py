"""`Calibrated`: a masking with corrected logits, so that predictions for masked images match those for whole ones."""

from __future__ import annotations

import hashlib
import io
import json
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..catalog import parse_masking
from ..engine.additional import NONE, Additional
from ..errors import InputError, check_integer, check_number, reason
from ..images import Preprocess, Transform
from ..models import Output
from ..models.digest import digest_model
from ..models.scale import sums_to_one
from .base import Masking
from .fill import Fill
from .presence import as_image

__all__ = ["Calibrated", "content_digest"]


class Calibrated(Masking):
    """Any masking with an affine map of its logits (MCal: Sridhar, Xue & Wong, ICLR 2026, arXiv 2603.04831).

    The map is fitted once, without labels: patches are removed from each image at random, and the map minimises the
    cross-entropy between the model's predictions for whole images and the mapped ones for masked images. Where
    everything is present, the logits are the model's own.

    Args:
        masking: The masking to correct: a fill as well as layer masking.
        images: `(N, C, H, W)`, normalised, on the model's device; not those that you measure on.
        draws: Number of masked versions of each image, each with its own share of patches removed.
        patch: Side of a patch in pixels.
        full: Whether the map is a full matrix, which suits few classes; by default a scale and a shift of each class.
        penalty: Weight of the squared distance from no correction; with few images, a larger one.
        steps: Steps of L-BFGS.
        batch_size: Masked images per forward pass.
        seed: Seed of the patches that are removed.

    Raises:
        InputError: If an argument is out of range, or the model does not return logits `(N, K)` of at least 2 classes.

    Example:
        >>> from xai_layermask import LayerMask
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> images = torch.rand(2, 3, 32, 32)
        >>> calibrated = Calibrated(LayerMask(model), images, draws=2, steps=5)
        >>> calibrated.name, torch.equal(calibrated(images), model(images))
        ('calibrated-layer', True)
    """

    def __init__(
        self,
        masking: Masking,
        images: Tensor,
        draws: int = 8,
        patch: int = 16,
        full: bool = False,
        penalty: float = 1e-3,
        steps: int = 50,
        batch_size: int = 32,
        seed: int = 0,
    ) -> None:
        self._wrap(masking, f"calibrated-{_checked(masking).name}")
        for value, what in ((draws, "draws"), (patch, "patch"), (steps, "steps"), (batch_size, "batch_size")):
            check_integer(value, what, least=1)
        check_number(penalty, "penalty", least=0)
        with torch.no_grad():
            answer = _logits(masking(as_image(images)[:1]))
        if sums_to_one(answer) or masking.ends_in_probabilities(images[:1], Output()):
            raise InputError.expected(
                "logits from the model", "probabilities", "calibrate the model without its last softmax or sigmoid"
            )
        whole, masked = _answers(masking, as_image(images), draws, patch, batch_size, seed)
        self.matrix, self.shift = _fitted(whole, masked, full, penalty, steps)

    def _wrap(self, masking: Masking, name: str) -> None:
        Masking.__init__(self, masking.model, name)
        self.masking = masking
        self.preprocess, self.sees_absent = masking.preprocess, masking.sees_absent

    def _masked(self, image: Tensor, presence: Tensor | None, additional: Additional = NONE) -> Any:
        logits = self.masking._masked(image, presence, additional)
        if presence is None:
            return logits
        matrix, shift = self.matrix.to(logits), self.shift.to(logits)
        mapped = (logits * matrix if matrix.dim() == 1 else logits @ matrix.T) + shift
        return torch.where(presence.flatten(1).all(1)[:, None], logits, mapped)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the map, the masking's name and what it was fitted to into a `.npz` file for `make("calibrated:FILE")`.

        Raises:
            InputError: If `make` cannot make the masking by its name.
        """
        masking = self.masking
        try:
            kind, _ = parse_masking(masking.name)
        except InputError:
            kind = ""
        if kind.rpartition(":")[2] != type(masking).__name__:
            got = f"{type(masking).__name__} {masking.name!r}"
            raise InputError.expected("a masking that make builds by its name", got)
        model = digest_model(self.model, any_precision=True)
        about = {"masking": masking.name, "model": model, "fill": _colour(masking)}
        with open(path, "wb") as file:  # given a name, numpy would append .npz to it
            np.savez(file, matrix=self.matrix.numpy(), shift=self.shift.numpy(), about=np.array(json.dumps(about)))

    @classmethod
    def load(
        cls,
        path: str,
        model: nn.Module,
        preprocess: Preprocess | Transform | None = None,
        digest: str | None = None,
    ) -> Calibrated:
        """Make a masking with the map that `save` wrote.

        Args:
            path: The file.
            model: The network that the map was fitted to.
            preprocess: As for [`make`][xai_layermask.maskings.make].
            digest: Digest of the file's content; None for any.

        Raises:
            InputError: If the file cannot be read, was not written by `save` or has another content, or the model or
                the preprocessing of the fill is not the one that the map was fitted to.
        """
        from .registry import make

        content = _content(path)
        if digest not in (None, _digest(content)):
            raise InputError.expected(f"{path!r} with the digest {digest}", _digest(content), "the file has changed")
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                matrix, shift, about = file["matrix"], file["shift"], json.loads(str(file["about"]))
            inner, fitted, fill = str(about["masking"]), about["model"], about["fill"]
            _check_map(matrix, shift)
            if inner.startswith("calibrated"):
                raise ValueError("a map of a map")
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, BadZipFile) as error:
            raise InputError.expected("a file of Calibrated.save", f"{path!r} ({reason(error)})") from error
        if digest_model(model, any_precision=True) != fitted:
            raise InputError.expected(
                f"the model that {path!r} was fitted to", "other weights or another structure", "fit it to this model"
            )
        masking = make(inner, model, preprocess)
        if _colour(masking) != fill:
            raise InputError.expected(
                f"the preprocessing that {path!r} was fitted with", "one that gives its fill other values",
                "pass the same, or fit it with this one",
            )  # fmt: skip
        made = cls.__new__(cls)
        made._wrap(masking, f"calibrated:{path}" + (f"#{digest}" if digest else ""))
        made.matrix, made.shift = torch.from_numpy(matrix), torch.from_numpy(shift)
        return made


def _check_map(matrix: npt.NDArray[Any], shift: npt.NDArray[Any]) -> None:
    """Raise ValueError if these are not a vector or matrix and a shift of K classes."""
    classes = shift.shape
    fits = len(classes) == 1 and classes[0] > 1 and matrix.shape in (classes, 2 * classes)
    if not fits or not all(one.dtype == np.float64 and np.isfinite(one).all() for one in (matrix, shift)):
        raise ValueError(f"{matrix.dtype} {matrix.shape} and {shift.dtype} {shift.shape}")


def content_digest(path: str) -> str:
    """Digest the content of a file: 16 hexadecimal digits.

    Raises:
        InputError: If it cannot be read.
    """
    return _digest(_content(path))


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise InputError.expected("a file of Calibrated.save", f"{path!r} ({reason(error)})") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _colour(masking: Masking) -> list[float] | None:
    """The values that a fill has in the model's input; None unless it is a colour."""
    if not isinstance(masking, Fill) or masking.rgb is None:
        return None
    return [float(value) for value in masking.preprocess.color(masking.rgb).flatten()]


def _checked(masking: object) -> Masking:
    if not isinstance(masking, Masking) or isinstance(masking, Calibrated):
        raise InputError.expected("a masking to calibrate", type(masking).__name__, "pass for example LayerMask(model)")
    return masking


def _answers(
    masking: Masking, images: Tensor, draws: int, patch: int, batch_size: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Probabilities of whole images and logits of masked ones, both float64 `(N * draws, K)` on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    height, width = images.shape[2:]
    rows, columns = -(-height // patch), -(-width // patch)
    whole, masked = [], []
    with torch.no_grad():
        for image in images[:, None]:
            logits = _logits(masking(image)).cpu().double()
            removed = torch.rand(draws, 1, 1, 1, generator=generator)
            chance = torch.rand(draws, 1, rows, columns, generator=generator)
            # At least one patch stays: an empty image has no prediction to correct.
            grid = (chance >= removed) | (chance == chance.amax((2, 3), keepdim=True))
            presence = grid.repeat_interleave(patch, 2).repeat_interleave(patch, 3)[..., :height, :width]
            found = [_logits(masking(image, part.to(images.device))) for part in torch.split(presence, batch_size)]
            whole.append(logits.softmax(1).expand(draws, -1))
            masked.append(torch.cat(found).cpu().double())
    return torch.cat(whole), torch.cat(masked)


def _logits(answer: Any) -> Tensor:
    if not isinstance(answer, Tensor) or answer.dim() != 2 or answer.shape[1] < 2:
        got = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise InputError.expected("logits (N, K) of at least 2 classes from the model", str(got))
    return answer


def _fitted(whole: Tensor, masked: Tensor, full: bool, penalty: float, steps: int) -> tuple[Tensor, Tensor]:
    """The map, a vector or matrix and a shift, with the smallest penalised cross-entropy."""
    classes = masked.shape[1]
    start = torch.eye(classes, dtype=torch.float64) if full else torch.ones(classes, dtype=torch.float64)
    matrix, shift = start.clone().requires_grad_(), torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([matrix, shift], max_iter=steps, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        mapped = (masked @ matrix.T if full else masked * matrix) + shift
        distance = (matrix - start).square().sum() + shift.square().sum()
        value = -(whole * mapped.log_softmax(1)).sum(1).mean() + penalty * distance
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        search.step(loss)  # type: ignore[no-untyped-call]
    return matrix.detach(), shift.detach()
