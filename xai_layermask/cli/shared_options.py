"""Options that several commands have, with the same words and the same meaning."""

from __future__ import annotations

import argparse

from ..errors import choose
from .names import METHODS, PRECISIONS, SAMPLINGS
from .words import auto_or_count, device, model, one_of, samples, segmentation, whole

__all__ = [
    "MASKINGS", "MODEL", "SEGMENTS", "arithmetic", "files", "fitting", "picture_and_model", "sampling", "script",
    "where",
]  # fmt: skip

MODEL = ("lite0, lite1, lite2, torchvision:NAME, timm:NAME, or package.module:factory, a function that returns "
         "the model")
MASKINGS = """\
layer (layer masking), layer-zero, partial, layer-until:MODULE, layer-threshold:T, tokens, or a fill: black, grey,
red, green, blue, white, (r,g,b), mean, blur, neighbor, road, inpaint"""
SEGMENTS = "slic[:NUMBER], patches[:SIDE], quickshift or felzenszwalb"


def picture_and_model(parser: argparse.ArgumentParser) -> None:
    """Add the picture, the model, and how the picture is cut.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("image", metavar="IMAGE", nargs="?",
                        help="a picture file; a photograph of scikit-image's if left out")
    parser.add_argument("--model", type=model, default="lite0", metavar="NAME", help=f"{MODEL} (default: lite0)")
    parser.add_argument("--weights", metavar="FILE",
                        help="a state dict for the model (.pt or .safetensors) in place of its own")
    parser.add_argument("--segments", type=segmentation, default="slic", metavar="NAME[:N]",
                        help=f"{SEGMENTS} (default: slic)")


def sampling(parser: argparse.ArgumentParser) -> None:
    """Add how an explanation is made.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("--method", type=one_of(METHODS), default="lime", metavar="NAME",
                        help="lime or shap (default: lime)")
    parser.add_argument("--samples", type=samples, default=500, metavar="N",
                        help="how many masked pictures the model is shown, or auto: until the standard error of the "
                        "scores is a quarter of their spread, at most 2000 (default: 500)")
    parser.add_argument("--sampling", type=one_of(SAMPLINGS), default="auto", metavar="NAME",
                        help="how samples depend on each other: plain, paired, stratified, orthogonal (LIME only), or "
                        "auto, the one whose scores settle first (default: auto)")
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="makes two runs the same (default: 0)")
    parser.add_argument("--batch-size", type=auto_or_count, default="auto", metavar="N",
                        help="pictures at a time, or auto (default)")
    arithmetic(parser)


def fitting(args: argparse.Namespace) -> None:
    """Refuse what does not fit together in the options of `sampling`.

    Args:
        args: The options.

    Raises:
        InputError: If the method cannot draw samples in that way.
    """
    choose(args.sampling, ("auto", *METHODS[args.method]), f"--sampling of --method {args.method}")


def arithmetic(parser: argparse.ArgumentParser) -> None:
    """Add precision and device.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("--precision", type=one_of(PRECISIONS), default="auto", metavar="NAME",
                        help="auto, float32, float64 or bfloat16 (default: auto)")
    where(parser)


def where(parser: argparse.ArgumentParser) -> None:
    """Add the device.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("--device", type=device, default="auto", metavar="NAME",
                        help="auto, cpu, cuda, mps or xpu, also with a number as in cuda:1 (default: auto)")


def files(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the files to write.

    Args:
        parser: The command's parser.
        what: Help on them.
    """
    parser.add_argument("--out", nargs="+", action="extend", metavar="FILE", help=what)


def script(parser: argparse.ArgumentParser, json: bool = True) -> None:
    """Add what scripts need.

    Args:
        parser: The command's parser.
        json: Whether to add `--json` as well; a command may have one of its own.
    """
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors, and show no progress")
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON document in place of text")
