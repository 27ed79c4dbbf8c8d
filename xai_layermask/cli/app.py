"""`xai-layermask app`: a playground in the browser."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING, Any

from ..catalog import MASKINGS as NAMED
from ..catalog import METHODS
from ..errors import InputError
from .inputs import load_model
from .options import MASKINGS, add_model, add_output, add_sampling, check_sampling_options
from .output import complain, status
from .types import comma_separated, masking, model, natural, positive

if TYPE_CHECKING:
    from ..app import Choices

__all__ = ["EXAMPLES", "SUMMARY", "add_options", "check_options", "run"]

SUMMARY = "Remove parts of a photograph in the browser, and see what the model predicts."

EXAMPLES = """\
examples; the page opens on photographs from scikit-image, and takes your own:
  xai-layermask app --open
  xai-layermask app --model lite0,torchvision:resnet18 --port 9000"""

_PORT = 8760
_SEGMENTS = ("slic:64", "slic:196", "patches:28", "patches:16", "quickshift", "felzenszwalb")
_SAMPLES = ("auto", 100, 300, 1000)
_COLOURS = ("white", "red", "green", "blue", "tokens")  # maskings that are offered only where they are asked for


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `app`."""
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                        help="the address to listen on (default: 127.0.0.1, which only this machine reaches); there is "
                        "no password")
    parser.add_argument("--port", type=natural, default=_PORT, metavar="N",
                        help=f"the port to listen on; 0 for any that is free (default: {_PORT})")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME",
                        help="a further host name by which browsers may reach the page; can be repeated")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--max-megabytes", type=positive, default=16, metavar="N",
                        help="the largest upload, in MB (default: 16)")
    parser.add_argument("--max-megapixels", type=positive, default=40, metavar="N",
                        help="the largest picture, in million pixels (default: 40)")
    add_model(parser, comma_separated(model), ["lite0"], "NAME,NAME,...", "; several can be chosen from in the page")
    parser.add_argument("--masking", type=masking, default="layer", metavar="NAME",
                        help=f"how explanations remove segments at first: {MASKINGS} (default: layer)")
    add_output(parser)
    add_sampling(parser)
    parser.add_argument("--quiet", action="store_true", help="print the address and errors only")


def check_options(args: argparse.Namespace) -> None:
    """Check that the options fit each other.

    Raises:
        InputError: If the method does not support sampling or estimator, or files are given for several models.
    """
    check_sampling_options(args)
    given = [name for name in ("weights", "preprocess", "labels") if getattr(args, name)]
    if len(args.model) > 1 and given:
        raise InputError.expected(f"one model with --{given[0]}", f"{len(args.model)}", "start the app once for each")
    if args.port > 65535:
        raise InputError.expected("an integer from 0 to 65535 for --port", str(args.port))


def run(args: argparse.Namespace) -> int:
    """Run `app` until Ctrl-C.

    Raises:
        InputError: If a model, the port or another option is invalid.
    """
    from ..models.packages import import_package

    for package in ("starlette", "uvicorn"):
        import_package(package, "app")
    with status("starting", args):
        from ..app import Limits, Network, Playground, Server
        from ..engine.runtime import find_device
        from ..models import Output
    select = int(args.select) if args.select and args.select.isdecimal() else args.select
    options: dict[str, Any] = {
        name: getattr(args, name)
        for name in ("method", "sampling", "estimator", "batch_size", "precision", "seed", "window")
    }
    device, networks = find_device(args.device), []
    for name in args.model:
        with status(f"loading {name}", args):
            single = argparse.Namespace(**{**vars(args), "model": name})
            classifier = load_model(single, device)
            networks.append(Network(classifier, output=Output(args.output, select), **options))
    limits = Limits(bytes=args.max_megabytes * 1_000_000, pixels=args.max_megapixels * 1_000_000)
    playground = Playground(networks, _choices(args), limits)
    try:
        with status("capturing the model", args):
            playground.warm_up()
        server = Server(playground, args.host, args.port, args.allow_host)
        _ready(server.url, args)
        with contextlib.suppress(KeyboardInterrupt):
            server.run()
    finally:
        playground.close()
    if not args.quiet:
        print("stopped")
    return 0


def _choices(args: argparse.Namespace) -> Choices:
    """What the page offers: the command line's words first."""
    from ..app import Choices

    method = METHODS[args.method]
    segments = method.segments if args.segments == "auto" else args.segments
    maskings = ("layer", *(name for name in NAMED if name not in ("layer", *_COLOURS)))
    return Choices(
        tuple(dict.fromkeys((args.masking, *maskings))),
        tuple(dict.fromkeys((segments, *_SEGMENTS))),
        ("auto",) if method.fixed else tuple(dict.fromkeys((args.samples, *_SAMPLES))),
    )


def _ready(address: str, args: argparse.Namespace) -> None:
    print(address if args.quiet else f"The playground is at {address} (stop it with Ctrl-C).", flush=True)
    if args.host not in ("127.0.0.1", "::1", "localhost"):
        complain("xai-layermask: anyone who can reach this machine can use the playground; there is no password")
    if args.open:
        import webbrowser

        if not webbrowser.open(address):
            print("no browser was found: open the address in one", file=sys.stderr)
