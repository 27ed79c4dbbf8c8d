"""shapiq's approximators and plots with segments as players and predictions of maskings as what they are worth."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_layermask import Fill, InputError, LayerMask, Preprocess, with_presence
from xai_layermask.segments import presence_of

shapiq = pytest.importorskip("shapiq")

from xai_layermask.shapiq import SegmentGame  # noqa: E402, it cannot be imported without shapiq

SIDE = 12
QUARTERS = np.arange(SIDE)[:, None] // 6 * 2 + np.arange(SIDE) // 6


class Pair(nn.Module):
    """One number: the sum of the quarters' means, and 5 more if the first and the last are bright."""

    def forward(self, image: Tensor) -> Tensor:
        corners = torch.stack([image[:, 0, 0, 0], image[:, 0, 0, -1], image[:, 0, -1, 0], image[:, 0, -1, -1]], 1)
        together = (corners[:, 0] * corners[:, 3])[:, None]
        return corners.sum(1, keepdim=True) + 5 * together


@pytest.fixture(scope="module")
def masked() -> LayerMask:
    torch.manual_seed(0)
    return LayerMask(
        nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
    )


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def log_odds(logits: Tensor, target: int) -> np.ndarray:
    return torch.logit(logits.double().softmax(1)[:, target]).numpy()


@pytest.mark.parametrize("kind", ["layer", "grey", "network"])
def test_coalitions_are_worth_the_masked_prediction(kind, masked, image):
    model = {"layer": masked, "grey": Fill(masked.model, "grey"), "network": masked.model}[kind]
    game = SegmentGame(model, image, QUARTERS * 2 + 1, target=2, normalize=False)
    coalitions = np.array([[1, 1, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    with torch.no_grad():
        logits = (masked if kind == "network" else model)(image, presence_of(QUARTERS, coalitions))
    expected = log_odds(logits, 2)
    np.testing.assert_allclose(game(coalitions), expected, atol=1e-5)
    normalised = SegmentGame(model, image, QUARTERS, target=2, batch_size=3)
    np.testing.assert_allclose(normalised(coalitions), expected - expected[2], atol=1e-5)
    assert normalised.is_normalized
    probabilities = SegmentGame(model, image, QUARTERS, target=2, output="probability", normalize=False)
    np.testing.assert_allclose(probabilities(coalitions), logits.softmax(1)[:, 2].numpy(), atol=1e-6)


def test_exact_values_are_shapley_values(masked, image):
    game = SegmentGame(masked, image, QUARTERS, target=1)
    brings = np.zeros(4)
    for order in permutations(range(4)):
        worth = game(np.array([np.isin(range(4), order[:i]) for i in range(5)]))
        brings[list(order)] += np.diff(worth)
    expected = brings / math.factorial(4)
    for values in (game.exact_values("SV", order=1), shapiq.KernelSHAP(n=4, random_state=0).approximate(16, game)):
        np.testing.assert_allclose([values[(i,)] for i in range(4)], expected, atol=1e-5)
        np.testing.assert_allclose(sum(values[(i,)] for i in range(4)), game.grand_coalition_value, atol=1e-5)
        np.testing.assert_allclose(game.paint(values), expected[QUARTERS], atol=1e-5)


@pytest.mark.parametrize(
    ("approximator", "options"),
    [
        ("KernelSHAPIQ", {"max_order": 2, "index": "k-SII"}),
        ("SHAPIQ", {"max_order": 2, "index": "k-SII"}),
        ("SVARMIQ", {"max_order": 2, "index": "k-SII"}),
        ("RegressionFSII", {"max_order": 2}),
    ],
)
def test_a_known_interaction_is_found(approximator, options):
    black = Fill(Pair(), "black", Preprocess(mean=(0, 0, 0), std=(1, 1, 1)))
    game = SegmentGame(black, torch.ones(1, 3, SIDE, SIDE), QUARTERS, output="value")
    values = getattr(shapiq, approximator)(n=4, random_state=0, **options).approximate(16, game)
    for pair in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        assert values[pair] == pytest.approx(5.0 if pair == (0, 3) else 0.0, abs=0.05)


def test_layer_masking_sees_an_interaction_of_a_network():
    # The second convolution responds only where red of the left half meets blue of the right half.
    net = nn.Sequential(nn.Conv2d(3, 1, (1, 2), bias=False), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten())
    net[0].weight.data.zero_()
    net[0].weight.data[0, 0, 0, 0] = net[0].weight.data[0, 2, 0, 1] = 1.0
    image = torch.zeros(1, 3, SIDE, SIDE)
    image[:, 0, :, : SIDE // 2] = image[:, 2, :, SIDE // 2 :] = 1.0
    game = SegmentGame(LayerMask(net), image, QUARTERS, output="value")
    values = game.exact_values("SII", order=2)
    # Either row suffices, and each row takes both of its quarters.
    pairs = {pair: values[pair] for pair in ((0, 1), (2, 3), (0, 2), (1, 3))}
    assert pairs[0, 1] == pytest.approx(pairs[2, 3])
    assert pairs[0, 1] > 0 >= max(pairs[0, 2], pairs[1, 3])


def test_presence_of_the_image_stays_absent(masked, image):
    presence = torch.ones(1, 1, SIDE, SIDE, dtype=torch.bool)
    presence[..., :3] = False
    given = SegmentGame(masked, image, QUARTERS, target=0, presence=presence, normalize=False)
    carried = SegmentGame(masked, with_presence(image, presence), QUARTERS, target=0, normalize=False)
    with torch.no_grad():
        expected = log_odds(masked(image, presence), 0)[0]
    for game in (given, carried):
        assert game.grand_coalition_value == pytest.approx(expected, abs=1e-5)


def test_further_inputs_reach_the_model(image):
    class Shifted(nn.Module):
        def forward(self, image: Tensor, shift: Tensor) -> Tensor:
            return image.mean((2, 3)) + shift[:, None]

    options: dict[str, Any] = {"target": 0, "output": "value", "normalize": False}
    game = SegmentGame(LayerMask(Shifted()), image, QUARTERS, additional_forward_args=torch.tensor([3.0]), **options)
    assert game.grand_coalition_value == pytest.approx(image[0, 0].mean().item() + 3, abs=1e-5)


def test_plots_show_segments(masked, image):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    game = SegmentGame(masked, image, QUARTERS, target=1)
    values = game.exact_values("k-SII", order=2)
    picture = (image[0].permute(1, 2, 0) * 255).byte().numpy()
    cut = game.cutouts(picture)
    assert [(one.size, one.mode) for one in cut] == [((6, 6), "RGBA")] * 4
    assert np.array_equal(np.asarray(cut[1])[..., :3], picture[:6, 6:])
    uneven = SegmentGame(masked, image, QUARTERS == 3, target=1).cutouts(picture)
    assert np.array_equal(np.asarray(uneven[0])[..., 3] > 0, QUARTERS != 3)
    figure, axes = values.plot_si_graph(show=False, center_image=picture, feature_image_patches=cut)
    assert axes.get_images() or figure.axes
    assert values.plot_network(show=False) is not None
    assert values.plot_upset(show=False) is not None
    values.plot_force(show=False)
    plt.close("all")


def test_bad_arguments_are_one_sentence(masked, image):
    with pytest.raises(InputError, match=r"^expected one image \(1, C, H, W\), got \(2, 3, 12, 12\)"):
        SegmentGame(masked, image.repeat(2, 1, 1, 1), QUARTERS, target=0)
    with pytest.raises(InputError, match=r"^expected an index, a tuple of indices"):
        SegmentGame(masked, image, QUARTERS, target="cat")
    with pytest.raises(InputError, match=r"^expected at least two segments"):
        SegmentGame(masked, image, QUARTERS * 0, target=0)
    game = SegmentGame(masked, image, QUARTERS, target=0)
    with pytest.raises(InputError, match=r"^expected values of 4 players, got 2"):
        game.paint(SegmentGame(masked, image, QUARTERS // 2, target=0).exact_values("SV", order=1))
    with pytest.raises(InputError, match=r"^expected uint8 \(12, 12, 3\) for picture, got \(6, 6, 3\)"):
        game.cutouts(np.zeros((6, 6, 3), np.uint8))


def test_a_function_is_warned_of_only_where_coalitions_differ(masked, image, recwarn):
    game = SegmentGame(lambda carrier: masked(carrier), image, QUARTERS, 1)
    assert game.grand_coalition_value != 0
    assert not [one for one in recwarn if "same for every coalition" in str(one.message)]


def test_several_presences_are_refused(masked, image):
    with pytest.raises(InputError, match="expected one presence for each of 1 images, got 4: repeat the image"):
        SegmentGame(masked, image, QUARTERS, 1, presence=torch.ones(4, 1, SIDE, SIDE))
