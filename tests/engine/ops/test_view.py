"""Views and rearrangements: presence must go where the value goes."""

from __future__ import annotations

import by_hand
import pytest
import torch
import torch.nn.functional as F
from by_hand import Function, aten, maps
from torch import nn

from xai_layermask.engine.ops.view import compact
from xai_layermask.maskings import LayerMask

CHAINS = {
    "flatten": [(aten.flatten.using_ints, [2])],
    "flatten all": [(aten.flatten.using_ints, [1])],
    "view": [(aten.view.default, [[2, 2, 2, 6, 8]])],
    "reshape copies": [(aten.permute.default, [[0, 2, 1, 3]]), (aten.reshape.default, [[2, 24, 8]])],
    "tokens": [(aten.flatten.using_ints, [2]), (aten.transpose.int, [1, 2])],
    "tokens by movedim": [(aten.flatten.using_ints, [2]), (aten.movedim.int, [2, 1])],
    "slice": [(aten.slice.Tensor, [2, 1, 5, 2])],
    "slice channels": [(aten.slice.Tensor, [1, 1, 3])],
    "select": [(aten.select.int, [3, 4])],
    "unsqueeze": [(aten.unsqueeze.default, [2]), (aten.squeeze.dim, [2])],
    "permute": [(aten.permute.default, [[0, -2, -1, 1]])],
    "swapaxes": [(aten.swapaxes.default, [-1, 1])],
    "flip": [(aten.flip.default, [[2]])],
    "roll": [(aten.roll.default, [[2, -3], [2, 3]])],
    "repeat": [(aten.repeat.default, [[1, 2, 1, 3]])],
    "narrow": [(aten.narrow.default, [3, 2, 4])],
    "pixel shuffle": [(aten.pixel_shuffle.default, [2])],
    "pixel unshuffle": [(aten.pixel_unshuffle.default, [2])],
    "unshuffle and shuffle": [(aten.pixel_unshuffle.default, [2]), (aten.pixel_shuffle.default, [2])],
    "channel shuffle": [
        (aten.view.default, [[2, 2, 2, 6, 8]]),
        (aten.transpose.int, [1, 2]),
        (aten.reshape.default, [[2, 4, 6, 8]]),
    ],
    "space to depth": [
        (aten.view.default, [[2, 4, 3, 2, 4, 2]]),
        (aten.permute.default, [[0, 3, 5, 1, 2, 4]]),
        (aten.reshape.default, [[2, 16, 3, 4]]),
    ],
    "windows": [
        (aten.permute.default, [[0, 2, 3, 1]]),
        (aten.view.default, [[2, 2, 3, 2, 4, 4]]),
        (aten.permute.default, [[0, 1, 3, 2, 4, 5]]),
        (aten.reshape.default, [[8, 12, 4]]),
    ],
}


def apply(chain, y):
    for operator, arguments in chain:
        y = operator(y if y.is_contiguous() or "view" not in str(operator) else y.contiguous(), *arguments)
    return y


@pytest.mark.parametrize("name", CHAINS)
def test_presence_goes_where_the_value_goes(name):
    chain = CHAINS[name]
    for seed in range(3):
        x, presence = maps(seed)
        y, mask = by_hand.run(x, presence, chain)
        shown = apply(chain, presence.expand_as(x).contiguous())
        assert torch.equal(mask.expand_as(shown), shown)
        torch.testing.assert_close(y, torch.where(shown, apply(chain, x), 0.0), atol=0, rtol=0)


@pytest.mark.parametrize(
    "name", ["view", "tokens", "permute", "roll", "flip", "repeat", "pixel shuffle", "channel shuffle"]
)
def test_presence_stays_small_where_channels_share_it(name):
    x, presence = maps(0)
    _, mask = by_hand.run(x, presence, CHAINS[name])
    assert mask.numel() <= 3 * presence.numel() * (4 if name == "pixel shuffle" else 1)
    if name == "channel shuffle":
        assert mask.stride() == torch.empty(mask.shape).stride()


@pytest.mark.parametrize(
    "operator", [aten.chunk.default, aten.split.Tensor, aten.unbind.int, aten.split_with_sizes.default]
)
def test_lists_of_parts(operator):
    arguments = {"chunk": [2, 1], "split": [3, 2], "unbind": [2], "split_with_sizes": [[2, 4], 2]}
    arguments = arguments[str(operator).split(".")[1]]

    def last(x):
        return torch.relu(operator(x, *arguments)[-1])

    x, presence = maps(0)
    shown = operator(presence.expand_as(x), *arguments)[-1]
    torch.testing.assert_close(LayerMask(Function(last))(x, presence), torch.where(shown, last(x), 0.0))


def test_concatenation_over_channels_is_present_where_all_branches_are():
    def joined(x, a, b):
        return torch.cat([a(x), b(x), x[:, :1] * 0 + 1], 1)

    x, presence = maps(1)
    small, wide = nn.Conv2d(4, 2, 1).double(), nn.Conv2d(4, 3, 3, padding=1).double()
    y = LayerMask(Function(joined, small, wide))(x, presence)
    shown = presence.expand_as(y[:, :1])
    own = LayerMask(wide)(x, presence)
    torch.testing.assert_close(y[:, :2], torch.where(shown, small(x), 0.0))
    torch.testing.assert_close(y[:, 2:5], torch.where(shown, own, 0.0))
    assert torch.equal(y[:, 5:] > 0, presence)


def test_concatenation_of_tokens_keeps_each_ones_presence():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.ones(1, 1, 4, dtype=torch.float64))

        def forward(self, x):
            tokens = x.flatten(2).transpose(1, 2)
            return torch.cat([self.token.expand(x.shape[0], -1, -1), tokens], 1)

    x, presence = maps(2)
    y = LayerMask(Tokens())(x, presence)
    assert y[:, 0].eq(1).all()
    expected = torch.where(presence, x, 0.0).flatten(2).transpose(1, 2)
    assert torch.equal(y[:, 1:], expected)


@pytest.mark.parametrize("dim", [0, 2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_concatenation_along_batch_and_space(dim, batch):
    def joined(x):
        return torch.cat([x, x.flip(-1)], dim)

    x, presence = maps(3, n=batch)
    y = LayerMask(Function(joined))(x, presence)
    assert torch.equal(y, torch.where(joined(presence), joined(x), 0.0))


def test_concatenation_of_maps_of_one_cell():
    x, presence = maps(0, n=3, h=1, w=1, fraction=0.5)
    presence[0], presence[1] = True, False
    y = LayerMask(Function(lambda x: torch.cat([x, x * 0 + 1], 2)))(x, presence)
    assert torch.equal(y != 0, presence.expand(3, 4, 2, 1))


def test_a_permutation_and_back_is_the_same_presence():
    """ConvNeXt's detours through channels-last must not cost a second fill."""
    weight = torch.randn(4, 4, 3, 3)
    conv = (aten.conv2d.default, [weight, None, [1, 1], [1, 1]])
    detour = [(aten.permute.default, [[0, 2, 3, 1]]), (aten.gelu.default, []), (aten.permute.default, [[0, 3, 1, 2]])]
    made, _ = by_hand.program(torch.zeros(1, 4, 6, 8), [conv, *detour, conv])
    plan = made.plan(torch.rand(1, 1, 6, 8) > 0.5)
    assert plan.found[150] is plan.found[450]


def test_compact():
    mask = torch.rand(2, 1, 3, 1) > 0.5
    assert compact(mask.expand(2, 5, 3, 4)).shape == (2, 1, 3, 1)
    assert compact(mask).shape == (2, 1, 3, 1)


@pytest.mark.parametrize("like", ["expand_as", "view_as", "reshape_as", "type_as"])
def test_tensors_that_take_after_an_activation_are_ordinary(like):
    def scaled(x, layer):
        gate = layer(x.mean((2, 3), keepdim=True)).sigmoid()
        other = gate if like in ("expand_as", "type_as") else gate.expand(-1, -1, 6, 8)
        return getattr(other, like)(x) * x

    x, presence = maps(4)
    model = Function(scaled, nn.Conv2d(4, 4, 1).double())
    y = LayerMask(model)(x, presence)
    mean = (x * presence).sum((2, 3), keepdim=True) / presence.sum((2, 3), keepdim=True)
    torch.testing.assert_close(y, torch.where(presence, model.parts[0](mean).sigmoid() * x, 0.0))


def test_an_activation_that_takes_after_another_keeps_its_presence():
    model = Function(lambda x, conv: conv(x).view_as(x) + x.flatten(1).view_as(x), nn.Conv2d(4, 4, 1).double())
    x, presence = maps(5)
    torch.testing.assert_close(LayerMask(model)(x, presence), torch.where(presence, model(x), 0.0))


def test_shuffled_channels_between_convolutions():
    """A ShuffleNet unit agrees with its convolutions run one by one."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(4, 8, 3, padding=1).double(), nn.Conv2d(8, 4, 3, padding=1).double()
    model = nn.Sequential(first, nn.ChannelShuffle(2), second)
    x, presence = maps(6, fraction=0.1)
    middle = LayerMask(first)(x, presence)
    grown = F.max_pool2d(presence.double(), 3, 1, 1).bool()
    expected = LayerMask(second)(middle[:, [0, 4, 1, 5, 2, 6, 3, 7]], grown)
    torch.testing.assert_close(LayerMask(model)(x, presence), expected)


class Tutorial(nn.Module):
    """The network of PyTorch's own tutorial, which flattens with a view."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5), nn.Linear(400, 10)

    def maps(self, x):
        return F.max_pool2d(F.relu(self.b(F.max_pool2d(F.relu(self.a(x)), 2))), 2)

    def forward(self, x):
        return self.head(self.maps(x).view(-1, 400))


def test_a_view_flattens_a_map_in_the_order_of_the_model():
    torch.manual_seed(0)
    model = Tutorial().double().eval()
    x, presence = maps(7, c=3, h=32, w=32)
    presence[..., 20:] = False
    maps_only = LayerMask(Function(lambda x, model: model.maps(x), model))
    torch.testing.assert_close(LayerMask(model)(x, torch.ones(1, 1, 1, 1)), model(x))
    expected = model.head(maps_only(x, presence).reshape(2, 400))
    torch.testing.assert_close(LayerMask(model)(x, presence), expected)


VIEWS = {
    "view": lambda y: y.view(y.shape[0], -1),
    "view of a contiguous map": lambda y: y.contiguous().view(y.shape[0], -1),
    "view as one channel": lambda y: y.view(-1, 1, 6, 8),
    "view as another": lambda y: y.view_as(y.flatten(1)),
    "unsafe view": lambda y: aten._unsafe_view.default(y, [y.shape[0], 4 * 48]),
    "unflatten": lambda y: y.view(y.shape[0], -1).unflatten(1, (8, 24)),
    "view of an ordinary tensor": lambda y: F.adaptive_avg_pool2d(y, 3).view(y.shape[0], -1),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_go_by_shape_and_not_by_strides(name):
    """Values are channels-last here, and were contiguous when the model was captured."""
    x, presence = maps(8)
    model = Function(lambda x, conv: VIEWS[name](conv(x)), nn.Conv2d(4, 4, 1).double())
    maps_only = LayerMask(model.parts[0])
    if name == "view of an ordinary tensor":
        maps_only = LayerMask(Function(lambda x, conv: F.adaptive_avg_pool2d(conv(x), 3), model.parts[0]))
        expected = maps_only(x, presence).flatten(1)
    else:
        expected = VIEWS[name](maps_only(x, presence).contiguous())
    torch.testing.assert_close(LayerMask(model)(x, presence), expected)


@pytest.mark.parametrize("masked", [True, False])
def test_strides_of_memory_are_refused(masked):
    def strided(x):
        return (x if masked else x.mean((2, 3))).as_strided((2, 2), (1, 1))

    assert LayerMask(Function(strided)).unsupported((2, 4, 6, 8)) == [("aten.as_strided.default", "")]


def test_another_type_of_the_same_bytes_is_refused():
    model = Function(lambda x: x.view(torch.int32).view(torch.float32))
    assert ("aten.view.dtype", "") in LayerMask(model).unsupported((2, 4, 6, 8))


def patches(x):
    """The cells of each 2 x 2 patch of a map of 4 x 6 x 8, by channel."""
    return F.unfold(x, 2, stride=2).reshape(-1, 4, 4, 12)


def put_back(y):
    return F.fold(y.reshape(-1, 16, 12), (6, 8), 2, stride=2)


ROUND_TRIPS = {
    "patches": lambda x: put_back(patches(x)),
    "patches worked on": lambda x: put_back(patches(x) * 2) / 2,
    "patches joined": lambda x: put_back(patches(x) + patches(x).relu() - patches(x).relu()),
    "columns joined": lambda x: F.fold((y := F.unfold(x, 2, stride=2)) + y.relu() - y.relu(), (6, 8), 2, stride=2),
    "shuffled": lambda x: F.pixel_shuffle(F.pixel_unshuffle(x, 2) * 2, 2) / 2,
    "tokens": lambda x: put_back(F.unfold(x, 2, stride=2).transpose(1, 2).mul(2).transpose(1, 2)) / 2,
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_channels_that_went_through_a_rearrangement_still_have_one_presence(name):
    """A concatenation then joins the parts, as it does without the round trip."""
    (x, presence), conv = maps(3), nn.Conv2d(4, 2, 3, padding=1).double()
    y, expected = (
        LayerMask(Function(lambda x, conv, way=way: torch.cat([way(x), conv(x)], 1), conv))(x, presence)
        for way in (ROUND_TRIPS[name], lambda x: x)
    )
    torch.testing.assert_close(y, expected)


def test_channels_of_patches_have_one_presence():
    """Patches as a map of 4 x 12: the same as by a view and a permutation."""
    (x, presence), conv = maps(4), nn.Conv2d(4, 2, 3, padding=1).double()

    def viewed(x):
        return x.reshape(-1, 4, 3, 2, 4, 2).permute(0, 1, 3, 5, 2, 4).reshape(-1, 4, 4, 12)

    y, expected = (
        LayerMask(Function(lambda x, conv, way=way: torch.cat([way(x), conv(way(x))], 1), conv))(x, presence)
        for way in (patches, viewed)
    )
    torch.testing.assert_close(y, expected)
    assert not torch.equal(y[:, :4], torch.where(viewed(presence.expand_as(x)), viewed(x), 1.0))
