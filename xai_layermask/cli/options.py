"""Options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ..catalog import ESTIMATORS, METHODS, OUTPUTS, PRECISIONS, SAMPLINGS, check_estimator, check_fit, check_sampling
from .types import auto_or_positive, auto_or_segmentation, device, model, natural, one_of, samples, window

__all__ = [
    "MASKINGS", "MODEL", "SEGMENTS", "add_device", "add_model", "add_output", "add_outputs", "add_overwrite",
    "add_picture_and_model", "add_precision", "add_preprocess", "add_sampling", "add_script_options",
    "check_sampling_options",
]  # fmt: skip

MODEL = ("lite0, lite1, lite2, torchvision:NAME, timm:NAME, hf:NAME_OR_FOLDER (transformers), or "
         "package.module:factory, a function that returns the model")
MASKINGS = """\
layer (layer masking), layer-zero, partial, layer-until:MODULE, layer-threshold:T, layer-unscaled, layer-soft, tokens,
calibrated:FILE, or a fill: black, grey, red, green, blue, white, (r,g,b), mean, blur, neighbor, road, inpaint"""
SEGMENTS = "slic[:NUMBER], patches[:SIDE], quickshift or felzenszwalb"


def add_picture_and_model(parser: argparse.ArgumentParser) -> None:
    """Add the picture, the model and the segmentation."""
    parser.add_argument("image", metavar="IMAGE", nargs="?",
                        help="a picture file, or for explain a folder (default: a photograph from scikit-image)")
    parser.add_argument("--valid", metavar="FILE",
                        help="a mask of the picture's size, as a picture or .npy file: pixels where it is 0 are absent")
    add_model(parser)


def add_model(
    parser: argparse.ArgumentParser, kind: Callable[[str], Any] = model, default: Any = "lite0", metavar: str = "NAME",
    more: str = "",
) -> None:
    """Add the model and the segmentation; `kind`, `default`, `metavar` and `more` are those of `--model`."""
    parser.add_argument("--model", type=kind, default=default, metavar=metavar, help=f"{MODEL}{more} (default: lite0)")
    parser.add_argument("--weights", metavar="FILE",
                        help="a state dict or a checkpoint (.pt, .ckpt, .safetensors ...) to load instead of the "
                        "model's own weights")
    add_preprocess(parser)
    parser.add_argument("--labels", metavar="FILE",
                        help="names of the classes, instead of the model's own: a text file with a name on each line, "
                        ".csv with names or with indices and names, or .json with a list or {index: name}")
    parser.add_argument("--segments", type=auto_or_segmentation, default="auto", metavar="NAME[:N]",
                        help=f"{SEGMENTS} (default: slic:64, which needs fewer samples than more segments; "
                        "patches:8 for RISE, patches:16 for occlusion)")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add `--output` and `--select`."""
    parser.add_argument("--output", type=one_of(OUTPUTS), default="auto", metavar="NAME",
                        help="what is explained: probability (softmax of the outputs), sigmoid (independent classes), "
                        "logit, log_probability, log_odds, value (a regression), or auto, by what the model returns "
                        "(default: auto)")
    parser.add_argument("--select", metavar="NAME",
                        help="which part to explain if the model returns several: a key, an attribute or an index "
                        "(default: logits, out or the first)")


def add_preprocess(parser: argparse.ArgumentParser) -> None:
    """Add `--preprocess`."""
    parser.add_argument("--preprocess", default="", metavar="WORDS",
                        help="how pictures become inputs, instead of the model's own way: imagenet, half or caffe, "
                        "resize=SIDE, crop=SIDE, separated by commas")


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the method, its samples, and how they are predicted."""
    parser.add_argument("--method", type=one_of(METHODS), default="lime", metavar="NAME",
                        help="lime, shap, rise (random masks of smooth shape, for a map of pixels), occlusion (a "
                        "sliding window) or ablation (each segment is removed once) (default: lime)")
    parser.add_argument("--samples", type=samples, default="auto", metavar="N",
                        help="how many masked pictures the model predicts, or auto: until the scores are reliable, "
                        "at most 1000 (default: auto; occlusion and ablation take no number)")
    parser.add_argument("--window", type=window, default="auto", metavar="PIXELS",
                        help="the side of what RISE and occlusion remove at once, or auto, a seventh of the picture "
                        "(default: auto)")
    parser.add_argument("--sampling", type=one_of(SAMPLINGS), default="auto", metavar="NAME",
                        help="how samples are drawn: plain, paired, stratified, orthogonal (LIME only), leverage "
                        "(KernelSHAP only), all (occlusion and ablation), or auto, the default of the method "
                        "(default: auto)")
    parser.add_argument("--estimator", type=one_of(ESTIMATORS), default="auto", metavar="NAME",
                        help="spatial (a prior that nearby segments score alike, as far as the samples bear it out), "
                        "or as published: ridge (LIME), least_squares (KernelSHAP), mean (the others); auto is spatial "
                        "where the method has it (default: auto)")
    parser.add_argument("--seed", type=natural, default=0, metavar="N",
                        help="seed of the samples; equal seeds give equal results (default: 0)")
    parser.add_argument("--batch-size", type=auto_or_positive, default="auto", metavar="N",
                        help="pictures per forward pass, or auto (default)")
    add_precision(parser)
    add_device(parser)


def check_sampling_options(args: argparse.Namespace) -> None:
    """Check that the options of `add_sampling` fit each other.

    Raises:
        InputError: If the method does not support the sampling scheme, the estimator, a number of samples or a window.
    """
    check_sampling(args.sampling, args.method, f"--sampling of --method {args.method}")
    check_estimator(args.estimator, args.method, f"--estimator of --method {args.method}")
    check_fit(args.method, args.samples, args.window, "--samples", "--window")


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Add `--precision`."""
    parser.add_argument("--precision", type=one_of(PRECISIONS), default="auto", metavar="NAME",
                        help="auto, float32, float64, bfloat16 or float16 (default: auto)")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument("--device", type=device, default="auto", metavar="NAME",
                        help="auto, cpu, cuda, mps or xpu, optionally with an index as in cuda:1 (default: auto)")


def add_outputs(parser: argparse.ArgumentParser, description: str) -> None:
    """Add `--out`."""
    parser.add_argument("--out", nargs="+", action="extend", metavar="FILE", help=description)
    add_overwrite(parser)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add `--overwrite`."""
    parser.add_argument("--overwrite", action="store_true",
                        help="also replace files that xai-layermask did not write")


def add_script_options(parser: argparse.ArgumentParser, json: bool = True) -> None:
    """Add `--quiet` and, unless the command defines its own, `--json`."""
    parser.add_argument("--quiet", action="store_true", help="print errors only, and show no progress")
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
