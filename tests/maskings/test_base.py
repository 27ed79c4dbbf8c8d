"""What every masking has in common, and what must hold for any model."""

from __future__ import annotations

import copy
import re
import warnings

import pytest
import torch
from by_hand import Function
from hypothesis import given, settings
from hypothesis import strategies as st
from little_net import draw, net
from torch import nn
from torch.autograd import forward_ad

from xai_layermask.errors import CaptureError, InputError
from xai_layermask.maskings import Fill, LayerMask, Masking, with_presence

# --- the model's own answer ---


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_all_present_is_the_model(dtype):
    model = net(dtype)
    masked = LayerMask(model)
    tolerance = {"atol": 0.05, "rtol": 0.05} if dtype == torch.bfloat16 else {"atol": 1e-5, "rtol": 1e-5}
    for batch in (5, 1, 2):
        x, _ = draw(n=batch, dtype=dtype)
        assert torch.equal(masked(x), model(x))
        assert torch.equal(masked.train()(x), model(x))
        own = masked(x, torch.ones(1, 1, 1, 1))
        assert own.dtype == dtype
        torch.testing.assert_close(own, model(x), **tolerance)


GARBAGE = [0.0, 1e30, -1e30, float("nan"), float("inf"), float("-inf")]
MASKED = {
    "neighbor": LayerMask(net()),
    "zero": LayerMask(net(), padding="zero"),
    "partial": LayerMask(net(), padding="partial"),
    "published pools": LayerMask(net(), pool_padding=False),
    "threshold": LayerMask(net(), threshold=0.3),
    "until": LayerMask(net(), until="stem"),
}


@pytest.mark.parametrize("name", MASKED)
@given(st.integers(0, 2**20), st.sampled_from(GARBAGE), st.sampled_from([0.0, 0.02, 0.3, 0.8]), st.booleans())
@settings(max_examples=8)
def test_absent_pixels_change_no_bit(name, seed, garbage, fraction, learning):
    x, presence = draw(seed, fraction=fraction)
    with torch.set_grad_enabled(learning):
        expected = MASKED[name](x, presence)
        found = MASKED[name](torch.where(presence, x, garbage), presence)
    assert torch.isfinite(expected).all()
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", MASKED)
def test_nothing_present_is_finite_and_silent(name):
    x, _ = draw()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = MASKED[name](x * float("nan"), torch.zeros(1, 1, 1, 1))
    assert torch.isfinite(y).all()
    assert torch.equal(y[0], y[1])


@pytest.mark.parametrize("name", MASKED)
def test_images_of_a_batch_do_not_meet(name):
    x, presence = draw(n=5, fraction=0.3)
    together = MASKED[name](x, presence)
    for i in range(5):
        alone = MASKED[name](x[i : i + 1], presence[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (33, 7)])
def test_unusual_sizes(size):
    model, (x, presence) = net(), draw(size=size)
    masked = LayerMask(model)
    torch.testing.assert_close(masked(x, torch.ones_like(presence)), model(x), atol=1e-5, rtol=1e-5)
    assert torch.isfinite(masked(x, presence)).all()


def test_models_that_insist_on_a_batch_size():
    model = Function(lambda x, net: net(x.view(2, 3, 12, 17)), net())
    masked, (x, presence) = LayerMask(model), draw()
    torch.testing.assert_close(masked(x, presence), LayerMask(net())(x, presence))
    torch.testing.assert_close(masked(x, torch.ones_like(presence)), model(x), atol=1e-5, rtol=1e-5)


def test_carriers_and_broadcasting_are_the_same_call():
    masked, (x, presence) = LayerMask(net()), draw()
    expected = masked(x, presence)
    assert torch.equal(masked(with_presence(x, presence)), expected)
    assert torch.equal(masked(x, presence.float()), expected)
    shared = masked(x, presence[:1])
    assert torch.equal(masked(x, presence[0, 0]), shared)
    torch.testing.assert_close(masked(x[:1], presence)[1], masked(x[:1], presence[1:])[0])


# --- gradients ---


def test_gradients_of_pixels():
    model, (x, presence) = net(torch.float64), draw(n=1, size=(6, 7), dtype=torch.float64)
    masked = LayerMask(model)
    image = x.clone().requires_grad_()
    masked(image, presence)[0, 0].backward()
    assert image.grad[~presence.expand_as(x)].eq(0).all()
    step = 1e-6
    with torch.no_grad():
        for index in range(0, x.numel(), 9):
            moved = torch.zeros(x.numel(), dtype=x.dtype)
            moved[index] = step
            moved = moved.view_as(x)
            slope = (masked(x + moved, presence) - masked(x - moved, presence))[0, 0] / (2 * step)
            torch.testing.assert_close(image.grad.flatten()[index], slope, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
def test_gradients_are_finite_whatever_is_absent(garbage):
    model, (x, presence) = net(), draw()
    image = torch.where(presence, x, garbage).requires_grad_()
    LayerMask(model)(image, presence).sum().backward()
    assert torch.isfinite(image.grad).all()
    assert image.grad[presence.expand_as(x)].ne(0).any()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_gradients_of_parameters_are_the_models_own():
    model, (x, presence) = net(torch.float64), draw(dtype=torch.float64)
    masked = LayerMask(model)
    own = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    found = torch.autograd.grad(masked(x, torch.ones_like(presence)).square().sum(), list(masked.parameters()))
    for a, b in zip(found, own, strict=True):
        torch.testing.assert_close(a, b)
    some = torch.autograd.grad(masked(x, presence).square().sum(), list(model.parameters()))
    assert not torch.allclose(some[0], own[0])


@pytest.mark.parametrize("masking", [LayerMask(net()), Fill(net(), "grey")])
def test_transforms_that_see_no_gradients_are_refused(masking):
    x, presence = draw(n=2)

    def dual(y):
        with forward_ad.dual_level():
            return masking(forward_ad.make_dual(y, y), presence)

    transforms = [
        dual,
        torch.func.grad(lambda y: masking(y, presence).sum()),
        torch.func.vmap(lambda y: masking(y[None])),
        lambda y: torch.func.vmap(lambda one: masking(y, one))(presence),
    ]
    for transform in transforms:
        with pytest.raises(InputError, match=r"ordinary tensors for image and presence, got one of torch\.func"):
            transform(x)


def test_other_parameters_for_one_call():
    model = net()
    masked, (x, presence) = LayerMask(model), draw(n=2)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.9)
    given = {f"model.{name}": parameter.detach() for name, parameter in other.named_parameters()}
    found = torch.func.functional_call(masked, given, (x, presence))
    torch.testing.assert_close(found, LayerMask(other)(x, presence))
    torch.testing.assert_close(masked(x, presence), LayerMask(model)(x, presence))
    with pytest.raises(InputError, match=r"ordinary tensors for the model's parameters, got one of torch\.func"):
        torch.func.grad(lambda q: torch.func.functional_call(masked, q, (x, presence)).sum())(given)


def test_gradients_through_frozen_weights_with_folded_norms():
    model, (x, presence) = net(torch.float64), draw(dtype=torch.float64)
    image = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(LayerMask(model)(image, presence).sum(), image)
    (found,) = torch.autograd.grad(LayerMask(model.requires_grad_(False))(image, presence).sum(), image)
    torch.testing.assert_close(found, expected)


# --- the model is left alone ---


@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_never_changed(training):
    model, (x, presence) = net().train(training), draw()
    model.one.eval()
    hook = model.two.register_forward_hook(lambda *_: None)
    state = copy.deepcopy(model.state_dict())
    parameters = dict(model.named_parameters())
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    modes = {name: module.training for name, module in model.named_modules()}
    hooks = {name: len(module._forward_hooks) for name, module in model.named_modules()}
    masked = LayerMask(model)
    masked.train()
    masked.eval()
    image = x.clone().requires_grad_()
    masked(image, presence).sum().backward()
    with torch.no_grad():
        masked(x, presence)
    masked(x)
    masked.unsupported(x.shape)
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
    assert {name: len(module._forward_hooks) for name, module in model.named_modules()} == hooks
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert all(parameters[name] is p for name, p in masked.model.named_parameters())
    assert {id(p) for p in masked.parameters()} == {id(p) for p in parameters.values()}
    hook.remove()


def test_a_model_in_training_is_asked_in_evaluation_mode():
    model, (x, presence) = net(), draw()
    model.head = nn.Sequential(nn.Dropout(0.5), model.head)
    expected, some = model.eval()(x), LayerMask(model)(x, presence)
    masked = LayerMask(model.train())
    assert torch.equal(masked(x), expected)
    torch.testing.assert_close(masked(x, presence), some)
    assert model.training


def test_a_model_in_training_may_change_between_calls():
    model, (x, _) = net(), draw()
    masked = LayerMask(model.train())
    masked(x)
    model.double()
    assert masked(x.double()).dtype == torch.float64
    model.load_state_dict({k: v * 2 for k, v in model.state_dict().items()}, assign=True)
    assert torch.equal(masked(x.double()), copy.deepcopy(model).eval()(x.double()))
    model.head = nn.Linear(4, 2).double()
    assert masked(x.double()).shape == (2, 2)


# --- refusals ---


def test_a_masking_needs_a_module():
    message = "expected a torch.nn.Module for model, got function: load one by name with xai_layermask.models.load"
    with pytest.raises(InputError, match=message):
        LayerMask(lambda x: x)


@pytest.mark.parametrize("masking", [LayerMask, lambda model: Fill(model, "grey")])
def test_a_masking_is_no_network(masking):
    message = "expected the network itself for model, got a LayerMask: pass its .model"
    with pytest.raises(InputError, match=re.escape(message)):
        masking(LayerMask(net()))


def test_a_network_of_four_channels_takes_presence_apart():
    masked = LayerMask(nn.Sequential(nn.Conv2d(4, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    x = torch.rand(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(masked(x, torch.ones(1, 1, 1, 1)), masked.model(x))
    message = r"expected only 0 and 1 in presence, the last of 4 channels, got .*: .* or pass presence separately"
    with pytest.raises(InputError, match=message):
        masked(x)


def test_a_masking_must_say_what_it_does():
    with pytest.raises(NotImplementedError, match=r"Masking must define _masked\(image, presence\)"):
        Masking(net(), "bare")(draw()[0])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("masking", [LayerMask, lambda model: Fill(model, "grey")])
def test_a_present_pixel_that_is_not_finite(bad, masking):
    x, presence = draw()
    masked = masking(net())
    message = "expected finite present pixels in image, got NaN or infinity: mark these pixels absent"
    x[0, 0, 0, 0], presence[0, 0, 0, 0] = bad, True
    for arguments in ((x,), (x, presence), (with_presence(x, presence),)):
        with pytest.raises(InputError, match=message):
            masked(*arguments)
    presence[0, 0, 0, 0] = False
    assert torch.isfinite(masked(x, presence)).all()


def test_large_numbers_are_finite():
    x, presence = draw(n=1)
    x[:, 0] = 1e38
    assert LayerMask(nn.Identity())(x, presence).sum() > 1e37


# --- bound to an image ---


def test_bound_to_one_image():
    masked, (x, _) = LayerMask(net()), draw(n=1)
    bound = masked.bind(x)
    assert bound.presence.shape == (1, 1, 12, 17)
    assert bound.presence.eq(1).all()
    torch.testing.assert_close(bound(bound.presence), masked(x), atol=1e-5, rtol=1e-5)
    many = torch.rand(5, 1, 12, 17) < 0.5
    torch.testing.assert_close(bound(many), masked(x.expand(5, -1, -1, -1), many))
    torch.testing.assert_close(bound(many.float()), bound(many))


def test_bound_to_several_images():
    masked, (x, presence) = LayerMask(net()), draw(n=2)
    bound = masked.bind(x)
    shared = presence[:1].expand(2, -1, -1, -1)
    torch.testing.assert_close(bound(shared), masked(x, shared))
    torch.testing.assert_close(bound(shared.repeat(3, 1, 1, 1))[2:4], masked(x, shared))
    index = torch.tensor([1, 0, 0])
    for some in (presence[index], presence[index, 0]):
        torch.testing.assert_close(bound(some, index), masked(x[index], presence[index]))


def test_bound_presence_that_belongs_to_nobody():
    bound = LayerMask(net()).bind(draw(n=2)[0])
    message = r"expected the same presence for each of the 2 bound images, or an index, got 3 presences: pass"
    with pytest.raises(InputError, match=message):
        bound(torch.ones(3, 1, 12, 17))
    for presence in (draw(n=2)[1], draw(n=2)[1][:, 0], torch.ones(0, 1, 12, 17), torch.ones(1, 12, 17)):
        with pytest.raises(InputError, match=rf"or an index, got {len(presence)} presences: pass bound.index"):
            bound(presence)


@pytest.mark.parametrize("index", [torch.tensor([0, 2]), torch.tensor([0]), torch.tensor([0.0, 1.0]), [0, 1]])
def test_an_index_that_fits_nothing(index):
    bound = LayerMask(net()).bind(draw(n=2)[0])
    message = r"expected an integer from 0 to 1 for each of 2 presences for index, got .*: pass bound.index"
    with pytest.raises(InputError, match=message):
        bound(draw(n=2)[1], index)


def test_binding_no_image():
    with pytest.raises(InputError, match=r"expected a tensor \(N, C, H, W\) for image, got \(3, 8, 8\)"):
        LayerMask(net()).bind(torch.zeros(3, 8, 8))


@pytest.mark.parametrize("masking", [LayerMask, lambda model: Fill(model, "grey")])
def test_a_bound_image_predicts_in_one_batch(masking):
    masked, sizes = masking(net()), []
    masked.register_forward_pre_hook(lambda module, args: sizes.append(len(args[1])))
    x, presence = draw(n=1)[0], draw(n=20)[1]
    masked.bind(x)(presence)
    assert sizes == [20]


class Mute(RuntimeError):
    def __str__(self):
        raise ValueError("no words")


class Raising(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        raise self.error


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("error", "named"), [(KeyError("weights"), r"KeyError \('weights'\)"), (Mute(), r"Mute \(Mute\)")]
)
def test_what_a_model_raises_is_worded(error, named, training):
    message = rf"an image of shape \(1, 3, 4, 4\), got {named} in test_base.py, line \d+ \(raise self.error\): check"
    with pytest.raises(CaptureError, match=message) as caught:
        Fill(Raising(error).train(training), "grey")(torch.zeros(1, 3, 4, 4))
    assert type(caught.value.__cause__) is type(error)


@pytest.mark.parametrize("error", [MemoryError("all"), RuntimeError("CUDA out of memory"), InputError("as it is")])
def test_lack_of_memory_and_errors_of_this_package_are_passed_on(error):
    with pytest.raises(type(error)) as caught:
        Fill(Raising(error).eval(), "grey")(torch.zeros(1, 3, 4, 4))
    assert caught.value is error


def test_images_without_values_are_named():
    masked = LayerMask(nn.Conv2d(3, 2, 1).to("meta"))
    with pytest.raises(InputError, match="expected an image with values, got one on the meta device: load the model's"):
        masked(torch.zeros(1, 3, 4, 4, device="meta"), torch.ones(1, 1, 4, 4))
    assert masked.unsupported((1, 3, 4, 4)) == []
