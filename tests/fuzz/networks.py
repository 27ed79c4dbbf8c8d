"""Random networks, written as code.

A network is drawn from a seed. Each statement is run once as it is written, so that the next one knows what shapes
there are; one that fails is dropped. The text is what is built and run afterwards, and what a failure shows.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: The largest map and number of channels: exporting takes most of the time, and small values let loops be loops.
MOST_CHANNELS, MOST_CELLS = 8, 200


@dataclass(frozen=True)
class Network:
    """A network as code.

    Attributes:
        seed: What it was drawn from; also the seed of its weights.
        size: Channels, height and width of its image.
        dtype: Name of its floating-point type.
        parts: Statements of `__init__`.
        lines: Statements of `forward`, the last one returns.
    """

    seed: int
    size: tuple[int, int, int]
    dtype: str
    parts: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def code(self) -> str:
        """The class, readable and ready to run."""
        body = [f"        {part}" for part in self.parts]
        steps = [f"        {line}" for line in self.lines]
        return "\n".join([
            f"# seed {self.seed}: image {self.size}, {self.dtype}",
            "class Net(nn.Module):",
            "    def __init__(self):",
            "        super().__init__()",
            *body,
            "",
            "    def forward(self, x):",
            *steps,
        ])  # fmt: skip

    def build(self) -> nn.Module:
        """The network with random weights, in evaluation mode."""
        names = {"torch": torch, "nn": nn, "F": F}
        exec(self.code, names)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            net = names["Net"]()
            randomise(net)
        return net.to(getattr(torch, self.dtype)).eval()


def randomise(net: nn.Module) -> None:
    """Let every parameter and every statistic of a norm do something."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_mean is not None:
                module.running_mean.normal_(std=0.3)
                module.running_var.uniform_(0.5, 2)
            if hasattr(module, "eps") and getattr(module, "weight", None) is not None:
                module.weight.uniform_(0.5, 1.5)
            if getattr(module, "bias", None) is not None and isinstance(module.bias, Tensor):
                module.bias.normal_(std=0.5)


class Draft:
    """A network while it is written.

    Args:
        seed: What it is drawn from.
    """

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.size = (3, self.draw.randint(5, 14), self.draw.randint(5, 14))
        self.parts: list[str] = []
        self.lines: list[str] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.values: dict[str, Tensor] = {"x": torch.randn(2, *self.size)}
        self._self = nn.Module()
        self.maps = ["x"]

    def chance(self, share: float) -> bool:
        """True in this share of all cases."""
        return self.draw.random() < share

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a value without the batch."""
        return tuple(self.values[name].shape[1:])

    def part(self, code: str) -> str:
        """Add a module or parameter; returns its name."""
        name = f"m{len(self.parts)}"
        made = self._eval(code)
        setattr(self._self, name, made.eval() if isinstance(made, nn.Module) else made)
        self.parts.append(f"self.{name} = {code}")
        return f"self.{name}"

    def put(self, code: str) -> str:
        """Add a statement; returns the name of its value."""
        with torch.no_grad():
            value = self._eval(code)
        if isinstance(value, Tensor):
            if 0 in value.shape or value.numel() > 2 * MOST_CHANNELS * MOST_CELLS * 4:
                raise ValueError(f"{tuple(value.shape)} is no good size")
            if not value.abs().max() < 1e3:
                raise ValueError("values must not grow without bound")
        name = f"x{len(self.lines)}"
        self.values[name] = value
        self.lines.append(f"{name} = {code}")
        return name

    def _eval(self, code: str) -> object:
        return eval(code, {"torch": torch, "nn": nn, "F": F, "self": self._self, **self.values})

    def attempt(self, block: Callable[[Draft, str], str], x: str) -> str:
        """Write a block after `x`; leave everything as it was where the block does not fit."""
        before = len(self.parts), len(self.lines), dict(self.values), list(self.maps)
        copies = {name: value.clone() for name, value in self.values.items() if isinstance(value, Tensor)}
        try:
            y = block(self, x)
            if self.values[y].dim() != 4:
                raise ValueError(f"{block.__name__} must make a map")
            self.maps.append(y)
            return y
        except (RuntimeError, ValueError, IndexError, TypeError):
            parts, lines, self.values, self.maps = before
            del self.parts[parts:], self.lines[lines:]
            self.values |= copies  # a block that failed may have written in place
            return x

    def is_alone(self, x: str) -> bool:
        """Whether no other value shares memory with this one, so that it may be written in place."""
        mine = self.values[x].untyped_storage().data_ptr()
        others = [v for name, v in self.values.items() if name != x and isinstance(v, Tensor)]
        return x != "x" and all(v.untyped_storage().data_ptr() != mine for v in others)


def draw_network(seed: int) -> Network:
    """Draw a network."""
    draft = Draft(seed)
    x = "x"
    for _ in range(draft.draw.randint(2, 6)):
        if draft.chance(0.1):
            x = draft.draw.choice(draft.maps)
        block = draft.draw.choices(BLOCKS, [weight for _, weight in WEIGHTED])[0]
        x = draft.attempt(block, x)
    dtype = draft.draw.choices(["float64", "float32", "bfloat16"], [70, 25, 5])[0]
    if dtype == "bfloat16" and any(sign in line for line in draft.lines for sign in (" > ", " < ", " >= ")):
        dtype = "float32"  # rounding moves a value to the other side of a comparison
    for _ in range(20):
        head = draft.draw.choices([h for h, _ in HEADS], [weight for _, weight in HEADS])[0]
        before = len(draft.parts), len(draft.lines), dict(draft.values)
        try:
            answer = head(draft, x)
            break
        except (RuntimeError, ValueError, IndexError, TypeError):
            parts, lines, draft.values = before
            del draft.parts[parts:], draft.lines[lines:]
    else:
        answer = x
    return trimmed(Network(seed, draft.size, dtype, tuple(draft.parts), (*draft.lines, f"return {answer}")))


def _names(code: str) -> set[str]:
    return set(re.findall(r"\b(?:x|x\d+|m\d+)\b", code))


def trimmed(network: Network) -> Network:
    """The network without what its answer does not depend on."""
    needed: set[str] = set()
    lines: list[str] = []
    for line in reversed(network.lines):
        name, _, code = line.partition(" = ")
        if not lines or name in needed or "_(" in code or "inplace=True" in code:
            needed |= _names(code or line)
            lines.append(line)
    parts = [part for part in network.parts if part.partition(" = ")[0].removeprefix("self.") in needed]
    return replace(network, parts=tuple(parts), lines=tuple(reversed(lines)))


# --- convolutions and pools ---


def conv(d: Draft, x: str) -> str:
    """A convolution of any kind."""
    c = d.shape(x)[0]
    mode = d.draw.choices(["zeros", "reflect", "replicate", "circular"], [75, 9, 8, 8])[0]
    kernel = d.draw.choice([(3, 3), (3, 3), (3, 3), (1, 1), (2, 2), (5, 5), (1, 3), (3, 1), (2, 3), (4, 3), (5, 1)])
    dilation = d.draw.choice([(1, 1)] * 4 + [(2, 2), (2, 1), (1, 3)])
    stride = d.draw.choice([(1, 1)] * 5 + [(2, 2), (2, 2), (1, 2), (3, 3), (2, 3)])
    reach = [s * (k - 1) for k, s in zip(kernel, dilation, strict=True)]
    padding: object = tuple(d.draw.choice([0, r // 2, r // 2, r // 2, r]) for r in reach)
    if d.chance(0.1):
        padding, stride = d.draw.choice(["same", "valid"]), (1, 1)
    out = d.draw.choice([4, 4, 6, 8, c])
    groups = d.draw.choice([1, 1, 1, math.gcd(c, out), 2 if c % 2 == 0 and out % 2 == 0 else 1])
    bias = "" if d.chance(0.6) else ", bias=False"
    options = "".join(
        f", {name}={value!r}"
        for name, value, usual in [
            ("stride", stride, (1, 1)),
            ("padding", padding, (0, 0)),
            ("dilation", dilation, (1, 1)),
            ("groups", groups, 1),
            ("padding_mode", mode, "zeros"),
        ]
        if value != usual
    )
    kind = d.part(f"nn.Conv2d({c}, {out}, {kernel if kernel[0] != kernel[1] else kernel[0]}{options}{bias})")
    if mode == "zeros" and d.chance(0.12):
        bias = "None" if bias else f"{kind}.bias"
        return d.put(f"F.conv2d({x}, {kind}.weight, {bias}, {stride!r}, {padding!r}, {dilation!r}, {groups})")
    return d.put(f"{kind}({x})")


def same(d: Draft, x: str, out: int | None = None) -> str:
    """A convolution that keeps the size of the map."""
    c = d.shape(x)[0]
    k, step = d.draw.choice([(3, 1), (3, 1), (3, 1), (1, 1), (5, 1), (3, 2)])
    groups = c if out in (None, c) and d.chance(0.2) else 1
    mode = ", padding_mode='reflect'" if d.chance(0.06) else ""
    options = "".join(
        f", {name}={value}"
        for name, value, usual in [("padding", step * (k - 1) // 2, 0), ("dilation", step, 1), ("groups", groups, 1)]
        if value != usual
    )
    options += mode
    return d.put(f"{d.part(f'nn.Conv2d({c}, {out or c}, {k}{options})')}({x})")


def block(d: Draft, x: str) -> str:
    """Convolution, norm and activation, in any order."""
    steps = [conv, norm, act]
    if d.chance(0.25):
        d.draw.shuffle(steps)
    for step in steps:
        if d.chance(0.85):
            x = step(d, x)
    return x


def pool(d: Draft, x: str) -> str:
    """Maximum or average over windows."""
    k = d.draw.choice([2, 2, 3, 3, (3, 2), (1, 2), 4])
    s = d.draw.choice([1, 2, 2, 2, 3, (2, 1)])
    small = k if isinstance(k, int) else min(k)
    p = d.draw.choice([0, 0, small // 2])
    ceil = d.chance(0.3)
    if d.chance(0.5):
        spread = d.draw.choice([1, 1, 1, 2])
        code = f"nn.MaxPool2d({k}, {s}, {p}, dilation={spread}, ceil_mode={ceil})"
        if d.chance(0.25):
            return d.put(f"F.max_pool2d({x}, {k}, {s}, {p}, {spread}, {ceil})")
    else:
        include, divisor = d.chance(0.5), d.draw.choice([None] * 6 + [3])
        code = f"nn.AvgPool2d({k}, {s}, {p}, {ceil}, {include}, {divisor})"
        if d.chance(0.25):
            return d.put(f"F.avg_pool2d({x}, {k}, {s}, {p}, {ceil}, {include}, {divisor})")
    return d.put(f"{d.part(code)}({x})")


# --- per position ---


def act(d: Draft, x: str) -> str:
    """An activation, in place where that is allowed."""
    in_place = d.is_alone(x) and d.chance(0.5)
    plain = (
        "F.relu({x})", "F.silu({x})", "torch.tanh({x})", "{x}.sigmoid()", "F.gelu({x})", "F.hardswish({x})",
        "F.leaky_relu({x}, 0.1)", "F.elu({x})", "F.softplus({x})", "F.relu6({x})", "F.mish({x})", "{x}.exp()",
        "{x} * torch.sigmoid({x})", "{x}.clamp(-1, 1)", "-{x}", "{x}.abs()", "{x} * 0.5 + 1", "1 - {x}",
        "{x} ** 2", "F.hardsigmoid({x})", "F.dropout({x}, 0.5, self.training)", "{x}.clone()", "{x}.contiguous()",
    )  # fmt: skip
    writing = (
        "F.relu({x}, inplace=True)", "{x}.relu_()", "F.silu({x}, inplace=True)", "{x}.mul_(0.7)", "{x}.add_(1)",
        "{x}.clamp_(-1, 1)", "{x}.sigmoid_()", "F.hardswish({x}, inplace=True)", "{x}.neg_()", "{x}.exp_()",
    )  # fmt: skip
    if not in_place and d.chance(0.1):
        return d.put(f"{d.part(f'nn.PReLU({d.shape(x)[0]})')}({x})")
    return d.put(d.draw.choice(writing if in_place else plain).format(x=x))


def norm(d: Draft, x: str) -> str:
    """A norm over channels, groups or the whole map."""
    c, h, w = d.shape(x)
    groups = d.draw.choice([g for g in range(1, c + 1) if c % g == 0])
    kind = d.draw.choices(
        ["batch", "group", "instance", "channels", "all", "last", "functional"], [50, 12, 8, 8, 6, 4, 4]
    )[0]
    if kind == "batch":
        affine = "" if d.chance(0.8) else ", affine=False"
        return d.put(f"{d.part(f'nn.BatchNorm2d({c}{affine})')}({x})")
    if kind == "group":
        return d.put(f"{d.part(f'nn.GroupNorm({groups}, {c})')}({x})")
    if kind == "instance":
        track = d.chance(0.3)
        return d.put(f"{d.part(f'nn.InstanceNorm2d({c}, affine={d.chance(0.5)}, track_running_stats={track})')}({x})")
    if kind == "channels":
        return d.put(f"{d.part(f'nn.LayerNorm({c})')}({x}.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)")
    if kind == "all":
        return d.put(f"{d.part(f'nn.LayerNorm(({c}, {h}, {w}))')}({x})")
    if kind == "last":
        return d.put(f"{d.part(f'nn.LayerNorm({w})')}({x})")
    return d.put(f"F.group_norm({x}, {groups})")


# --- gates ---


def squeeze_excite(d: Draft, x: str) -> str:
    """Channels scaled by what is in the whole map."""
    c = d.shape(x)[0]
    pooled = d.put(
        d.draw.choice([
            "{x}.mean((2, 3), keepdim=True)", "F.adaptive_avg_pool2d({x}, 1)", "F.adaptive_max_pool2d({x}, 1)",
            "{x}.amax((2, 3), keepdim=True)", "{x}.mean(3, keepdim=True).mean(2, keepdim=True)",
        ]).format(x=x)
    )  # fmt: skip
    style = d.draw.choice(["conv", "linear", "efficient"])
    if style == "conv":
        first, second = d.part(f"nn.Conv2d({c}, 2, 1)"), d.part(f"nn.Conv2d(2, {c}, 1)")
        gate = d.put(f"torch.sigmoid({second}(F.relu({first}({pooled}))))")
    elif style == "linear":
        layer = d.part(f"nn.Linear({c}, {c})")
        gate = d.put(f"F.hardsigmoid({layer}({pooled}.flatten(1)))[:, :, None, None]")
    else:
        layer = d.part("nn.Conv1d(1, 1, 3, padding=1, bias=False)")
        gate = d.put(f"{layer}({pooled}.squeeze(-1).transpose(1, 2)).transpose(1, 2).unsqueeze(-1).sigmoid()")
    if d.is_alone(x) and d.chance(0.2):
        return d.put(f"{x}.mul_({gate})")
    return d.put(f"{x} * {gate}" if d.chance(0.7) else f"{x} * {gate}.expand_as({x})")


def spatial_gate(d: Draft, x: str) -> str:
    """Positions scaled by what is in all their channels."""
    both = d.put(f"torch.cat([{x}.mean(1, keepdim=True), {x}.amax(1, keepdim=True)], 1)")
    layer = d.part("nn.Conv2d(2, 1, 3, padding=1)")
    return d.put(f"{x} * torch.sigmoid({layer}({both}))")


def coordinate_gate(d: Draft, x: str) -> str:
    """Rows and columns scaled by their means."""
    c, h, w = d.shape(x)
    rows = d.put(f"{x}.mean(3, keepdim=True)")
    columns = d.put(f"{x}.mean(2, keepdim=True).permute(0, 1, 3, 2)")
    both = d.put(f"F.relu({d.part(f'nn.Conv2d({c}, {c}, 1)')}(torch.cat([{rows}, {columns}], 2)))")
    parts = d.put(f"torch.split({both}, [{h}, {w}], 2)")
    return d.put(f"{x} * {parts}[0].sigmoid() * {parts}[1].permute(0, 1, 3, 2).sigmoid()")


def context(d: Draft, x: str) -> str:
    """A map plus a weighted sum over its positions."""
    c = d.shape(x)[0]
    weights = d.put(f"{d.part(f'nn.Conv2d({c}, 1, 1)')}({x}).flatten(2).softmax(-1)")
    pooled = d.put(f"torch.matmul({x}.flatten(2), {weights}.transpose(1, 2)).unsqueeze(-1)")
    return d.put(f"{x} + {d.part(f'nn.Conv2d({c}, {c}, 1)')}({pooled})")


def responses(d: Draft, x: str) -> str:
    """Channels scaled by statistics of the map, and positions by statistics of their channels."""
    c = d.shape(x)[0]
    style = d.draw.choice(["global response", "normalize", "standardize", "max", "einsum", "logsumexp", "softmax"])
    if style == "global response":
        g = d.put(f"torch.norm({x}, p=2, dim=(2, 3), keepdim=True)")
        return d.put(f"{x} * ({g} / ({g}.mean(1, keepdim=True) + 1e-6)) + {x}")
    if style == "normalize":
        return d.put(f"F.normalize({x}, dim={d.draw.choice([1, 3])})")
    if style == "standardize":
        dims = d.draw.choice(["(2, 3)", "(1, 2, 3)", "3", "1"])
        spread = d.draw.choice([f"{x}.std({dims}, keepdim=True)", f"{x}.var({dims}, unbiased=False, keepdim=True)"])
        return d.put(f"({x} - {x}.mean({dims}, keepdim=True)) / ({spread} + 0.5)")
    if style == "max":
        y = d.put(f"torch.max({x}, {d.draw.choice([1, 1, 2])}, keepdim=True)")
        return d.put(f"{x} * torch.sigmoid({y}[0])")
    if style == "einsum":
        layer = d.part(f"nn.Parameter(torch.randn(4, {c}))")
        return d.put(f"torch.einsum('nchw,oc->nohw', {x}, {layer})")
    if style == "logsumexp":
        return d.put(f"{x} - {x}.logsumexp({d.draw.choice(['1', '(2, 3)'])}, keepdim=True)")
    return d.put(f"{x} * {x}.flatten(2).softmax(2).view_as({x})")


# --- joins ---


def residual(d: Draft, x: str) -> str:
    """A branch added to what it came from."""
    c = d.shape(x)[0]
    y = x
    for _ in range(d.draw.randint(1, 3)):
        y = d.draw.choice([same, act, norm, same])(d, y)
    y = same(d, y, c)
    if d.is_alone(x) and d.chance(0.15):
        return d.put(f"{x}.add_({y})")
    return d.put(
        d.draw.choice(["{x} + {y}", "{y} + {x}", "{x} * {y}", "{x} - {y}", "torch.maximum({x}, {y})"]).format(x=x, y=y)
    )


def join(d: Draft, x: str) -> str:
    """Two maps of the network brought to one size and joined."""
    other = d.draw.choice(d.maps)
    (c, h, w), (oc, oh, ow) = d.shape(x), d.shape(other)
    if (h, w) != (oh, ow):
        how = d.draw.choice(["crop", "pad", "resize"])
        if how == "crop":
            nh, nw = min(h, oh), min(w, ow)
            x, other = (_crop(d, name, nh, nw) for name in (x, other))
        elif how == "pad":
            nh, nw = max(h, oh), max(w, ow)
            x, other = (_pad_to(d, name, nh, nw) for name in (x, other))
        else:
            mode = d.draw.choice(["nearest", "bilinear"])
            other = d.put(f"F.interpolate({other}, size=({h}, {w}), mode={mode!r})")
    style = d.draw.choice(["sum", "sum", "product", "cat", "cat", "cat rows"])
    if style == "cat rows":
        other = other if oc == c else same(d, other, c)
        return d.put(f"torch.cat([{x}, {other}], {d.draw.choice([2, 3])})")
    if style == "cat":
        y = d.put(f"torch.cat([{x}, {other}], 1)")
        return y if d.shape(y)[0] <= MOST_CHANNELS else d.put(f"{d.part(f'nn.Conv2d({c + oc}, 4, 1)')}({y})")
    if oc != c:
        other = same(d, other, c)
    return d.put(f"{x} + {other}" if style == "sum" else f"{x} * {other}")


def _crop(d: Draft, x: str, h: int, w: int) -> str:
    _, oh, ow = d.shape(x)
    if (h, w) == (oh, ow):
        return x
    top, left = d.draw.randint(0, oh - h), d.draw.randint(0, ow - w)
    return d.put(f"{x}[:, :, {top}:{top + h}, {left}:{left + w}]")


def _pad_to(d: Draft, x: str, h: int, w: int) -> str:
    _, oh, ow = d.shape(x)
    if (h, w) == (oh, ow):
        return x
    top, left = d.draw.randint(0, h - oh), d.draw.randint(0, w - ow)
    return d.put(f"F.pad({x}, ({left}, {w - ow - left}, {top}, {h - oh - top}))")


def dense(d: Draft, x: str) -> str:
    """New channels beside the old ones."""
    y = same(d, x, d.draw.choice([2, 4]))
    z = d.put(f"torch.cat([{x}, {y}], {d.draw.choice([1, 1, -3])})")
    return z if d.shape(z)[0] <= MOST_CHANNELS else d.put(f"{d.part(f'nn.Conv2d({d.shape(z)[0]}, 4, 1)')}({z})")


def shifted(d: Draft, x: str) -> str:
    """A map joined with itself moved by a cell, or with another one that has a border."""
    c = d.shape(x)[0]
    style = d.draw.choice(["moved", "border", "rolled"])
    if style == "moved":
        sizes = d.draw.choice(["(-1, 1, -1, 1)", "(1, -1, 0, 0)", "(0, 0, 1, -1)", "(1, -1, 1, -1)"])
        y = d.put(f"F.pad({x}, {sizes})")
    elif style == "rolled":
        y = d.put(f"torch.roll({x}, {d.draw.choice(['1, 2', '-1, 3', '(1, 1), (2, 3)'])})")
    else:
        y = d.put(f"{d.part(f'nn.Conv2d({c}, {c}, 3, padding=2)')}({x})")
        x = d.put(f"F.pad({x}, (1, 1, 1, 1))")
    return d.put(f"{x} + {y}" if d.chance(0.5) or c > 4 else f"torch.cat([{x}, {y}], 1)")


# --- views ---


def pads(d: Draft, x: str) -> str:
    """A border of the model's own, or a crop."""
    code = d.draw.choice([
        "F.pad({x}, (1, 1, 1, 1))", "F.pad({x}, (0, 1, 0, 1))", "F.pad({x}, (2, 1, 0, 1), value=1.5)",
        "F.pad({x}, (1, 1, 1, 1), mode='reflect')", "F.pad({x}, (1, 2, 2, 1), mode='replicate')",
        "F.pad({x}, (1, 1, 2, 0), mode='circular')", "F.pad({x}, (-1, 1, 0, -1))", "F.pad({x}, (0, 0, 1, 1, 1, 0))",
        "F.pad({x}, (2, 2))",
    ]).format(x=x)  # fmt: skip
    if d.chance(0.3):
        layer = d.draw.choice(
            [
                "nn.ConstantPad2d(1, 1.5)",
                "nn.ZeroPad2d((1, 0, 2, 1))",
                "nn.ReflectionPad2d(1)",
                "nn.ReplicationPad2d((1, 0, 1, 2))",
            ]
        )
        code = f"{d.part(layer)}({x})"
    return d.put(code)


def crops(d: Draft, x: str) -> str:
    """Parts of a map."""
    c, h, _ = d.shape(x)
    half = max(c // 2, 1)
    return d.put(
        d.draw.choice([
            "{x}[:, :, :{h2}]", "{x}[:, :, :, 1:]", "{x}[:, :, ::2, ::2]", "{x}[:, {c2}:]", "{x}.chunk(2, 1)[1]",
            "{x}.chunk(2, 2)[0]", "{x}.chunk(2, 3)[1]", "{x}.narrow(2, 1, {h1})", "{x}[:, :, 1:-1, 1:-1]",
            "{x}.flip(3)", "{x}.flip(2)", "{x}.transpose(2, 3)", "{x}.permute(0, 1, 3, 2).contiguous()",
            "{x}[:, 1].unsqueeze(1)",
            "{x}[:, None, 0]", "torch.roll({x}, 1, 3)", "{x}.select(2, 1).unsqueeze(2)", "{x}.split(1, 1)[0]",
        ]).format(x=x, c2=half, h1=h - 1, h2=max(h // 2, 1))
    )  # fmt: skip


def two_crops(d: Draft, x: str) -> str:
    """Parts of a map that are read by windows, as is the map."""
    c = d.shape(x)[0]
    h = d.shape(x)[1]
    part = d.put(f"{x}[:, :, :{max(h // 2, 2)}]")
    y = same(d, part, c) if d.chance(0.5) else d.put(f"F.max_pool2d({part}, 3, 1, 1)")
    pooled = d.put(f"{y}.mean((2, 3), keepdim=True)")
    return d.put(f"{same(d, x, c)} + {pooled}")


def spread(d: Draft, x: str) -> str:
    """A map that is the same along a side, and joined or not with what it came from."""
    _, h, w = d.shape(x)
    y = d.put(
        d.draw.choice([
            "{x}.mean(3, keepdim=True).expand(-1, -1, -1, {w})", "{x}.mean(2, keepdim=True).repeat(1, 1, {h}, 1)",
            "{x}.amax(3, keepdim=True).expand(-1, -1, -1, {w})", "{x}.mean(3, keepdim=True).expand_as({x})",
            "F.interpolate({x}.mean(2, keepdim=True), size=({h}, {w}), mode='nearest')",
            "{x}.mean((2, 3), keepdim=True).expand(-1, -1, {h}, {w})", "{x}.mean(2, keepdim=True)",
        ]).format(x=x, h=h, w=w)
    )  # fmt: skip
    return y if d.chance(0.4) else d.put(f"{x} {d.draw.choice('+*-')} {y}")


def reshaped(d: Draft, x: str) -> str:
    """A map seen in another shape, worked on, and seen in its own again."""
    c, h, w = d.shape(x)
    style = d.draw.choice(["column", "sequence", "linear", "mixer", "side", "unflatten", "fold"])
    if style == "column":
        layer = d.part(f"nn.Conv2d({c}, {c}, (3, 1), padding=(1, 0))")
        return d.put(f"{layer}({x}.reshape({x}.shape[0], {c}, {h * w}, 1)).reshape(-1, {c}, {h}, {w})")
    if style == "sequence":
        y = d.put(f"{x}.flatten(2).transpose(1, 2)")
        y = d.put(f"{d.part(f'nn.Linear({c}, {c})')}({d.part(f'nn.LayerNorm({c})')}({y}))")
        back = d.draw.choice(
            [f"view(-1, {c}, {h}, {w})", f"reshape({x}.shape[0], {c}, {h}, {w})", f"unflatten(2, ({h}, {w}))"]
        )
        back = back if "view" not in back else f"contiguous().{back}"
        return d.put(f"{y}.transpose(1, 2).{back}")
    if style == "linear":
        return d.put(f"{d.part(f'nn.Linear({c}, {c})')}({x}.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)")
    if style == "mixer":
        y = d.put(f"{d.part(f'nn.Linear({h * w}, {h * w})')}({x}.flatten(2))")
        return d.put(f"{x} + {y}.view({x}.shape)")
    if style == "side":
        return d.put(f"{d.part(f'nn.Linear({w}, {w})')}({x})")
    if style == "unflatten":
        groups = 2 if c % 2 == 0 else 1
        return d.put(
            f"{x}.unflatten(1, ({groups}, -1)).{d.draw.choice(['mean(1)', 'sum(1)', 'amax(1)', 'flatten(1, 2)'])}"
        )
    return d.put(f"{x}.contiguous().view({x}.shape[0] * {c}, 1, {h}, {w}).mul(2).view(-1, {c}, {h}, {w})")


def shuffles(d: Draft, x: str) -> str:
    """Channels and positions exchanged."""
    c, h, w = d.shape(x)
    style = d.draw.choice(["channels", "channels", "module", "pixels", "unpixels", "focus", "split"])
    if style == "channels":
        g = 2 if c % 2 == 0 else 1
        return d.put(f"{x}.reshape({x}.shape[0], {g}, {c // g}, {h}, {w}).transpose(1, 2).flatten(1, 2)")
    if style == "module":
        return d.put(f"{d.part(f'nn.ChannelShuffle({2 if c % 2 == 0 else 1})')}({x})")
    if style == "pixels":
        return d.put(f"F.pixel_shuffle({x}, 2)")
    if style == "split":
        first = d.put(f"{x}.chunk(2, 1)")
        half = d.put(f"{first}[1]")
        return d.put(f"torch.cat([{first}[0], {same(d, half)}], 1)")
    if style == "unpixels":
        y = d.put(f"F.pixel_unshuffle({x}, 2)")
    else:
        y = d.put(
            f"torch.cat([{x}[:, :, ::2, ::2], {x}[:, :, 1::2, ::2], {x}[:, :, ::2, 1::2], {x}[:, :, 1::2, 1::2]], 1)"
        )
    return y if d.chance(0.3) else same(d, y, 4)


def resizes(d: Draft, x: str) -> str:
    """Interpolation in each mode."""
    mode = d.draw.choice(["nearest", "nearest-exact", "bilinear", "bilinear", "bicubic", "area"])
    if mode != "area" and d.chance(0.6):
        target = f"scale_factor={d.draw.choice([2, 0.5, 1.5, (2.0, 1.0)])}"
    else:
        target = f"size=({d.draw.randint(2, 12)}, {d.draw.randint(2, 12)})"
    extra = ""
    if mode in ("bilinear", "bicubic"):
        extra = d.draw.choice(["", "", ", align_corners=True", ", antialias=True"])
    y = d.put(f"F.interpolate({x}, {target}, mode={mode!r}{extra})")
    if "antialias" in extra and d.shape(y)[2] == 1:
        raise ValueError("torch 2.14 resizes contiguous maps wrongly to a single column")
    return y


def upconv(d: Draft, x: str) -> str:
    """A transposed convolution."""
    c = d.shape(x)[0]
    k, s = d.draw.choice([(2, 2), (3, 2), (3, 1), (4, 2), (3, 3), ((2, 3), (1, 2))])
    small = k if isinstance(k, int) else min(k)
    out = d.draw.choice([4, c])
    options = f"stride={s}, padding={d.draw.choice([0, 0, (small - 1) // 2])}"
    if s == 2 and d.chance(0.3):
        options += ", output_padding=1"
    if c == out and d.chance(0.3):
        options += f", groups={c}"
    return d.put(f"{d.part(f'nn.ConvTranspose2d({c}, {out}, {k}, {options})')}({x})")


def columns(d: Draft, x: str) -> str:
    """Windows as columns: weighted sums of them, or patches that are worked on."""
    c, h, w = d.shape(x)
    style = d.draw.choice(["involution", "patches", "conv", "fold"])
    if style == "involution":
        weights = d.put(f"{d.part(f'nn.Conv2d({c}, 9, 1)')}({x}).softmax(1).unsqueeze(1)")
        return d.put(f"(F.unfold({x}, 3, padding=1).view(-1, {c}, 9, {h}, {w}) * {weights}).sum(2)")
    if style == "conv":
        weights = d.part(f"nn.Parameter(torch.randn(4, {4 * c}))")
        return d.put(f"({weights} @ F.unfold({x}, 2, stride=1)).view(-1, 4, {h - 1}, {w - 1})")
    if style == "fold":
        return d.put(f"F.fold(F.unfold({x}, 3, padding=1), ({h}, {w}), 3, padding=1) / 9")
    x = _crop(d, x, h - h % 2, w - w % 2)
    y = d.put(f"F.unfold({x}, 2, stride=2).reshape(-1, {c}, 4, {(h // 2) * (w // 2)})")
    y = d.put(f"{y} + {y}.mean(2, keepdim=True)")
    return d.put(f"F.fold({y}.reshape(-1, {4 * c}, {(h // 2) * (w // 2)}), ({h - h % 2}, {w - w % 2}), 2, stride=2)")


def lines(d: Draft, x: str) -> str:
    """Operators on lines: over all positions in a row."""
    c, h, w = d.shape(x)
    y = d.put(f"{x}.flatten(2)")
    style = d.draw.choice(["conv", "conv", "average", "maximum", "adaptive"])
    if style == "conv":
        groups = d.draw.choice([1, c])
        y = d.put(f"{d.part(f'nn.Conv1d({c}, {c}, 3, padding=1, groups={groups})')}({y})")
    elif style == "average":
        y = d.put(f"F.avg_pool1d({y}, 3, 1, 1)")
    elif style == "maximum":
        y = d.put(f"F.max_pool1d({y}, 3, 1, 1)")
    else:
        return d.put(f"{x} * F.adaptive_avg_pool1d({y}, 1).unsqueeze(-1)")
    return d.put(f"{y}.view(-1, {c}, {h}, {w})")


def picks(d: Draft, x: str) -> str:
    """Entries picked, repeated, gated and compared."""
    c, _, w = d.shape(x)
    y = same(d, x) if d.chance(0.4) else x
    return d.put(
        d.draw.choice([
            "{x}[:, {order}]", "torch.index_select({x}, 1, torch.tensor({order}))", "{x}.repeat_interleave(2, 1)",
            "{x}.tile(1, 2, 1, 1)", "torch.rot90({x}, 1, (2, 3))", "F.glu({x}, 1)",
            "torch.stack([{x}, {y}], 1).flatten(1, 2)", "torch.stack([{x}, {y}], -1).mean(-1)",
            "torch.where({x} > 0, {x}, 0.1 * {y})", "{x}.masked_fill({x} < 0, 0.0)",
            "torch.stack([{x}, {y}], 2).amax(2)", "torch.nan_to_num({x})", "F.local_response_norm({x}, 3)",
            "F.rms_norm({x}.permute(0, 2, 3, 1), ({c},)).permute(0, 3, 1, 2)", "F.rms_norm({x}, ({w},))",
            "F.rrelu({y})",
            "{x} * F.cosine_similarity({x}, {y}, dim=1).unsqueeze(1)", "{x} * ({y} >= 0)",
            "torch.atan({x}) + torch.expm1({y}.tanh())",
        ]).format(x=x, y=y, c=c, w=w, order=list(range(c))[::-1])
    )  # fmt: skip


# --- attention ---


def attention(d: Draft, x: str) -> str:
    """Attention over positions."""
    c, h, w = d.shape(x)
    if h * w > 80:
        raise ValueError("too many positions")
    heads = 2 if c % 2 == 0 else 1
    tokens = d.put(f"{x}.flatten(2).transpose(1, 2)")
    layer = d.part(f"nn.Linear({c}, {3 * c})")
    qkv = d.put(f"{layer}({tokens}).reshape(-1, {h * w}, 3, {heads}, {c // heads}).permute(2, 0, 3, 1, 4)")
    q, k, v = (d.put(f"{qkv}[{i}]") for i in range(3))
    y = d.put(_attend(d, q, k, v))
    y = d.put(f"{d.part(f'nn.Linear({c}, {c})')}({y}.transpose(1, 2).reshape(-1, {h * w}, {c}))")
    y = d.put(f"{tokens} + {y}")
    return d.put(f"{y}.transpose(1, 2).reshape(-1, {c}, {h}, {w})")


def _attend(d: Draft, q: str, k: str, v: str) -> str:
    style = d.draw.choice(["product", "product", "function", "einsum"])
    if style == "function":
        return f"F.scaled_dot_product_attention({q}, {k}, {v})"
    if style == "einsum":
        return f"torch.einsum('...ij,...jd->...id', torch.einsum('...id,...jd->...ij', {q}, {k}).softmax(-1), {v})"
    return f"({q} @ {k}.transpose(-2, -1) * 0.5).softmax(-1) @ {v}"


def window_attention(d: Draft, x: str) -> str:
    """Attention inside windows."""
    c, h, w = d.shape(x)
    nh, nw = h // 2, w // 2
    x = _crop(d, x, 2 * nh, 2 * nw)
    y = d.put(f"{x}.reshape(-1, {c}, {nh}, 2, {nw}, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, {c})")
    q, k, v = (d.put(f"{d.part(f'nn.Linear({c}, {c})')}({y})") for _ in range(3))
    y = d.put(f"({q} @ {k}.transpose(1, 2)).softmax(-1) @ {v}")
    y = d.put(f"{y}.reshape(-1, {nh}, {nw}, 2, 2, {c}).permute(0, 5, 1, 3, 2, 4).reshape(-1, {c}, {2 * nh}, {2 * nw})")
    return d.put(f"{x} + {y}")


def channel_attention(d: Draft, x: str) -> str:
    """Attention over channels: products over positions."""
    c, h, w = d.shape(x)
    flat = d.put(f"{x}.flatten(2)")
    weights = d.put(f"torch.bmm({flat}, {flat}.transpose(1, 2)).softmax(-1)")
    return d.put(f"{x} + torch.bmm({weights}, {flat}).view(-1, {c}, {h}, {w})")


def again(d: Draft, x: str) -> str:
    """A module that was called before."""
    before = [line.split(" = ")[1].split("(")[0] for line in d.lines if line.split(" = ")[1].startswith("self.m")]
    return d.put(f"{d.draw.choice(before)}({x})")


WEIGHTED: tuple[tuple[Callable[[Draft, str], str], int], ...] = (
    (conv, 8), (block, 22), (pool, 10), (act, 4), (norm, 5), (squeeze_excite, 5), (spatial_gate, 3),
    (coordinate_gate, 3), (responses, 4), (context, 2), (residual, 10), (join, 8), (dense, 5), (shifted, 4),
    (pads, 5), (crops, 6), (two_crops, 3), (spread, 4), (reshaped, 5), (shuffles, 5), (resizes, 6), (attention, 3),
    (window_attention, 2), (channel_attention, 2), (again, 3), (upconv, 3), (columns, 3), (lines, 2), (picks, 5),
)  # fmt: skip
BLOCKS = [one for one, _ in WEIGHTED]


# --- answers ---


def pooled_head(d: Draft, x: str) -> str:
    """A mean or maximum over the map, and a linear layer."""
    c, h, w = d.shape(x)
    y = d.put(
        d.draw.choice([
            "F.adaptive_avg_pool2d({x}, 1).flatten(1)", "{x}.mean((2, 3))", "{x}.mean([-1, -2])",
            "{x}.flatten(2).mean(2)", "F.avg_pool2d({x}, ({h}, {w})).flatten(1)",
            "F.adaptive_max_pool2d({x}, 1).flatten(1)",
            "{x}.amax((2, 3))",
            "{x}.mean(3).mean(2)", "{x}.sum((2, 3))",
            "{x}.flatten(2).max(2)[0]", "{x}.std((2, 3))", "{x}.amin((2, 3))",
            "F.adaptive_avg_pool2d({x}, (1, 1)).view(-1, {c})",
            "{x}.flatten(2).transpose(1, 2).mean(1)",
        ]).format(x=x, c=c, h=h, w=w)
    )  # fmt: skip
    return d.put(f"{d.part(f'nn.Linear({c}, 5)')}({y})")


def flat_head(d: Draft, x: str) -> str:
    """A linear layer over the flattened map."""
    n = math.prod(d.shape(x))
    how = d.draw.choice(
        [
            "flatten(1)",
            f"contiguous().view(-1, {n})",
            f"reshape({x}.shape[0], -1)",
            f"contiguous().view({x}.size(0), -1)",
        ]
    )
    y = d.put(f"{x}.{how}")
    if d.chance(0.3):
        y = d.put(f"F.relu({d.part(f'nn.Linear({n}, 4)')}({y}))")
        n = 4
    return d.put(f"{d.part(f'nn.Linear({n}, 5)')}({y})")


def regions_head(d: Draft, x: str) -> str:
    """A few regions, and linear layers over them."""
    c = d.shape(x)[0]
    rows, cols = d.draw.choice([(2, 2), (3, 2), (1, 3)])
    kind = d.draw.choice(["avg", "avg", "max"])
    y = d.put(f"F.adaptive_{kind}_pool2d({x}, ({rows}, {cols})).flatten(1)")
    return d.put(f"{d.part(f'nn.Linear({c * rows * cols}, 5)')}({y})")


def map_head(d: Draft, x: str) -> str:
    """The map itself."""
    return x


def several_heads(d: Draft, x: str) -> str:
    """The map and what is in it."""
    y = d.put(f"{x}.mean((2, 3))")
    return d.draw.choice(["({x}, {y})", "{{'map': {x}, 'mean': {y}}}", "[{y}, {x}]"]).format(x=x, y=y)


def token_head(d: Draft, x: str) -> str:
    """A class token that attends to all positions."""
    c, h, w = d.shape(x)
    if h * w > 80:
        raise ValueError("too many positions")
    token = d.part(f"nn.Parameter(torch.randn(1, 1, {c}))")
    places = d.part(f"nn.Parameter(torch.randn(1, {h * w + 1}, {c}))")
    y = d.put(f"torch.cat([{token}.expand({x}.shape[0], -1, -1), {x}.flatten(2).transpose(1, 2)], 1) + {places}")
    q, k, v = (d.put(f"{d.part(f'nn.Linear({c}, {c})')}({y})") for _ in range(3))
    y = d.put(f"{y} + {_attend(d, q, k, v)}")
    if d.chance(0.5):
        return d.put(f"{d.part(f'nn.Linear({c}, 5)')}({d.part(f'nn.LayerNorm({c})')}({y})[:, 0])")
    return d.put(f"{d.part(f'nn.Linear({c}, 5)')}({y}.mean(1))")


HEADS: tuple[tuple[Callable[[Draft, str], str], int], ...] = (
    (pooled_head, 50), (flat_head, 15), (regions_head, 12), (map_head, 10), (several_heads, 5), (token_head, 8),
)  # fmt: skip
