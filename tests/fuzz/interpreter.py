"""A literal interpreter of layer masking: slow, plain, float64.

It runs the ATen graph of an exported model. Every value carries the state of each of its elements in its full shape,
and each operator does what the method says about it, without demand, folding, sharing or layouts. It shares nothing
with the engine but `torch.export`.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from .cells import ABSENT, BORDER, PRESENT, Masked, masked
from .operators import RULES, WRITTEN_OUT, pointwise


class NoRule(Exception):
    """The interpreter does not know an operator that meets a masked value."""


@dataclass(frozen=True)
class Settings:
    """The arguments of `LayerMask`."""

    padding: str = "neighbor"
    pool_padding: bool = True
    threshold: float = 0.0
    until: str | None = None


DEFAULT = Settings()


class Interpreter:
    """Layer masking of one exported model.

    Args:
        exported: From `torch.export`, with a symbolic or a fixed batch size.

    Attributes:
        weights: Parameters and buffers by name, in double precision.
        dtype: The model's own floating-point type, whose smallest step some operators take as a default.
    """

    def __init__(self, exported: torch.export.ExportedProgram) -> None:
        self._nodes = list(exported.graph_module.graph.nodes)
        self._spec = exported.call_spec.out_spec
        signature = exported.graph_signature
        self.weights = {name: _double(tensor) for name, tensor in exported.state_dict.items()}
        constants = {name: _double(value) for name, value in exported.constants.items()}
        self._held: dict[str, tuple[dict[str, Any], str]] = {}
        for place, name in {**signature.inputs_to_parameters, **signature.inputs_to_buffers}.items():
            self._held[place] = (self.weights if name in self.weights else constants, name)
        for place, name in signature.inputs_to_lifted_tensor_constants.items():
            self._held[place] = (constants, name)
        self._answers: dict[tuple[str, Any], bool] = {}
        self._recording = True
        image = next(n for n in self._nodes if n.op == "placeholder" and n.name not in self._held).meta["val"]
        self.dtype, size = image.dtype, image.shape
        draw = self._draw = torch.Generator().manual_seed(7)
        probes = _probes(*size[2:], draw)
        batch = size[0] if isinstance(size[0], int) else len(probes)
        # Several runs where the model fixes the batch size: together they show what a large batch does.
        for self._redrawing in (False, True):
            for presence in probes[: len(probes) // batch * batch].split(batch):
                with torch.no_grad():
                    self(torch.randn(batch, *size[1:], generator=draw, dtype=torch.float64), presence)
        self._recording = self._redrawing = False

    def _find_cut(self, until: str | None) -> fx.Node | None:
        if until is None:
            return None
        inside = [n for n in self._nodes if n.op == "call_function" and f"{_path(n)}.".startswith(f"{until}.")]
        return inside[-1]

    def structural(self, node: fx.Node, key: Any, answer: bool) -> bool:
        """Whether something holds for some presence: what the run on many presences found."""
        if self._recording:
            self._answers[node.name, key] = self._answers.get((node.name, key), False) or answer
        return self._answers[node.name, key]

    def varies(self, node: fx.Node, key: Any, state: Tensor, dim: int) -> bool:
        """Whether presence may differ along a dimension of a value."""
        return self.structural(node, (key, dim), bool((state != state.narrow(dim, 0, 1)).any()))

    def redrawn(self, state: Tensor) -> Tensor:
        """In half of the recording, random states of a window's output.

        On a small map every window may see every present pixel. Its cells are still cells of their own.
        """
        if not self._redrawing:
            return state
        n, _, h, w = state.shape
        present = torch.rand(n, 1, h, w, generator=self._draw) < torch.rand(n, 1, 1, 1, generator=self._draw)
        return torch.where(state == BORDER, BORDER, torch.where(present, PRESENT, ABSENT))

    def redrawn_rows(self, state: Tensor) -> Tensor:
        """In half of the recording, some rows of a batch into which a view moved another dimension are absent."""
        if not self._redrawing:
            return state
        kept = torch.rand((*state.shape[:1], *[1] * (state.dim() - 1)), generator=self._draw) < 0.5
        return torch.where(kept, state, ABSENT)

    def __call__(self, image: Tensor, presence: Tensor, settings: Settings = DEFAULT) -> Any:
        """Answer for a float64 image `(N, C, H, W)` and a bool presence `(N, 1, H, W)`."""
        self.settings = settings
        cut = self._find_cut(settings.until)
        state = torch.where(presence, PRESENT, ABSENT)
        x = torch.where(presence, image, 0.0)
        self.batch = x.shape[0]
        env: dict[fx.Node, Any] = {}
        for node in self._nodes:
            if node.op == "placeholder":
                held = self._held.get(node.name)
                env[node] = held[0][held[1]] if held else masked(x, state)
            elif node.op == "output":
                outputs = [env[arg] if isinstance(arg, fx.Node) else arg for arg in node.args[0]]
            else:
                env[node] = self._run(node, env)
            if node is cut:
                env = {key: pytree.tree_map_only(Masked, Masked.zeroed, value) for key, value in env.items()}
        return pytree.tree_unflatten(pytree.tree_map_only(Masked, Masked.zeroed, outputs), self._spec)

    def _run(self, node: fx.Node, env: dict[fx.Node, Any]) -> Any:
        args, kwargs = fx.node.map_arg((node.args, dict(node.kwargs)), env.__getitem__)
        args, kwargs = pytree.tree_map_only(torch.dtype, _widest, (args, kwargs))
        if node.target is operator.getitem:
            return args[0][args[1]]
        name = node.target._schema.name.removeprefix("aten::") if hasattr(node.target, "_schema") else ""
        if name.startswith(("_assert", "sym_constrain")):
            return None
        if not any(isinstance(one, Masked) for one in pytree.tree_leaves((args, kwargs))):
            # What was contiguous in the trace may not be here.
            function = torch.ops.aten.reshape.default if node.target is torch.ops.aten.view.default else node.target
            return function(*args, **kwargs) if name not in WRITTEN_OUT else self._written_out(name, node, args)
        if name.startswith("sym_"):
            return node.target(args[0].x, *args[1:], **kwargs)
        schema = node.target._schema
        rule = RULES.get(name if name in RULES else name.removesuffix("_"))
        if rule is None and _is_pointwise(name.removesuffix("_")):
            rule = pointwise
        if rule is None or (schema.is_mutable and rule is not pointwise):
            raise NoRule(str(node.target))
        given = {a.name: a.default_value for a in schema.arguments}
        given |= {a.name: value for a, value in zip(schema.arguments, args, strict=False)} | kwargs
        return rule(self, node, given)

    def _written_out(self, name: str, node: fx.Node, args: Any) -> Tensor:
        """An operator on ordinary tensors by its rule: as if everything were present."""
        given = {a.name: value for a, value in zip(node.target._schema.arguments, args, strict=True)}
        given["input"] = masked(given["input"], torch.tensor(PRESENT))
        return RULES[name](self, node, given).x


def _probes(h: int, w: int, draw: torch.Generator) -> Tensor:
    """Presences that show along which dimensions the presence of a value may differ, `(12, 1, H, W)`."""
    masks = torch.zeros(12, 1, h, w, dtype=torch.bool)
    masks[:3] = torch.rand(3, 1, h, w, generator=draw) < 0.5
    masks[3:5] = torch.rand(2, 1, h, w, generator=draw) < 2 / (h + w)
    masks[5, :, : h // 2] = masks[6, :, :, : w // 2] = True
    masks[7, :, h // 2, w // 2] = masks[8, :, 0, 0] = masks[9, :, -1, -1] = True
    masks[10, :, :, ::2] = masks[11, :, 1::2] = True
    return masks


def _double(value: Any) -> Any:
    """A copy in double precision of a floating-point tensor."""
    if not isinstance(value, Tensor):
        return value
    return value.detach().to(torch.float64 if value.is_floating_point() else value.dtype, copy=True)


def _is_pointwise(name: str) -> bool:
    packet = getattr(torch.ops.aten, name, None)
    return packet is not None and any(torch.Tag.pointwise in getattr(packet, one).tags for one in packet.overloads())


def _widest(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype.is_floating_point else dtype


def _path(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values()]
    return str(paths[-1]).split("@")[0] if paths else ""
