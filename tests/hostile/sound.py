"""Sound files of every kind, from which damaged ones are made."""

from __future__ import annotations

import functools
import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, features

from xai_layermask import Explanation, Preprocess
from xai_layermask.experiments import Store, Trial
from xai_layermask.explain import Settings

__all__ = ["COCO", "LABELS", "explanation", "masks", "picture", "pictures", "store"]

LABELS = "image,class_index\na.png,3\nb.png,\n"
COCO = {
    "images": [{"id": 1, "file_name": "x.png"}, {"id": 2, "file_name": "y.png"}],
    "categories": [{"id": 17, "name": "cat"}],
    "annotations": [
        {"image_id": 1, "category_id": 17, "area": 4.5, "segmentation": [[0, 0, 5, 0, 5, 5], [1, 1, 3, 1, 3, 3]]},
        {"image_id": 2, "category_id": 17, "area": 2, "segmentation": {"counts": [100, 20, 120], "size": [12, 20]}},
    ],
}


@functools.cache
def pictures() -> tuple[bytes, ...]:
    """A small picture in many formats and modes."""
    colours = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    image = Image.fromarray(colours)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a picture"
    made = [
        _saved(image, "PNG", exif=exif), _saved(image.convert("P"), "PNG", transparency=1),
        _saved(image, "JPEG", exif=exif), _saved(image.convert("CMYK"), "JPEG"), _saved(image, "GIF"),
        _saved(image, "BMP"), _saved(image, "PPM"), _saved(image.convert("L"), "TIFF", compression="tiff_lzw"),
        _saved(image, "TIFF"), _saved(image, "TGA"), _saved(image, "SGI"), _saved(image, "EPS"),
        _saved(Image.fromarray(colours[..., 0].astype(np.uint16) * 257), "PNG"),
        _saved(Image.fromarray(colours[..., 0].astype(np.float32) / 255), "TIFF"),
        _saved(image.convert("RGBA"), "PNG"), _saved(image.convert("LA"), "PNG"), _saved(image.convert("1"), "PNG"),
    ]  # fmt: skip
    made += [_saved(image, name) for name, kind in (("WEBP", "webp"), ("AVIF", "avif"), ("JPEG2000", "jpg_2000"))
             if features.check(kind)]  # fmt: skip
    return tuple(made)


@functools.cache
def picture() -> bytes:
    """The picture that masks and annotations belong to."""
    return _saved(Image.new("RGB", (20, 12), "red"), "PNG")


@functools.cache
def masks() -> tuple[bytes, ...]:
    """Masks of the same picture."""
    mask = np.zeros((12, 20), np.uint8)
    mask[3:9, 4:12] = 1
    arrays = (mask, mask * 255, mask.astype(np.uint16) * 65535, mask.astype(bool))
    return tuple(_saved(Image.fromarray(array), "PNG") for array in arrays)


@functools.cache
def explanation(suffix: str) -> bytes:
    """A saved explanation."""
    parts = {
        "picture": np.full((8, 8, 3), 7, np.uint8), "segments": np.arange(64).reshape(8, 8) // 16,
        "scores": np.linspace(-1, 1, 8).reshape(2, 4), "targets": (3, 5), "labels": ("cat", "dog"),
        "predictions": [0.5, 0.25], "probabilities": [0.5, 0.25], "intercept": [0.1, 0.2], "r2": [0.5, np.nan],
    }  # fmt: skip
    missing = {name: np.full(shape, np.nan) for name, shape in
               (("standard_errors", (2, 4)), ("reliability", 2), ("prior", (2, 3)))}  # fmt: skip
    settings = Settings("lite0", "lime", "layer", "slic", 500, 0, 16, "float32", "cpu", Preprocess(), "torch", "plain")
    with tempfile.TemporaryDirectory() as folder:
        made = Explanation(**parts, **missing, output="probability", settings=settings)
        return made.save(Path(folder) / f"x{suffix}").read_bytes()


@functools.cache
def store() -> bytes:
    """A store with a few trials."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.db"
        with Store(path) as made:
            for number in range(40):
                trial = Trial("mask-shape", "{}", "lite0", "ab", "layer", "", f"{number}.png", "cd", 0, "float32", "0")
                row = {"label": 3, "whole": 3, "kept": True, "object_share": 0.3, "object_out": 3, "broken_out": 4}
                made.put(trial, [row], 0.5, "here")
        return path.read_bytes()


def _saved(image: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()
