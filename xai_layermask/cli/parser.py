"""What the command line understands, and what it says about words that it does not understand."""

from __future__ import annotations

import argparse
import difflib
import importlib
from collections.abc import Callable, Sequence
from typing import NoReturn

from .. import __version__
from ..errors import InputError, choose
from . import bench_options, evaluate_options, report_options
from .words import auto_or_count, count, shape, whole, words

__all__ = ["parse"]

_DESCRIPTION = """\
Explain what a vision network sees, by running it on the part of the picture that is there."""

_EXPLAIN = """\
examples:
  xai-layermask explain
  xai-layermask explain cat.jpg --target tabby --out cat.png cat.npz
  xai-layermask explain cat.jpg --model torchvision:resnet50 --weights resnet50.pt
  xai-layermask explain cat.jpg --json > cat.json"""

_COMPARE = """\
examples:
  xai-layermask compare
  xai-layermask compare cat.jpg --maskings black,grey,blur,layer --top 2 --out cat.pdf"""

_CHECK = """\
examples:
  xai-layermask check lite0
  xai-layermask check mypackage.models:make_model --shape 1,3,320,320"""

_MASKINGS = """\
layer (layer masking), layer-zero, partial, layer-until:MODULE, layer-threshold:T, tokens, or a fill: black, grey,
red, green, blue, white, (r,g,b), mean, blur, neighbor, road, inpaint"""


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises what is wrong, in one sentence."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}: see {self.prog} --help.")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Turn the command line into a namespace.

    Args:
        argv: The words after the program's name.

    Returns:
        The options, and as `run` the function to call with them; None where there is nothing left to do.

    Raises:
        InputError: If a word is not understood; the message names the nearest one that is.

    Example:
        >>> parse(["explain", "--sampels", "100"])
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: explain has no option --sampels: did you mean --samples?
    """
    parser, commands = _build()
    first = next((word for word in argv if not word.startswith("-")), None)
    if first is not None:
        choose(first, commands, "command")
    try:
        args, unknown = parser.parse_known_args(argv)
    except SystemExit:  # --help and --version have answered
        return argparse.Namespace(run=None)
    wrong = next((word for word in unknown if word.startswith("-")), None)
    if wrong is not None:
        raise InputError(_unknown_option(wrong, first, commands.get(first or "", parser)))
    if unknown:
        raise InputError(f"{first} takes one file or model, but {unknown[0]!r} came as well: give one at a time.")
    if first is None:
        parser.print_help()
        return argparse.Namespace(run=None)
    return args


def _unknown_option(word: str, command: str | None, parser: argparse.ArgumentParser) -> str:
    name = word.split("=")[0]
    options = [option for action in parser._actions for option in action.option_strings]
    near = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"see {parser.prog} --help."
    return f"{command or 'xai-layermask'} has no option {name}: {hint}"


def _build() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    parser = _Parser(prog="xai-layermask", description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"xai-layermask {__version__}")
    added = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    commands: dict[str, argparse.ArgumentParser] = {}

    def command(name: str, summary: str, examples: str) -> argparse.ArgumentParser:
        commands[name] = added.add_parser(
            name, help=summary, description=summary, epilog=examples, allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        commands[name].set_defaults(run=_later(name))
        return commands[name]

    explain = command("explain", "Explain what a model sees in a picture.", _EXPLAIN)
    _picture_and_model(explain)
    explain.add_argument("--masking", default="layer", help=f"how segments are removed: {_MASKINGS} (default: layer)")
    explain.add_argument("--target", action="append", metavar="CLASS",
                         help="a class to explain, by name or index, in place of the top predictions; "
                         "may be given several times")
    explain.add_argument("--top", type=count, default=1, metavar="K",
                         help="explain the K top predictions (default: 1)")
    _sampling(explain)
    _output(explain, "files to write, by their endings: .png .svg .pdf (picture), .html (report), .npz .json "
            "(to load again, to read elsewhere); default: explanation.png, or none with --json")

    compare = command("compare", "Explain the top predictions with several maskings, side by side.", _COMPARE)
    _picture_and_model(compare)
    compare.add_argument("--maskings", type=words, default=["black", "grey", "layer"], metavar="NAME,NAME,...",
                         help=f"the columns of the picture: {_MASKINGS} (default: black,grey,layer)")
    compare.add_argument("--top", type=count, default=3, metavar="K",
                         help="the rows of the picture: the K top predictions (default: 3)")
    _sampling(compare)
    _output(compare, "the picture to write: .png, .svg or .pdf; default: comparison.png, or none with --json")
    compare.add_argument("--dpi", type=count, default=150, metavar="N",
                         help="pixels per inch of a .png, in which each panel is 2.6 inches wide (default: 150)")

    check = command("check", "Say which of a model's operators have a masked form.", _CHECK)
    check.add_argument("model", metavar="MODEL", help=_MODEL)
    check.add_argument("--weights", metavar="FILE", help="a state dict for the model")
    check.add_argument("--shape", type=shape, metavar="N,C,H,W",
                       help="the input to check for (default: one picture of the model's own size)")
    check.add_argument("--json", action="store_true", help="print JSON in place of a table")

    bench = command("bench", bench_options.SUMMARY, bench_options.EXAMPLES)
    bench_options.options(bench)

    evaluate = command("evaluate", evaluate_options.SUMMARY, evaluate_options.EXAMPLES)
    evaluate_options.options(evaluate)
    report = command("report", report_options.SUMMARY, report_options.EXAMPLES)
    report_options.options(report)
    return parser, commands


_MODEL = ("lite0, lite1, lite2, torchvision:NAME, timm:NAME, or package.module:factory, a function that returns "
          "the model")


def _picture_and_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", nargs="?",
                        help="a picture file; a photograph of scikit-image's if left out")
    parser.add_argument("--model", default="lite0", help=f"{_MODEL} (default: lite0)")
    parser.add_argument("--weights", metavar="FILE",
                        help="a state dict for the model (.pt or .safetensors) in place of its own")
    parser.add_argument("--segments", default="slic", metavar="NAME[:N]",
                        help="slic[:NUMBER], patches[:SIDE], quickshift or felzenszwalb (default: slic)")


def _sampling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--method", default="lime", help="lime or shap (default: lime)")
    parser.add_argument("--samples", type=auto_or_count, default=500, metavar="N",
                        help="how many masked pictures the model is shown, or auto: until the standard error of the "
                        "scores is a quarter of their spread, at most 2000 (default: 500)")
    parser.add_argument("--sampling", default="auto",
                        help="how samples depend on each other: plain, paired, stratified, orthogonal (LIME only), or "
                        "auto, the one whose scores settle first (default: auto)")
    parser.add_argument("--seed", type=whole, default=0, help="makes two runs the same (default: 0)")
    parser.add_argument("--batch-size", type=auto_or_count, default="auto", metavar="N",
                        help="pictures at a time, or auto (default)")
    parser.add_argument("--precision", default="auto", help="auto, float32, float64 or bfloat16 (default: auto)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")


def _output(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--out", nargs="+", action="extend", metavar="FILE", help=what)
    parser.add_argument("--quiet", action="store_true", help="no table and no progress bar")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")


def _later(name: str) -> Callable[[argparse.Namespace], int]:
    """Import a command's module when it runs, since that imports torch."""

    def run(args: argparse.Namespace) -> int:
        return int(importlib.import_module(f".{name}", __package__).run(args))

    return run
