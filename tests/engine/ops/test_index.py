"""Entries picked by their numbers, and stacks."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from by_hand import Function, invariants, maps
from torch import nn

from xai_layermask.maskings.layer import LayerMask

ORDER = [2, 0, 1, 3, 3]


class Shuffled(nn.Module):
    """Channels in another order, by a buffer."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.register_buffer("order", torch.tensor(ORDER))

    def forward(self, x):
        return self.how(x, self.order)


PICKS = {
    "index": lambda x, order: x[:, order],
    "index_select": lambda x, order: x.index_select(1, order),
    "gather": lambda x, order: x.gather(1, order.view(1, -1, 1, 1).expand(len(x), -1, 6, 8)),
    "behind a permute": lambda x, order: x.permute(0, 2, 3, 1)[..., order].permute(0, 3, 1, 2),
}


@pytest.mark.parametrize("name", PICKS)
def test_channels_by_their_numbers(name):
    x, presence = maps(0)
    model = Shuffled(PICKS[name])
    y = LayerMask(model)(x.float(), presence)
    torch.testing.assert_close(y, torch.where(presence, x.float(), 0.0)[:, ORDER])


SINGLE_VALUES = {
    "all values, one by one": lambda x: torch.stack(x.flatten().unbind(0)),
    "a list of values": lambda x: torch.stack([x[0, 0, 0, 0], x[1, 2, 5, 7], x[1, 1, 2, 2]]),
    "a value and a row": lambda x: torch.cat([x[0, 0, 0, 1].reshape(1), x[1, 1, 0]]),
}


@pytest.mark.parametrize("name", SINGLE_VALUES)
@pytest.mark.parametrize("seed", range(3))
def test_single_values_keep_the_presence_of_their_cell(name, seed):
    """Tensors without dimensions are present or absent as a whole."""
    x, presence = maps(seed)
    y = LayerMask(Function(SINGLE_VALUES[name]))(x, presence)
    torch.testing.assert_close(y, SINGLE_VALUES[name](torch.where(presence, x, 0.0)))


@pytest.mark.parametrize("shown", [True, False])
def test_a_map_times_a_single_value_is_present_where_both_are(shown):
    x, presence = maps(0)
    presence[0, 0, 2, 3] = shown
    y = LayerMask(Function(lambda x: x * x[0, 1, 2, 3]))(x, presence)
    torch.testing.assert_close(y, torch.where(presence & shown, x * x[0, 1, 2, 3], 0.0))


@pytest.mark.parametrize("pick", [lambda x, order: x[:, :, order], lambda x, order: x.index_select(3, order)])
def test_cells_by_their_numbers_are_refused(pick):
    (found,) = LayerMask(Shuffled(pick)).unsupported((1, 3, 6, 8))
    assert found.reason == "which cells it reads depends on values"


def test_repeats_tiles_and_turns():
    x, presence = maps(1)
    for function in (
        lambda x: x.repeat_interleave(2, 2),
        lambda x: x.tile(1, 1, 2, 3),
        lambda x: x.tile(0),
        lambda x: x.rot90(1, (2, 3)),
        lambda x: x.unfold(2, 4, 2).unfold(3, 3, 1),
        lambda x: x.flatten(2).mT,
    ):
        y = invariants(function, x, presence)
        torch.testing.assert_close(y, function(torch.where(presence, x, 0.0)))


def test_a_stack_is_present_where_all_are():
    """Selective kernels: branches of different windows, stacked, summed, and weighted."""

    class Selective(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.dim = dim
            self.small, self.wide = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            both = torch.stack([self.small(x), self.wide(x)], self.dim)
            return (both * both.mean((-2, -1), keepdim=True).softmax(self.dim)).sum(self.dim)

    x, presence = maps(2)
    torch.manual_seed(0)
    model = Selective(1).double()
    y = LayerMask(model)(x, presence)
    small = model.small(x)
    wide = LayerMask(model.wide)(x, presence)
    means = [(one * presence).sum((2, 3)) / presence.sum((2, 3)).clamp(min=1) for one in (small, wide)]
    weights = torch.stack(means).softmax(0)[..., None, None]
    torch.testing.assert_close(y, torch.where(presence, weights[0] * small + weights[1] * wide, 0.0))
    for dim in (0, 1, 2, -1):
        masked = LayerMask(Selective(dim).double())
        torch.testing.assert_close(masked(x, torch.ones_like(presence)), masked.model(x))
        again = masked(torch.where(presence, x, float("nan")), presence)
        assert torch.equal(again, masked(x, presence))


def test_a_stack_along_the_batch_keeps_images_apart():
    """One image at a time: what is absent in one of them does not matter to the other."""
    net = nn.Conv2d(4, 4, 3, padding=1).double()

    def one_by_one(x, net):
        return torch.stack([F.relu(net(x[i : i + 1]))[0] for i in range(2)]).mean((2, 3))

    x, presence = maps(3)
    masked = LayerMask(Function(one_by_one, net))
    together = LayerMask(Function(lambda x, net: F.relu(net(x)).mean((2, 3)), net))
    torch.testing.assert_close(masked(x, presence), together(x, presence))


def test_a_stack_with_an_ordinary_tensor():
    x, presence = maps(4)
    y = invariants(lambda x: torch.stack([x, torch.ones_like(x)], 1), x, presence)
    torch.testing.assert_close(y, torch.stack([x * presence, presence.expand_as(x).double()], 1))
