"""Quantus' metrics with layer masking: each score is computed again from presences made by hand."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from xai_layermask import Fill, InputError, LayerMask, Preprocess

quantus = pytest.importorskip("quantus")

from xai_layermask.quantus import AbsentNaN, remove_pixels, restore_pixels  # noqa: E402, it needs quantus

SIDE = 8
TARGETS = np.array([0, 2])
ROWS = np.arange(2)
PATCHES = np.arange(SIDE)[:, None] // 4 * 2 + np.arange(SIDE) // 4


@pytest.fixture(scope="module", params=["layer", "grey"])
def masking(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    for parameter in net.parameters():
        parameter.data *= 3  # predictions that differ
    return LayerMask(net) if request.param == "layer" else Fill(net, "grey", Preprocess())


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 3, SIDE, SIDE)).astype(np.float32)


@pytest.fixture(scope="module")
def attributions() -> np.ndarray:
    return np.random.default_rng(1).random((2, 1, SIDE, SIDE))


def probability(masking: Any, images: np.ndarray, presence: np.ndarray) -> np.ndarray:
    """Of each image's target, `(N,)`."""
    with torch.no_grad():
        logits = masking(torch.from_numpy(images), torch.from_numpy(presence))
    return logits.softmax(1).numpy()[ROWS, TARGETS]


def evaluate(name: str, masking: Any, images: np.ndarray, attributions: np.ndarray, **options: Any) -> Any:
    options.setdefault("perturb_func", remove_pixels)
    metric = getattr(quantus, name)(disable_warnings=True, normalise=False, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        return np.array(metric(AbsentNaN(masking), images, TARGETS, attributions, softmax=True))


def without_best(attributions: np.ndarray, pixels: int) -> np.ndarray:
    flat = attributions.reshape(2, -1)
    return (flat.argsort(1).argsort(1) < flat.shape[1] - pixels).reshape(2, 1, SIDE, SIDE)


def test_pixel_flipping_removes_the_best_pixels(masking, images, attributions):
    # An attribution is repeated for the three channels, so each step of 48 features removes 16 pixels.
    found = evaluate("PixelFlipping", masking, images, np.repeat(attributions, 3, 1), features_in_step=16)
    expected = [probability(masking, images, without_best(attributions, -(-16 * step // 3))) for step in range(1, 13)]
    np.testing.assert_allclose(found, np.transpose(expected), atol=1e-6)


@pytest.mark.parametrize("name", ["Selectivity", "RegionPerturbation"])
def test_regions_leave_in_the_order_of_their_attribution(name, masking, images, attributions):
    sums = np.stack([attributions[:, 0, patch == PATCHES].sum(1) for patch in range(4)], 1)
    ranks = (-sums).argsort(1).argsort(1)
    expected = np.stack([probability(masking, images, (ranks > step)[:, PATCHES][:, None]) for step in range(4)], 1)
    if name == "RegionPerturbation":
        expected = probability(masking, images, np.ones((2, 1, SIDE, SIDE), bool))[:, None] - expected
    np.testing.assert_allclose(evaluate(name, masking, images, attributions, patch_size=4), expected, atol=1e-6)


def test_faithfulness_correlation_removes_random_subsets(masking, images, attributions):
    np.random.seed(3)  # noqa: NPY002, Quantus draws from the global state
    found = evaluate(
        "FaithfulnessCorrelation", masking, images, attributions, subset_size=20, nr_runs=12, return_aggregate=False
    )
    np.random.seed(3)  # noqa: NPY002
    whole = probability(masking, images, np.ones((2, 1, SIDE, SIDE), bool))
    sums, drops = [], []
    for _ in range(12):
        chosen = np.stack([np.random.choice(3 * SIDE**2, 20, replace=False) for _ in range(2)])  # noqa: NPY002
        pixels = chosen % SIDE**2
        presence = np.ones((2, SIDE**2), bool)
        np.put_along_axis(presence, pixels, False, 1)
        sums.append(np.take_along_axis(attributions.reshape(2, -1), pixels, 1).sum(1))
        drops.append(whole - probability(masking, images, presence.reshape(2, 1, SIDE, SIDE)))
    expected = [np.corrcoef(np.array(sums)[:, i], np.array(drops)[:, i])[0, 1] for i in ROWS]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def both(a: np.ndarray, b: np.ndarray, batched: bool) -> np.ndarray:
    """A `similarity_func` that shows what Quantus would correlate."""
    assert batched
    return np.stack([a, b], 1)


def features_by_rank(attributions: np.ndarray) -> np.ndarray:
    """The attributions of all features, three per pixel, best first `(N, 12, 16)`."""
    return np.repeat(-np.sort(-attributions.reshape(2, -1), 1), 3, 1).reshape(2, 12, 16)


def step_of_rank(attributions: np.ndarray, step: int) -> np.ndarray:
    """The pixels of which any channel belongs to this step of 16 features, bool `(N, 1, H, W)`."""
    ranks = (-attributions.reshape(2, -1)).argsort(1).argsort(1)
    return ((ranks >= 16 * step // 3) & (ranks <= (16 * step + 15) // 3)).reshape(2, 1, SIDE, SIDE)


@pytest.mark.parametrize("name", ["FaithfulnessEstimate", "SensitivityN"])
def test_sums_of_attributions_belong_to_the_drops(name, masking, images, attributions):
    options = {"n_max_percentage": 3.0, "return_aggregate": False} if name == "SensitivityN" else {}
    found = evaluate(
        name, masking, images, np.repeat(attributions, 3, 1), features_in_step=16, similarity_func=both, **options
    )
    whole = probability(masking, images, np.ones((2, 1, SIDE, SIDE), bool))
    gone = np.zeros((2, 1, SIDE, SIDE), bool)
    drops = []
    for step in range(12):
        now = step_of_rank(attributions, step)
        gone = gone | now if name == "SensitivityN" else now
        drops.append(whole - probability(masking, images, ~gone))
    sums = features_by_rank(attributions).sum(2)
    if name == "SensitivityN":  # over the images, for each step
        np.testing.assert_allclose(found, np.stack([np.array(drops), sums.T], 1), atol=1e-6)
    else:
        np.testing.assert_allclose(found, np.stack([sums, np.transpose(drops)], 1), atol=1e-6)


def test_irof_removes_superpixels(monkeypatch, masking, images, attributions):
    if not hasattr(np, "trapz"):  # Quantus 0.6 calls what NumPy 2.4 removed
        monkeypatch.setattr(np, "trapz", np.trapezoid, raising=False)
    smooth = images.repeat(4, 2).repeat(4, 3)[:, :, ::2, ::2]
    patches = attributions.repeat(2, 2).repeat(2, 3)
    found = evaluate("IROF", masking, smooth, patches, return_aggregate=False)
    for i in ROWS:
        segments = quantus.helpers.utils.get_superpixel_segments(smooth[i].transpose(1, 2, 0).astype(float), "slic")
        count = segments.max() + 1
        means = [patches[i, 0][segments == segment].mean() for segment in range(count)]
        image = torch.from_numpy(smooth[i : i + 1])
        presences = [np.ones_like(segments, bool)]
        for segment in np.argsort(means)[::-1]:
            presences.append(presences[-1] & (segments != segment))
        with torch.no_grad():
            values = masking(image, torch.from_numpy(np.stack(presences))[:, None]).softmax(1)[:, TARGETS[i]].numpy()
        assert count > 3
        area = (values[1:-1] + values[2:]).sum() / 2 / values[0]
        np.testing.assert_allclose(found[i], count - area, rtol=1e-5)


def test_road_removes_percentages(masking, images, attributions):
    metric = quantus.ROAD(
        percentages=[25, 50, 75], perturb_func=remove_pixels, normalise=False, disable_warnings=True
    )
    found = metric(AbsentNaN(masking), images, TARGETS, np.repeat(attributions, 3, 1))
    assert list(found) == [25, 50, 75]
    for percentage, accuracy in found.items():
        presence = without_best(attributions, SIDE**2 * percentage // 100)
        with torch.no_grad():
            logits = masking(torch.from_numpy(images), torch.from_numpy(presence))
        assert accuracy == (logits.argmax(1).numpy() == TARGETS).mean()


def test_monotonicity_adds_pixels_to_an_absent_image(masking, images, attributions):
    seen = []
    model = AbsentNaN(masking)
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].isnan().any(1).numpy()))
    metric = quantus.Monotonicity(
        features_in_step=64, perturb_func=restore_pixels, perturb_baseline=float("nan"),
        perturb_func_kwargs={"images": images}, normalise=False, disable_warnings=True,
    )  # fmt: skip
    found = metric(model, images, TARGETS, np.repeat(attributions, 3, 1))
    ranks = attributions.reshape(2, -1).argsort(1).argsort(1).reshape(2, SIDE, SIDE)
    # A pixel is present when all of its channels are back.
    presences = [ranks < 64 * step // 3 for step in (1, 2, 3)]
    assert len(seen) == 3
    for absent, presence in zip(seen, presences, strict=True):
        assert np.array_equal(absent, ~presence)
    values = np.stack([probability(masking, images, presence[:, None]) for presence in presences], 1)
    assert found == (np.diff(values) >= 0).all(1).tolist()


def test_sufficiency_perturbs_nothing(masking, images, attributions):
    def score(model: nn.Module) -> Any:
        metric = quantus.Sufficiency(disable_warnings=True, threshold=2.0)
        twice = (2, 1, 1, 1)
        return metric(model.eval(), np.tile(images, twice), np.tile(TARGETS, 2), np.tile(attributions, (2, 3, 1, 1)))

    assert score(AbsentNaN(masking)) == score(masking.model)


def test_threads_do_not_share_presence(masking, images, attributions):
    def once(seed: int) -> Any:
        other = np.random.default_rng(seed).random(attributions.shape)
        return evaluate("Selectivity", masking, images, other, patch_size=4)

    expected = [once(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(pool.map(once, range(4)), expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_explanations_by_gradients_use_the_same_model(masking, images):
    image = torch.from_numpy(images).requires_grad_()
    AbsentNaN(masking)(image).sum().backward()
    own = torch.from_numpy(images).requires_grad_()
    masking.model(own).sum().backward()
    assert image.grad.abs().sum() > 0
    torch.testing.assert_close(image.grad, own.grad)


def test_bad_arguments_are_one_sentence(masking, images):
    with pytest.raises(InputError, match=r"^expected a masking, got Sequential: pass LayerMask\(model\)$"):
        AbsentNaN(masking.model)
    with pytest.raises(InputError, match=r"^expected a masking that does not see absent pixels, got blur: use"):
        AbsentNaN(Fill(masking.model, "blur"))
    with pytest.raises(InputError, match=r"^expected either indices or mask, got neither$"):
        remove_pixels(images)
    with pytest.raises(InputError, match=r"^expected either indices or mask, got both$"):
        remove_pixels(images, indices=np.zeros((2, 1), int), mask=images > 0)
    with pytest.raises(InputError, match=r"^expected flat images \(2, 192\), .* got \(1, 192\): .*batch_size=len"):
        restore_pixels(images[:1].reshape(1, -1), np.zeros((1, 1), int), images)
