"""shap's explainers with segments as players and presence as what they bring."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from xai_layermask import Fill, InputError, LayerMask

shap = pytest.importorskip("shap")

from xai_layermask.shap import SegmentMasker  # noqa: E402, it cannot be imported without shap

SIDE = 12
QUARTERS = np.arange(SIDE)[:, None] // 6 * 2 + np.arange(SIDE) // 6


@pytest.fixture(autouse=True)
def same_random_state() -> Iterator[None]:
    """Undo what shap does: it seeds numpy's global state."""
    state = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


@pytest.fixture(scope="module")
def masked() -> LayerMask:
    torch.manual_seed(0)
    return LayerMask(
        nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
    )


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)


def shapley(masked: LayerMask, picture: np.ndarray) -> np.ndarray:
    """Average what each quarter brings over all orders of arrival."""
    def worth(team: tuple[int, ...]) -> np.ndarray:
        key = tuple(sorted(team))
        if key not in known:
            known[key] = masked.predict_proba(picture[None], np.isin(QUARTERS, key))[0]
        return known[key]

    known: dict[tuple[int, ...], np.ndarray] = {}
    brings = np.zeros((4, 3))
    for order in permutations(range(4)):
        for i, player in enumerate(order):
            brings[player] += worth(order[: i + 1]) - worth(order[:i])
    return brings / math.factorial(4)


@pytest.mark.parametrize("kind", ["ExactExplainer", "PermutationExplainer"])
def test_without_a_hierarchy_players_get_shapley_values(kind, masked, pictures):
    explainer = getattr(shap, kind)(masked.predict_proba, SegmentMasker(QUARTERS, hierarchy=False))
    values = explainer(pictures, max_evals=9 * 200, batch_size=900, silent=True)
    assert values.shape == (2, 4, 3)
    for i in range(2):
        expected = shapley(masked, pictures[i])
        slack = 1e-6 if kind == "ExactExplainer" else np.ptp(expected) / 4  # permutations are drawn
        np.testing.assert_allclose(values.values[i], expected, atol=slack)
        whole, nothing = masked.predict_proba(pictures[i][None], np.array([[1], [0]])[..., None, None] == 1)
        np.testing.assert_allclose(values.values[i].sum(0), whole - nothing, atol=1e-5)
        np.testing.assert_allclose(values.base_values[i], nothing, atol=1e-6)


def test_partitions_share_out_what_presence_brings(masked, pictures):
    masker = SegmentMasker(QUARTERS)
    values = shap.PartitionExplainer(masked.predict_proba, masker)(pictures[:1], max_evals=200, silent=True)
    assert values.shape == (1, 4, 3)
    whole, nothing = masked.predict_proba(pictures[:1], np.array([[1], [0]])[..., None, None] == 1)
    np.testing.assert_allclose(values.values[0].sum(0), whole - nothing, atol=1e-5)
    # Owen values: pairs of neighbours arrive one after the other.
    first, second = (set(map(int, row[:2])) for row in masker.clustering[:2])
    assert {frozenset(first), frozenset(second)} <= {frozenset(pair) for pair in ({0, 1}, {2, 3}, {0, 2}, {1, 3})}


def test_outputs_can_be_chosen_and_named(masked, pictures):
    explainer = shap.PartitionExplainer(masked.predict_proba, SegmentMasker(QUARTERS), output_names=["a", "b", "c"])
    values = explainer(pictures[:1], max_evals=50, outputs=shap.Explanation.argsort.flip[:2], silent=True)
    order = np.argsort(masked.predict_proba(pictures[:1])[0])[::-1][:2]
    assert list(np.ravel(values.output_names)) == [["a", "b", "c"][i] for i in order]
    assert values.values.shape == (1, 4, 2)


def test_masker_returns_the_picture_and_its_presence(pictures):
    masker = SegmentMasker(QUARTERS * 3 + 5)
    image, presence = masker(np.array([True, False, True, True]), pictures[0])
    assert np.array_equal(image, pictures[:1])
    assert np.array_equal(presence, (QUARTERS != 1)[None, None])
    assert masker(True, pictures[0])[1].all()
    assert not masker(False, pictures[0])[1].any()


def test_painted_explanations_can_be_plotted(masked, pictures):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    masker = SegmentMasker(QUARTERS)
    explainer = shap.PartitionExplainer(masked.predict_proba, masker, output_names=["a", "b", "c"])
    values = explainer(pictures, max_evals=50, silent=True)
    painted = masker.paint(values)
    assert painted.values.shape == (2, SIDE, SIDE, 1, 3)
    for player in range(4):
        shown = painted.values[:, player == QUARTERS, 0]
        assert np.array_equal(shown, np.repeat(values.values[:, player : player + 1], 36, axis=1))
    shap.image_plot(painted, show=False)
    titles = [axes.get_title() for axes in plt.gcf().axes]
    assert titles[1:4] == ["a", "b", "c"]
    plt.close("all")


def test_single_outputs_and_other_maskings(masked, pictures):
    grey = Fill(masked.model, "grey")
    masker = SegmentMasker(QUARTERS, hierarchy=False)

    def first(images: np.ndarray, presence: np.ndarray) -> np.ndarray:
        return grey.predict_proba(images, presence)[:, 0]

    values = shap.PermutationExplainer(first, masker, seed=0)(pictures[:1], max_evals=20, silent=True)
    assert values.values.shape == (1, 4)
    assert masker.paint(values).values.shape == (1, SIDE, SIDE, 1)


@pytest.mark.parametrize("kept", [np.s_[0], np.s_[:, :, 1], np.s_[0, :, 1]])
def test_an_indexed_explanation_is_refused_even_with_as_many_outputs_as_players(kept, pictures):
    torch.manual_seed(0)
    four = LayerMask(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    masker = SegmentMasker(QUARTERS)
    values = shap.PartitionExplainer(four.predict_proba, masker)(pictures, max_evals=20, silent=True)
    assert values.shape == (2, 4, 4)
    with pytest.raises(InputError, match=r"^expected (values|.* pictures \(12, 12\)) .*, got \("):
        masker.paint(values[kept])
    assert masker.paint(values[:1]).values.shape == (1, SIDE, SIDE, 1, 4)


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (QUARTERS / 2, r"^expected integers for segments, got float64"),
        (QUARTERS * 0, r"^expected at least two segments"),
        (QUARTERS[None], r"^expected integers \(H, W\) for segments, got shape \(1, 12, 12\)$"),
        (QUARTERS[0], r"^expected integers \(H, W\) for segments, got shape \(12,\)$"),
        (QUARTERS[:0], r"^expected integers \(H, W\) for segments, got shape \(0, 12\)$"),
        (3, r"^expected integers \(H, W\) for segments, got int$"),
        ([[0, 1], [0]], r"^expected integers \(H, W\) for segments, got list$"),
    ],
)
def test_bad_segments_are_one_sentence(segments, message):
    with pytest.raises(InputError, match=message):
        SegmentMasker(segments)


def test_bad_input_is_one_sentence(masked, pictures):
    masker = SegmentMasker(QUARTERS)
    with pytest.raises(InputError, match=r"^expected a picture of the segments' size \(12, 12\), got \(12, 3\)"):
        shap.PartitionExplainer(masked.predict_proba, masker)(pictures[0], max_evals=20, silent=True)
    values = shap.PartitionExplainer(masked.predict_proba, masker)(pictures[:1], max_evals=20, silent=True)
    with pytest.raises(InputError, match=r"^expected values \(N, 2, \.\.\.\) in explanation, got \(1, 4, 3\)"):
        SegmentMasker(QUARTERS // 2).paint(values)
