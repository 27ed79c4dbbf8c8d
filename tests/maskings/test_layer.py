"""What must always hold, for every architecture: design facts, not examples."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from architectures import ALL, CONVOLUTIONAL, build, size_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from xai_layermask import InputError, LayerMask, UnsupportedOperator, with_presence
from xai_layermask.maskings import Reference

SLOW = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module", params=ALL)
def case(request):
    """One architecture after the other: its name, model, masking and an image."""
    model = build(request.param)
    size = size_of(request.param)
    image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    return request.param, model, LayerMask(model), image


@st.composite
def presences(draw, size):
    """Blocks of any size, present with any probability, at least one pixel absent."""
    block = draw(st.sampled_from([1, 4, 8, 16, size // 2]))
    fraction = draw(st.sampled_from([0.02, 0.3, 0.5, 0.9]))
    side = -(-size // block)
    seed = draw(st.integers(0, 2**20))
    grid = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(seed)) < fraction
    mask = grid.repeat_interleave(block, 2).repeat_interleave(block, 3)[..., :size, :size].clone()
    mask[..., 0, 0] = False
    return mask


def assert_close(a, b, scale, tolerance=1e-5, slack=0.0):
    assert (a - b).abs().max() <= tolerance * scale.abs().max() + slack


@pytest.fixture(scope="module")
def rounding(case):
    """How far the model's own float32 answer is from its float64 answer: another order of sums may do as much."""
    _, model, _, image = case
    with torch.no_grad():
        return 4 * (model(image).double() - copy.deepcopy(model).double()(image.double())).abs().max().item()


def test_all_present_is_the_model(case, rounding):
    _, model, masked, image = case
    with torch.no_grad():
        own = model(image)
        assert torch.equal(masked(image), own)
        assert_close(masked(image, torch.ones(1, 1, 1, 1)), own, own, slack=rounding)
        assert_close(masked(with_presence(image)), own, own, slack=rounding)


def test_nothing_present_is_finite_and_quiet(case):
    _, _, masked, image = case
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = masked(image, torch.zeros(1, 1, 1, 1))
    assert torch.isfinite(answer).all()


def test_absent_pixels_change_no_bit(case):
    _, model, masked, image = case
    size = image.shape[-1]

    @SLOW
    @given(presences(size), st.sampled_from([1e30, float("nan"), float("inf"), -float("inf")]))
    def check(presence, garbage):
        broken = torch.where(presence, image, torch.full_like(image, garbage))
        with torch.no_grad():
            assert torch.equal(masked(image, presence), masked(broken, presence))

    check()
    with torch.no_grad():
        half = torch.ones(1, 1, size, size)
        half[..., size // 2 :] = 0
        # The mask matters: an answer that ignored presence would pass everything above.
        assert not torch.allclose(masked(image, half), model(image))


def test_each_image_of_a_batch_stands_alone(case, rounding):
    _, _, masked, image = case
    size = image.shape[-1]
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(3, 3, size, size, generator=generator)
    presence = torch.rand(3, 1, size, size, generator=generator) > 0.5
    with torch.no_grad():
        together = masked(images, presence)
        alone = torch.cat([masked(images[i : i + 1], presence[i : i + 1]) for i in range(3)])
    assert_close(together, alone, together, slack=rounding)


def test_the_model_is_left_alone(case):
    _, model, masked, image = case
    modes = [module.training for module in model.modules()]
    state = {name: (tensor, tensor.clone()) for name, tensor in model.state_dict(keep_vars=True).items()}
    names = [set(vars(module)) for module in model.modules()]
    half = torch.ones(1, 1, *image.shape[2:])
    half[..., ::2, :] = 0
    masked(image, half)
    assert [module.training for module in model.modules()] == modes
    assert [set(vars(module)) for module in model.modules()] == names
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    for name, tensor in model.state_dict(keep_vars=True).items():
        assert tensor is state[name][0]
        assert torch.equal(tensor, state[name][1])
    assert masked.unsupported(tuple(image.shape)) == []


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_fast_and_literal_versions_agree(name):
    model = copy.deepcopy(build(name)).double()
    size = size_of(name)
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(2, 3, size, size, generator=generator, dtype=torch.float64)
    blocks = torch.rand(2, 1, size // 8, size // 8, generator=generator) > 0.5
    presence = blocks.repeat_interleave(8, 2).repeat_interleave(8, 3)
    with torch.no_grad():
        fast, literal, own = LayerMask(model)(images, presence), Reference(model)(images, presence), model(images)
    assert (fast - own).abs().max() > 1e-6 * own.abs().max()
    assert_close(fast, literal, fast - own, tolerance=1e-6)


SMALL = nn.Sequential(
    nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()
)


def test_training_mode_is_explained_in_eval_and_kept():
    model = copy.deepcopy(SMALL).train()
    image = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        answer = LayerMask(model)(image)
        masked = LayerMask(model)(image, torch.ones(1, 1, 8, 8))
        assert all(module.training for module in model.modules())
        own = model.eval()(image)
    assert torch.equal(answer, own)
    assert_close(masked, own, own)


def test_train_and_eval_of_the_masking_do_not_reach_the_model():
    model = copy.deepcopy(SMALL).train()
    LayerMask(model).eval()
    assert model.training
    LayerMask(model.eval()).train()
    assert not model.training


def test_a_masking_survives_pickle():
    masked = LayerMask(copy.deepcopy(SMALL).eval())
    image, presence = torch.randn(1, 3, 8, 8), torch.rand(1, 1, 8, 8) > 0.5
    with torch.no_grad():
        answer = masked(image, presence)
        again = pickle.loads(pickle.dumps(masked))
        assert torch.equal(again(image, presence), answer)


def test_threads_may_share_a_masking():
    masked = LayerMask(copy.deepcopy(SMALL).eval())
    generator = torch.Generator().manual_seed(0)
    sizes = [(1 + i % 3, 6 + i % 4, 6 + i % 5) for i in range(24)]
    images = [torch.randn(n, 3, h, w, generator=generator) for n, h, w in sizes]
    presences = [torch.rand(n, 1, h, w, generator=generator) > 0.5 for n, h, w in sizes]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(masked, images, presences))
    for answer, image, presence in zip(answers, images, presences, strict=True):
        assert torch.allclose(answer, masked(image, presence), atol=1e-6)


FORK = """
import os, sys, threading, time
import torch
from torch import nn
from xai_layermask import LayerMask
from xai_layermask.maskings import layer

torch.set_num_threads(1)
masked, begun = LayerMask(nn.Conv2d(3, 2, 3)), threading.Event()
image, presence, capture = torch.zeros(1, 3, 8, 8), torch.ones(1, 1, 8, 8), layer.capture

def slow(*arguments):
    begun.set()
    time.sleep(1)
    return capture(*arguments)

layer.capture = slow
thread = threading.Thread(target=masked, args=(image, presence))
thread.start()
begun.wait()
child = os.fork()
if not child:
    layer.capture = capture
    LayerMask(nn.Conv2d(3, 2, 5))(image, presence)
    os._exit(0)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_forked_during_a_capture_can_capture():
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], check=True, timeout=120)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_types_and_devices(device, dtype):
    model = copy.deepcopy(SMALL).eval().to(device, dtype)
    image = torch.randn(2, 3, 9, 7).to(device, dtype)
    presence = (torch.rand(2, 1, 9, 7) > 0.5).to(device)
    with torch.no_grad():
        answer = LayerMask(model)(image, presence)
        reference = LayerMask(copy.deepcopy(SMALL).eval())(image.cpu().float(), presence.cpu())
    assert answer.dtype == dtype
    assert answer.device == image.device
    tolerance = 3e-2 if dtype == torch.bfloat16 else 1e-5
    assert torch.allclose(answer.cpu().float(), reference, rtol=tolerance, atol=tolerance)


def test_until_runs_the_rest_as_an_ordinary_model():
    first, second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
    model = nn.Sequential(first, second, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    image, presence = torch.randn(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    presence[..., 3:] = 0
    with torch.no_grad():
        masked_stem = LayerMask(first)(image, presence)
        assert masked_stem[..., 4:].abs().max() == 0
        assert masked_stem[..., 3].abs().max() > 0
        expected = second(masked_stem).mean((2, 3))
        assert torch.allclose(LayerMask(model, until="0")(image, presence), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"padding": "neighbour"}, "expected one of neighbor, zero, partial for padding, got 'neighbour': did"),
        ({"threshold": 1.5}, "expected a number from 0 to 1 for threshold, got 1.5"),
        ({"until": "layer9"}, "expected one of .* for until, got 'layer9'"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        LayerMask(SMALL, **arguments)


def test_a_model_that_is_none():
    with pytest.raises(InputError, match=r"expected a torch.nn.Module for model, got str"):
        LayerMask("resnet50")


def test_an_image_of_another_type_than_the_model():
    with pytest.raises(InputError, match=r"expected torch.float32 on cpu, as the model's .*, got torch.float64"):
        LayerMask(SMALL)(torch.zeros(1, 3, 8, 8, dtype=torch.float64), torch.ones(1, 1, 8, 8))


def test_shape_of_unsupported():
    with pytest.raises(InputError, match=r"expected \(N, C, H, W\) with positive sizes for shape, got \(3, 8, 8\)"):
        LayerMask(SMALL).unsupported((3, 8, 8))


def test_unsupported_operators_are_named_before_anything_runs():
    class Sorting(nn.Module):
        def forward(self, x):
            return x.sort(dim=-1).values.cumsum(-1)

    model = nn.Sequential(nn.Conv2d(3, 4, 3), Sorting(), nn.AdaptiveAvgPool2d(1))
    masked = LayerMask(model)
    found = masked.unsupported((1, 3, 8, 8))
    assert ("aten.sort.default", "1") in found
    message = r"expected supported operators, got aten\.sort\.default in 1"
    with pytest.raises(UnsupportedOperator, match=message):
        masked(torch.zeros(1, 3, 8, 8), torch.ones(1, 1, 8, 8))


def test_operators_behind_an_unsupported_one_are_listed_as_well():
    class Halving(nn.Module):
        def forward(self, x):
            return x.cumsum(1)[:, ::2]

    model = nn.Sequential(nn.Conv2d(3, 8, 3), Halving(), nn.Conv2d(4, 8, 3), nn.Sequential(nn.ReLU(), Halving()))
    assert LayerMask(model).unsupported((1, 3, 8, 8)) == [
        ("aten.cumsum.default", "1"),
        ("aten.cumsum.default", "3.1"),
    ]


def test_the_name_tells_settings_apart():
    assert LayerMask(SMALL).name == "layer"
    assert LayerMask(SMALL, padding="zero", until="2").name == "layer-zero-until:2"
    assert LayerMask(SMALL, threshold=0.3, pool_padding=False).name == "layer-pools-zero-threshold:0.3"
