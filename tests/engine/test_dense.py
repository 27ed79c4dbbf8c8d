"""Fills and whole models without reading masks back, as on an accelerator."""

from __future__ import annotations

import copy
import sys
from collections import Counter

import architectures
import by_hand
import naive
import pytest
import torch
import torch.nn.functional as F
from by_hand import aten
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from xai_layermask import LayerMask
from xai_layermask.engine import dense, executor
from xai_layermask.engine.dense import Distances, fill
from xai_layermask.engine.mask import PresenceMask
from xai_layermask.engine.padding import fill_rings, ring_geometry, window_sum
from xai_layermask.engine.waiting import may_wait, never_waiting
from xai_layermask.trace import trace

#: Operators that wait for the device, or whose output's size depends on the data.
WAITING = {"_local_scalar_dense", "equal", "is_nonzero", "item", "masked_select", "nonzero", "unique", "index"}


@st.composite
def maps(draw):
    """Activations with their presence and a rectangle, outside of which there are borders."""
    n, c, h, w = (draw(st.integers(1, most)) for most in (2, 3, 8, 8))
    fraction = draw(st.sampled_from([0.0, 0.03, 0.3, 0.6, 1.0]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    x = torch.randn(n, c, h, w, dtype=torch.float64, generator=generator)
    inside = torch.zeros(n, 1, h, w, dtype=torch.bool)
    inside[..., draw(st.integers(0, h - 1)) :, draw(st.integers(0, w - 1)) :] = True
    if draw(st.booleans()):
        inside[:] = True
    return x, (torch.rand(n, 1, h, w, generator=generator) < fraction) & inside, inside


def expected_of(x, presence, inside, rounds):
    """Algorithm 1 by loops: the filled map, and which cells are known."""
    found = naive.neighbor_padding(x.numpy(), presence.numpy(), rounds, inside.numpy())
    return tuple(map(torch.from_numpy, found))


@given(maps(), st.integers(1, 9), st.booleans())
@settings(max_examples=60)
def test_dense_fills_are_algorithm_one(case, rounds, in_place):
    x, presence, inside = case
    expected, known = expected_of(torch.where(presence | ~inside, x, 0.0), presence, inside, rounds)
    garbage = torch.where(presence | ~inside, x, torch.nan)
    distances = Distances(presence, None if inside.all() else inside)
    found = fill(garbage.contiguous(memory_format=torch.channels_last), distances.rings(rounds), in_place)
    read = (known | ~inside).expand_as(x)
    torch.testing.assert_close(found[read], torch.where(inside, expected, x)[read], atol=1e-12, rtol=0)


@given(maps(), st.integers(1, 3), st.booleans())
@settings(max_examples=12)
def test_kernels_are_algorithm_one(kernels, case, rounds, in_place):
    x, presence, inside = case
    expected, known = expected_of(torch.where(presence | ~inside, x, 0.0), presence, inside, rounds)
    whole = bool(inside.all())
    rings = kernels.ring_cells(presence, None if whole else inside, rounds)
    assert torch.equal(rings.distance != kernels.FAR, known)
    assert torch.equal(rings.distance == 0, presence)
    expected_cells = [(rings.distance == ring).flatten().nonzero()[:, 0] for ring in range(1, rounds + 1)]
    assert rings.counts.tolist() == [0, *map(len, expected_cells)]
    listed = rings.listed[: rings.counts.sum()].split(rings.counts.tolist()[1:])
    for cells, those in zip(listed, expected_cells, strict=True):
        assert torch.equal(cells.sort().values.long(), those)
    start = torch.where(presence | ~inside, x, torch.nan).contiguous(memory_format=torch.channels_last)
    before = start.clone()
    found = kernels.fill(start, rings, rounds, in_place)
    shown = known.expand_as(x)
    torch.testing.assert_close(found[shown], expected[shown])
    assert torch.equal(found[~shown].nan_to_num(7), before[~shown].nan_to_num(7))
    assert in_place or torch.equal(start.nan_to_num(7), before.nan_to_num(7))


def test_fewer_rings_of_the_same_distances(kernels, monkeypatch):
    x, presence = torch.randn(2, 5, 12, 11), torch.rand(2, 1, 12, 11) < 0.05
    for ours in (None, kernels):
        monkeypatch.setattr(dense, "kernels_on", lambda device, ours=ours: ours)
        distances = Distances(presence)
        for rounds in (2, 1, 3):
            geometry = ring_geometry(presence, rounds=rounds)
            known = window_sum(presence, (2 * rounds + 1,) * 2, padding=(rounds,) * 2).expand_as(x)
            torch.testing.assert_close(
                fill(x, distances.rings(rounds))[known], fill_rings(x, geometry)[known]
            )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_sums_of_large_halves_stay_finite(dtype, kernels):
    x = torch.full((1, 2, 3, 3), 60000.0, dtype=dtype)
    presence = torch.ones(1, 1, 3, 3, dtype=torch.bool)
    presence[..., 1, 1] = False
    assert torch.equal(fill(x, Distances(presence).rings(1)), x)
    assert torch.equal(kernels.fill(x, kernels.ring_cells(presence, None, 1), 1), x)


@st.composite
def tensors(draw):
    """Tensors of any layout with masks that broadcast, and a number."""
    rank = draw(st.integers(1, 5))
    shape = draw(st.lists(st.integers(0, 6), min_size=rank, max_size=rank))
    order = draw(st.permutations(range(rank)))
    stored = [shape[dim] for dim in order]
    draws = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    dtype = draw(st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64]))
    more = draw(st.integers(0, 2))  # numbers that are left out of each row, as in a part of a projection
    x = torch.randn(*stored[:-1], stored[-1] + more, generator=draws)[..., : stored[-1]].to(dtype)
    x = x.permute([order.index(dim) for dim in range(rank)])
    whole = draw(st.lists(st.booleans(), min_size=rank, max_size=rank))
    mask = torch.rand([size if one else 1 for size, one in zip(shape, whole, strict=True)], generator=draws) < 0.5
    numbers = [0.0, 0.5, -7.0] if dtype == torch.int64 else [0.0, 0.5, -torch.inf, torch.finfo(dtype).min]
    if draw(st.booleans()):
        x = torch.where(mask, x, 0 if dtype == torch.int64 else torch.nan)
    return x, mask.expand_as(x) if draw(st.booleans()) else mask, draw(st.sampled_from(numbers))


@given(tensors())
@settings(max_examples=150)
def test_numbers_in_the_place_of_absent_cells(kernels, case):
    x, mask, number = case
    expected = torch.where(mask, x, torch.full_like(x, number))
    assert torch.equal(dense.replace_absent(x, mask, number), expected)
    found = kernels.replace_absent(x, mask, number)
    if found is not None:
        assert torch.equal(found, expected)
        assert found.stride() == torch.empty_like(x).stride()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("layout", ["heads", "channels last", "map"])
def test_absent_cells_on_a_device(dtype, layout, device):
    x = torch.randn(2, 5, 9, 48, device=device, dtype=dtype)
    x = {"heads": x.transpose(1, 2)[..., 16:32], "channels last": x.permute(0, 3, 1, 2), "map": x}[layout]
    sizes = (2, 1, 5, 1) if layout == "heads" else (2, 1, *x.shape[2:])
    mask = torch.rand(sizes, device=device) < 0.5
    x = torch.where(mask, x, torch.nan)
    assert torch.equal(dense.replace_absent(x, mask, -3.0), torch.where(mask, x, -3.0))


def test_gradients_are_those_of_the_list_of_cells():
    presence = torch.rand(2, 1, 6, 7) < 0.3
    weight = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    grads = []
    for geometry in (Distances(presence).rings(9), ring_geometry(presence)):
        x = torch.arange(252.0, dtype=torch.float64).view(2, 3, 6, 7).requires_grad_()
        (fill(torch.where(presence, x, 0.0), geometry) * weight).sum().backward()
        grads.append(x.grad)
    torch.testing.assert_close(*grads)


# --- the first use of a device ---


def broken(*args, **kwargs):
    raise RuntimeError("no driver")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("fill", broken, "RuntimeError: no driver"), ("fill", lambda x, *rest: x, "its results differ from torch's"),
        ("finish", lambda x, *rest: x, "its results differ from torch's"),
        ("replace_absent", lambda x, *rest: x, "its results differ from torch's"), (None, None, ""),
    ],
)
def test_kernels_are_checked_once(kernels, monkeypatch, recwarn, name, change, words):
    if name:
        monkeypatch.setattr(kernels, name, change)
    dense._checked_kernels.cache_clear()
    try:
        found = [dense._checked_kernels(torch.device("cpu")) for _ in range(2)]
    finally:
        dense._checked_kernels.cache_clear()
    assert found == ([None] * 2 if name else [kernels] * 2)
    assert [str(one.message) for one in recwarn if words and words in str(one.message)] == (
        [f"Triton does not work on cpu ({words}), so fills are slower there"] if name else []
    )


def test_without_triton_there_are_no_kernels(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    for name in [one for one in sys.modules if one.startswith("xai_layermask.engine.kernels")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("xai_layermask.engine.kernels", raising=False)
    dense._checked_kernels.cache_clear()
    assert dense._checked_kernels(torch.device("cpu")) is None
    dense._checked_kernels.cache_clear()
    assert dense.kernels_on(torch.device("cpu")) is dense.kernels_on(torch.device("mps")) is None


# --- masks ---


@given(
    st.integers(0, 999),
    *[st.tuples(st.integers(low, 3), st.integers(low, 3)) for low in (1, 1, 0, 1)],
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
@settings(max_examples=60)
def test_windows_of_masks(seed, kernel, stride, padding, dilation, more):
    mask = torch.rand(2, 1, 6, 7, generator=torch.Generator().manual_seed(seed)) < 0.2
    zipped = zip((6, 7), kernel, stride, padding, dilation, strict=True)
    fits = [(length + 2 * p - d * (k - 1) - 1) // s + 1 for length, k, s, p, d in zipped]
    size = tuple(max(n, 0) + extra for n, extra in zip(fits, more, strict=True))
    if 0 in size:
        return
    expected = window_sum(mask, kernel, stride, padding, dilation, size)
    with never_waiting():
        assert not may_wait(mask.device)
        assert torch.equal(window_sum(mask, kernel, stride, padding, dilation, size), expected)


def test_rectangles():
    mask = torch.zeros(2, 1, 5, 6, dtype=torch.bool)
    assert PresenceMask(mask.clone()).is_rectangle()
    mask[:, :, 1:4, 2:] = True
    assert PresenceMask(mask.clone()).is_rectangle()
    mask[1, 0, 2, 3] = False
    assert not PresenceMask(mask).is_rectangle()


def test_a_border_that_is_no_rectangle_is_filled_around():
    inside = torch.ones(1, 1, 4, 5, dtype=torch.bool)
    inside[..., :3, 2] = False  # from left to right only through the last row
    presence = torch.zeros_like(inside)
    presence[..., 0, 0] = True
    x = torch.where(presence, 3.0, torch.nan)
    with never_waiting():
        geometry = PresenceMask(presence).rings(2, x.shape, PresenceMask(inside))
    assert torch.equal(fill(x, geometry)[inside], torch.full((int(inside.sum()),), 3.0))


def test_cells_that_borders_cut_off_become_zero():
    inside = torch.ones(1, 1, 9, 1, dtype=torch.bool)
    inside[..., 4, :] = False
    presence = torch.zeros_like(inside)
    presence[..., 0, :] = True
    x = torch.where(presence, 3.0, torch.nan)
    with never_waiting():
        geometry = PresenceMask(presence).rings(2, x.shape, PresenceMask(inside))
    assert fill(x, geometry)[inside].tolist() == [3.0] * 4 + [0.0] * 4


# --- operators and models ---

WEIGHT = torch.randn(4, 4, 3, 3, dtype=torch.float64)
WIDE = torch.randn(4, 4, 1, 5, dtype=torch.float64)
CONV = (aten.conv2d.default, [WEIGHT, None, [1, 1], [1, 1]])
CHAINS = {
    "deep": [CONV, CONV, CONV],
    "strided": [(aten.conv2d.default, [WEIGHT, None, [2, 2], [1, 1]]), CONV],
    "dilated": [(aten.conv2d.default, [WEIGHT, None, [1, 1], [2, 2], [2, 2]]), CONV],
    "wide": [(aten.conv2d.default, [WIDE, None, [1, 2], [0, 1]]), CONV],
    "transposed": [(aten.conv_transpose2d.input, [WEIGHT, None, [1, 1], [1, 1]]), CONV],
    "pools": [(aten.max_pool2d.default, [[3, 3], [2, 2], [1, 1]]), (aten.avg_pool2d.default, [[2, 2], [1, 1]])],
    "zeros around": [(aten.constant_pad_nd.default, [[2, 1, 1, 0], 0.5]), (aten.relu.default, []), CONV],
    "mirrored": [(aten.pad.default, [[2, 1, 1, 2], "reflect"]), CONV],
    "circular": [(aten.pad.default, [[1, 1, 1, 1], "circular"]), CONV],
    "resized": [(aten.upsample_bilinear2d.vec, [[12, 15], False, None]), CONV],
    "border, resized": [(aten.constant_pad_nd.default, [[1, 1, 1, 1], 0.5]), (aten.relu.default, []),
                        (aten.upsample_bilinear2d.vec, [[9, 20], False, None]), CONV],
    "columns": [(aten.im2col.default, [[2, 2], [1, 1], [0, 0], [1, 1]])],
}  # fmt: skip


@pytest.mark.parametrize("settings", [by_hand.DEFAULT, by_hand.MaskingSettings(threshold=0.3)], ids=["any", "0.3"])
@pytest.mark.parametrize("name", CHAINS)
def test_operators_compute_the_same(name, settings):
    x, presence = by_hand.maps(3, fraction=0.15)
    expected, mask = by_hand.check(x, presence, CHAINS[name], settings)
    with never_waiting():
        found, same = by_hand.check(x, presence, CHAINS[name], settings)
    assert torch.equal(same, mask)
    torch.testing.assert_close(found * mask, expected * mask)


def case_of(name):
    size = architectures.size_of(name)
    patches = (torch.rand(2, 1, 8, 8) < 0.4).repeat_interleave(size // 8, 2).repeat_interleave(size // 8, 3)
    return torch.randn(2, 3, size, size), patches


@pytest.mark.parametrize(
    ("name", "learning"), [("resnet18", True), ("efficientnet-lite0", False), ("squeezenet1_1", False), ("vit", False)]
)
def test_models_answer_the_same(name, learning, device, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    model = architectures.build(name)
    x, presence = case_of(name)
    with torch.set_grad_enabled(learning):
        expected, whole = LayerMask(model)(x, presence), model(x)
        masked = LayerMask(copy.deepcopy(model).to(device))
        x, presence = x.to(device), presence.to(device)
        with never_waiting():
            torch.testing.assert_close(masked(x, presence).cpu(), expected, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(masked(x, torch.ones_like(presence)).cpu(), whole, atol=1e-4, rtol=1e-4)
            assert masked(x, torch.zeros_like(presence)).isfinite().all()


class Shuffled(nn.Module):
    def __init__(self, pool):
        super().__init__()
        self.shuffle, self.pool = nn.ChannelShuffle(2), pool

    def forward(self, x):
        x = F.max_pool2d(self.shuffle(F.max_pool2d(x, 3, 2, 1)).reshape(x.shape[0], 4, 6, 4), 3, 1, 1)
        return self.pool(x), self.pool(x.mean(1, keepdim=True)), self.pool(x[:, 1:2].reshape(x.shape[0], 1, 4, 6))


@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool2d((2, 2)), nn.AdaptiveMaxPool2d((2, 3)), nn.Identity()])
def test_images_of_a_batch_keep_apart_on_a_device(pool, device):
    model, x = Shuffled(pool), torch.randn(3, 4, 12, 8)
    presence = torch.rand(3, 1, 12, 8) < 0.2
    apart = [LayerMask(model)(*one) for one in zip(x.split(1), presence.split(1), strict=True)]
    found = LayerMask(model)(x.to(device), presence.to(device))
    for place, answer in enumerate(found):
        torch.testing.assert_close(answer.cpu(), torch.cat([one[place] for one in apart]))


@pytest.mark.parametrize("learning", [False, True])
def test_neighbor_padding_on_a_device(learning, device):
    x, presence = torch.randn(2, 3, 20, 31).requires_grad_(learning), torch.rand(2, 1, 20, 31) < 0.02
    found = dense.neighbor_padding(x.to(device), presence.to(device))
    torch.testing.assert_close(found.cpu(), dense.neighbor_padding(x, presence))


def test_neighbor_padding_with_kernels(kernels, monkeypatch):
    x, presence = torch.randn(2, 3, 6, 9), torch.rand(2, 1, 6, 9) < 0.1
    expected = dense.neighbor_padding(x, presence)
    monkeypatch.setattr(dense, "kernels_on", lambda device: kernels)
    with never_waiting():
        torch.testing.assert_close(dense.neighbor_padding(x, presence), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_fills_on_a_device(dtype, device):
    x, presence = torch.randn(2, 70, 13, 11), torch.rand(2, 1, 13, 11) < 0.1
    expected = fill_rings(torch.where(presence, x, 0.0), ring_geometry(presence))
    known = window_sum(presence, (5, 5), padding=(2, 2)).expand_as(x)
    found = fill(x.to(device, dtype), Distances(presence.to(device)).rings(2)).cpu()
    torch.testing.assert_close(found[known].float(), expected[known], atol=3e-2, rtol=1e-2)


def test_a_model_runs_with_kernels(kernels, monkeypatch):
    used = Counter()

    def counted(x, *rest):
        used[x.shape[1]] += 1
        return kernels.fill(x, *rest)

    monkeypatch.setattr(dense, "kernels_on", lambda device: stand_in)
    stand_in = type("Kernels", (), {**vars(kernels), "fill": staticmethod(counted)})
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, 2, 1), nn.AdaptiveAvgPool2d(1)
    ).eval()
    masked, x, presence = LayerMask(model), torch.randn(2, 3, 8, 9), torch.rand(2, 1, 8, 9) < 0.2
    with torch.no_grad():
        expected = masked(x, presence)
        with never_waiting():
            torch.testing.assert_close(masked(x, presence), expected, atol=1e-6, rtol=1e-5)
    assert used == {3: 1, 8: 1}


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.attention = nn.Conv2d(3, 16, 4, 4), nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm = nn.LayerNorm(16)

    def forward(self, x):
        x = self.tokens(x).flatten(2).transpose(1, 2)
        y = self.norm(x)
        return (x + self.attention(y, y, y, need_weights=False)[0]).mean(1)


def test_attention_runs_with_kernels(kernels, monkeypatch):
    shapes = []

    def recorded(x, *rest):
        found = kernels.replace_absent(x, *rest)
        if found is not None:
            shapes.append(tuple(x.shape))
        return found

    masked, x = LayerMask(Attending().eval()), torch.randn(2, 3, 16, 16)
    presence = (torch.rand(2, 1, 4, 4) < 0.5).repeat_interleave(4, 2).repeat_interleave(4, 3)
    with torch.no_grad():
        expected = masked(x, presence)
        stand_in = type("Kernels", (), {**vars(kernels), "replace_absent": staticmethod(recorded)})
        monkeypatch.setattr(dense, "kernels_on", lambda device: stand_in)
        with never_waiting():
            torch.testing.assert_close(masked(x, presence), expected, atol=1e-6, rtol=1e-5)
    assert shapes == [(2, 2, 16, 8)] * 2 + [(2, 16, 16)]  # keys, values, and tokens before their mean


def test_a_trace_shows_what_is_filled():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 5, 2, 2), nn.Conv2d(5, 2, 3))
    masked, x, presence = LayerMask(model), torch.randn(2, 3, 12, 12), torch.rand(2, 1, 12, 12) < 0.05
    with torch.no_grad():
        expected = trace(masked, x, presence, ["1", "2"])
        with never_waiting():
            found = trace(masked, x, presence, ["1", "2"])
    for path in ("1", "2"):
        assert torch.equal(found[path].presence, expected[path].presence)
        torch.testing.assert_close(found[path].value, expected[path].value)
        filled = expected[path].filled != 0
        torch.testing.assert_close(found[path].filled[filled], expected[path].filled[filled])
    assert (expected["1"].filled != expected["1"].value).any()


# --- counts ---


class Counted(TorchDispatchMode):
    """Counts the operators that launch something."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix("aten::")
        indexed = name == "index" and not any(one is not None and one.dtype == torch.bool for one in args[1])
        if not func.is_view and not indexed:
            self.names.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("name", "dense_too"), [("resnet50", True), ("densenet121", True), ("mobilenet_v3_large", False)]
)
def test_few_operators_and_none_that_waits(name, dense_too, monkeypatch):
    models = pytest.importorskip("torchvision").models
    model, (x, presence) = getattr(models, name)(weights=None).eval(), case_of(name)
    masked, launched = LayerMask(model), []

    class Launches:
        """Stands in for the kernels: counts what they would launch."""

        FAR = 255

        @staticmethod
        def ring_cells(present, inside, rounds):
            launched.extend(["zeros", "spread", "spread", "collect"])
            return present

        @staticmethod
        def fill(x, rings, rounds, in_place=False):
            launched.extend(["fill"] * rounds)
            return x

        @staticmethod
        def finish(x, *rest):
            launched.append("finish")
            return x

        @staticmethod
        def replace_absent(x, mask, number):
            launched.append("replace")
            return x

    with torch.no_grad(), never_waiting():
        masked(x, presence)  # captured, and the weights folded
        with Counted() as plain:
            model(x)
        with Counted() as found:
            masked(x, presence)
        for module in (dense, executor):
            monkeypatch.setattr(module, "kernels_on", lambda device: Launches)
        masked(x, presence)
        launched.clear()
        with Counted() as fused:
            masked(x, presence)
    first = found.names.index("convolution")
    assert not WAITING.intersection(found.names[first:])
    most = 1.5 * len(plain.names) + 40
    assert len(fused.names) + len(launched) <= most
    assert len(found.names) <= most or not dense_too
