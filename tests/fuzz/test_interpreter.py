"""The interpreter against loops over cells, and against what a model itself answers."""

from __future__ import annotations

import naive
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .cells import ABSENT, BORDER, PRESENT, Masked, any_of, fill, windows
from .checks import export
from .interpreter import Interpreter, Settings


def answer(function, x, presence, **settings):
    """What the interpreter says about a function of the image."""

    class Net(nn.Module):
        def forward(self, x):
            return function(x)

    return Interpreter(export(Net().eval(), tuple(x.shape[1:]), torch.float64))(x, presence, Settings(**settings))


def picture(n=2, c=3, h=6, w=7, fraction=0.4):
    x = torch.randn(n, c, h, w, dtype=torch.float64)
    return x, torch.rand(n, 1, h, w) < fraction


def test_filling_is_algorithm_1():
    x, presence = picture()
    state = torch.where(presence, PRESENT, ABSENT).expand(x.shape)
    for rounds in (1, 2, None):
        expected, _ = naive.neighbor_padding(x.numpy(), presence.numpy(), rounds)
        np.testing.assert_allclose(fill(Masked(x, state), rounds), expected)


def test_cells_behind_a_border_are_filled_however_far_the_next_present_one_is():
    """A padded map, flattened: a window on its last column reads the first cell of the next row."""
    state = torch.tensor([PRESENT, PRESENT, BORDER, ABSENT, ABSENT, PRESENT, BORDER]).view(1, 1, 1, 7)
    x = torch.tensor([1.0, 2.0, 9.0, 0.0, 0.0, 7.0, 9.0], dtype=torch.float64).view(1, 1, 1, 7)
    assert fill(Masked(x, state.double()), 1).flatten().tolist() == [1, 2, 9, 7, 7, 7, 9]
    inner = Masked(x[..., :6], state[..., :6].double())
    inner.state[..., 2] = ABSENT
    assert fill(inner, 1).flatten().tolist() == [1, 2, 2, 0, 7, 7]


def test_an_ordinary_norm_is_written_out():
    """The operator's own gradient is wrong for a single image of transposed tokens."""
    norm = nn.BatchNorm2d(3).double().eval()
    norm.running_var.uniform_(0.5, 2)
    x, weight = (torch.randn(1, 3, 4, 5, dtype=torch.float64) for _ in range(2))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm = nn.Identity(), norm

        def forward(self, x):
            return self.norm(self.first(x) * 1)

    run = Interpreter(export(nn.Sequential(nn.ReLU(), Net()).eval(), (3, 4, 5), torch.float64))
    x = x.flatten(2).transpose(1, 2).contiguous().transpose(1, 2).unflatten(2, (4, 5)).requires_grad_()
    y = run(x, torch.ones(1, 1, 4, 5, dtype=torch.bool), Settings(until="0"))
    (found,) = torch.autograd.grad(y, x, weight)
    scale = (norm.running_var + norm.eps).rsqrt().view(1, -1, 1, 1)
    torch.testing.assert_close(found, weight * scale * (x > 0))


def test_borders_keep_their_value_and_are_no_neighbours():
    x, presence = picture()
    inside = np.ones((2, 1, 6, 7), bool)
    inside[:, :, 0] = inside[:, :, :, -1] = False
    shown = presence & torch.from_numpy(inside)
    state = torch.where(torch.from_numpy(inside), torch.where(shown, PRESENT, ABSENT), BORDER).expand(x.shape)
    expected, _ = naive.neighbor_padding(x.numpy(), shown.numpy(), 2, inside)
    np.testing.assert_allclose(fill(Masked(x, state), 2), expected)


def test_windows_look_at_these_cells():
    _, presence = picture()
    shape = (3, 2), (2, 1), (1, 0), (1, 2), (3, 5)
    looks = windows(torch.where(presence, PRESENT, ABSENT), *shape)
    for threshold in (0.0, 0.5):
        expected = naive.pooled_presence(presence.numpy(), *shape, threshold)
        present, inside = (looks == PRESENT).sum(1), (looks != BORDER).sum(1)
        np.testing.assert_array_equal(((present > 0) & (present / inside >= threshold))[:, None], expected)


def test_a_convolution_by_loops():
    x, presence = picture()
    weight, bias = torch.randn(4, 3, 3, 3, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    filled, _ = naive.neighbor_padding(x.numpy(), presence.numpy(), 3)
    whole = naive.convolve(filled, weight.numpy(), bias.numpy(), (2, 1), (1, 1), (1, 1), 1)
    shown = naive.pooled_presence(presence.numpy(), (3, 3), (2, 1), (1, 1), (1, 1), whole.shape[2:])
    found = answer(lambda x: F.conv2d(x, weight, bias, (2, 1), 1), x, presence)
    np.testing.assert_allclose(found, np.where(shown, whole, 0), atol=1e-12)


def test_statistics_by_loops():
    x, presence = picture()
    mask = presence.numpy()
    for function, expected in [
        (lambda x: x.mean((2, 3)), naive.mean_present(x.numpy(), mask)),
        (lambda x: x.amax((2, 3)), naive.max_present(x.numpy(), mask)),
        (lambda x: F.adaptive_avg_pool2d(x, (2, 3)), naive.regions(x.numpy(), mask, (2, 3), naive.mean_present)),
        (lambda x: F.group_norm(x, 1), np.where(mask, naive.group_norm(x.numpy(), mask, 1), 0)),
    ]:
        np.testing.assert_allclose(answer(function, x, presence), expected, atol=1e-12)


def test_attention_drops_tokens():
    x, presence = picture(n=1)
    presence[..., 0, 0] = True

    def attend(x):
        tokens = x.flatten(2).transpose(1, 2)
        return F.scaled_dot_product_attention(tokens[:, :1], tokens, tokens)

    kept = x.flatten(2)[:, :, presence.flatten()].transpose(1, 2)
    expected = F.scaled_dot_product_attention(kept[:, :1], kept, kept)
    torch.testing.assert_close(answer(attend, x, presence), expected)
    by_hand = answer(lambda x: _softmax_attention(x.flatten(2).transpose(1, 2))[:, :1], x, presence)
    torch.testing.assert_close(by_hand, _softmax_attention(kept)[:, :1])


def _softmax_attention(tokens):
    return (tokens @ tokens.transpose(1, 2)).softmax(-1) @ tokens


def test_partial_convolution_rescales_what_is_present():
    x, presence = picture()
    weight, bias = torch.randn(4, 3, 3, 3, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    ones = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    share = F.conv2d(presence.double(), ones, padding=1) / F.conv2d(torch.ones_like(presence).double(), ones, padding=1)
    expected = F.conv2d(x * presence, weight, padding=1) / share.clamp(min=1e-9) + bias.view(-1, 1, 1)
    found = answer(lambda x: F.conv2d(x, weight, bias, padding=1), x, presence, padding="partial")
    torch.testing.assert_close(found, torch.where(share > 0, expected, 0.0))


def test_a_border_is_the_models_own_only_where_it_is_one_in_every_operand():
    x, presence = picture()

    def moved(x):
        return F.pad(x, (-1, 1, -1, 1), value=2.0)

    joined = answer(lambda x: torch.cat([x, moved(x)], 1), x, presence)
    both = presence & F.pad(presence, (-1, 1, -1, 1), value=True)
    torch.testing.assert_close(joined, torch.where(both, torch.cat([x, moved(x)], 1), 0.0))
    everything = torch.ones_like(presence)
    whole = answer(lambda x: x + moved(x), x, everything)
    torch.testing.assert_close(whole, x + moved(x))


def test_states_of_many_elements():
    states = torch.tensor([[ABSENT, BORDER], [PRESENT, ABSENT], [BORDER, BORDER]], dtype=torch.float64)
    assert any_of(states, (1,)).flatten().tolist() == [ABSENT, PRESENT, BORDER]


def test_in_place_operators_write_through_views():
    x, presence = picture()

    def write(x):
        y = x * 2
        y.mul_(3)
        return y + F.relu(y[:, :, 1:], inplace=False).mean((2, 3), keepdim=True)

    expected = x * 6 + _mean(F.relu(x * 6)[:, :, 1:], presence[:, :, 1:])
    torch.testing.assert_close(answer(write, x, presence), torch.where(presence, expected, 0.0))


def _mean(x, presence):
    return (x * presence).sum((2, 3), keepdim=True) / presence.sum((2, 3), keepdim=True)


def test_masking_ends_behind_a_module():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1)

        def forward(self, x):
            return self.second(self.first(x))

    net = Net().double().eval()
    x, presence = picture()
    run = Interpreter(export(net, tuple(x.shape[1:]), torch.float64))
    first = answer(lambda x: F.conv2d(x, net.first.weight, net.first.bias, padding=1), x, presence)
    torch.testing.assert_close(run(x, presence, Settings(until="first")), net.second(first))


def test_everything_present_is_the_model():
    x, presence = picture()
    for function in (
        lambda x: F.pixel_unshuffle(x[:, :, :4, :6], 2),
        lambda x: F.interpolate(F.pad(x, (1, 2, 0, 1), value=1.5), scale_factor=2, mode="bilinear"),
        lambda x: F.avg_pool2d(x, 3, 2, 1, True, False),
        lambda x: torch.roll(x.permute(0, 2, 3, 1), 1, 2),
    ):
        torch.testing.assert_close(answer(function, x, torch.ones_like(presence)), function(x))
