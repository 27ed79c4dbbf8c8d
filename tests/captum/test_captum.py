"""Captum's own classes on bound maskings, and ours on images."""

from __future__ import annotations

import math
import warnings
from itertools import combinations

import numpy as np
import pytest
import torch
from captum._utils.models.linear_model import SkLearnLasso, SkLearnRidge
from captum.attr import (
    FeatureAblation,
    FeaturePermutation,
    KernelShap,
    Lime,
    LimeBase,
    Occlusion,
    ShapleyValues,
    ShapleyValueSampling,
)
from torch import nn

from xai_layermask import Fill, InputError, LayerMask, Output, Preprocess, with_presence
from xai_layermask.captum import LayerMaskKernelShap, LayerMaskLime, LayerMaskPerturbation
from xai_layermask.explain.sampling import lime_samples, shap_samples

SIDE, CLASSES = 12, 4
SEGMENTS = torch.arange(SIDE)[:, None] // 6 * 2 + torch.arange(SIDE) // 6  # four quarters
MASK = SEGMENTS[None, None]
ONES = torch.ones(1, 1, 4, 4)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, CLASSES, 3),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    ).eval()


@pytest.fixture(scope="module")
def masked(model: nn.Module) -> LayerMask:
    return LayerMask(model)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


class Additive(nn.Module):
    """A masking-like function that is linear in presence: every quarter has a weight for each class."""

    weights = torch.tensor([[1.0, -2.0, 0.5, 4.0], [0.25, 0.0, -1.0, 3.0]])
    offset = torch.tensor([0.5, -0.75])

    def forward(self, presence: torch.Tensor) -> torch.Tensor:
        corners = presence[:, 0, ::6, ::6].flatten(1)
        return corners @ self.weights.T + self.offset


METHODS = {
    "Lime": lambda f: (Lime(f, SkLearnRidge(alpha=1)), {"n_samples": 12}),
    "KernelShap": lambda f: (KernelShap(f), {"n_samples": 12}),
    "FeatureAblation": lambda f: (FeatureAblation(f), {}),
    "ShapleyValueSampling": lambda f: (ShapleyValueSampling(f), {"n_samples": 3}),
    "ShapleyValues": lambda f: (ShapleyValues(f), {"perturbations_per_eval": 24}),
}


def attributed(name: str, forward, inputs, **settings) -> torch.Tensor:
    torch.manual_seed(5)
    method, more = METHODS[name](forward)
    return method.attribute(inputs, feature_mask=MASK, **{**more, **settings})


@pytest.mark.parametrize("name", METHODS)
def test_unmodified_methods_explain_presence(name, masked, images):
    bound = masked.bind(images[:1])
    scores = attributed(name, bound, bound.presence, target=2)
    assert scores.shape == (1, 1, SIDE, SIDE)
    for segment in range(4):
        assert len(scores[segment == MASK].unique()) == 1
    assert len(scores.unique()) == 4
    assert not torch.allclose(scores, attributed(name, bound, bound.presence, target=3))


@pytest.mark.parametrize("name", METHODS)
def test_the_size_of_a_batch_changes_nothing(name, masked, images):
    bound = masked.bind(images[:1])
    alone = attributed(name, bound, bound.presence, target=1)
    together = attributed(name, bound, bound.presence, target=1, perturbations_per_eval=5)
    torch.testing.assert_close(alone, together, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_the_carrier_gives_the_same_attributions(name, masked, images):
    bound = masked.bind(images[:1])
    if name == "Lime":  # whose similarity looks at the input, of which the carrier has more
        weigh = LayerMaskPerturbation(SEGMENTS).similarity
        METHODS["Lime"] = lambda f: (Lime(f, SkLearnRidge(alpha=1), weigh), {"n_samples": 12})
    expected = attributed(name, bound, bound.presence, target=0)
    carried = attributed(name, masked, with_presence(images[:1]), target=0, baselines=0)
    assert carried.shape == (1, 4, SIDE, SIDE)
    for channel in range(4):
        torch.testing.assert_close(carried[:, channel : channel + 1], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:You are providing multiple inputs")
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("at_once", [1, 3])
def test_several_images_say_whose_a_presence_is(name, at_once, masked, images):
    bound = masked.bind(images)
    targets = [2, 0, 1]
    scores = attributed(
        name, bound, bound.presence, target=targets, additional_forward_args=bound.index, perturbations_per_eval=at_once
    )
    assert scores.shape == (3, 1, SIDE, SIDE)
    for i, target in enumerate(targets):
        one = masked.bind(images[i : i + 1])
        if name in ("Lime", "KernelShap", "ShapleyValueSampling") and i > 0:
            continue  # drawn later from the same stream
        alone = attributed(name, one, one.presence, target=target, perturbations_per_eval=at_once)
        torch.testing.assert_close(scores[i : i + 1], alone, atol=2e-5, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:You are providing multiple inputs")
def test_images_are_never_mixed_up_in_silence(masked, images):
    bound = masked.bind(images)
    for method in (Lime(bound, SkLearnRidge(alpha=1)), KernelShap(bound)):
        for at_once in (1, 3, 6):
            with pytest.raises(InputError, match=r"^expected the same presence for each of the 3 bound .*: pass"):
                method.attribute(
                    bound.presence, target=1, feature_mask=MASK, n_samples=12, perturbations_per_eval=at_once
                )
    # Where all images lose the same segment, the order says it.
    plain = FeatureAblation(bound).attribute(bound.presence, target=1, feature_mask=MASK, perturbations_per_eval=2)
    named = FeatureAblation(bound).attribute(
        bound.presence, target=1, feature_mask=MASK, additional_forward_args=(bound.index,)
    )
    torch.testing.assert_close(plain, named, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "index", [torch.tensor([0.0]), torch.tensor([3]), torch.tensor([-1]), torch.tensor([0, 1]), torch.tensor([True]), 0]
)
def test_a_bad_index_is_one_sentence(index, masked, images):
    bound = masked.bind(images)
    with pytest.raises(InputError, match=r"^expected an integer from 0 to 2 .* for index, got .*: pass bound.index$"):
        bound(torch.ones(1, 1, SIDE, SIDE), index)


def test_additional_arguments_reach_a_function(masked, images):
    bound = masked.bind(images[:1])

    def warm(presence: torch.Tensor, temperature: torch.Tensor, sign: int) -> torch.Tensor:
        return sign * bound(presence) / temperature[:, None]

    scores = FeatureAblation(warm).attribute(
        bound.presence, target=1, feature_mask=MASK, additional_forward_args=(torch.tensor([2.0]), -1),
        perturbations_per_eval=3,
    )
    plain = FeatureAblation(bound).attribute(bound.presence, target=1, feature_mask=MASK)
    torch.testing.assert_close(scores, plain / -2)


def test_feature_ablation_is_a_difference_of_calls(masked, images):
    bound = masked.bind(images[:1])
    scores = FeatureAblation(bound).attribute(bound.presence, target=3, feature_mask=MASK)
    with torch.no_grad():  # as Captum does: with gradients, norms are not folded
        whole = masked(images[:1], torch.ones(1, 1, SIDE, SIDE))[0, 3]
        others = [masked(images[:1], (segment != MASK).float())[0, 3] for segment in range(4)]
    for segment, without in enumerate(others):
        assert torch.equal(scores[segment == MASK].unique(), (whole - without)[None])


def test_shapley_values_share_out_what_presence_brings(masked, images):
    bound = masked.bind(images[:1])
    brings = (bound(bound.presence) - bound(torch.zeros_like(bound.presence)))[0, 2]
    for name in ("ShapleyValueSampling", "ShapleyValues", "KernelShap"):
        scores = attributed(name, bound, bound.presence, target=2)
        shares = sum(scores[segment == MASK][0] for segment in range(4))
        torch.testing.assert_close(shares, brings, atol=1e-4, rtol=1e-3)


def test_kernel_shap_of_a_linear_function_is_its_weights():
    toy, ones = Additive(), torch.ones(1, 1, SIDE, SIDE)
    torch.manual_seed(0)
    scores = KernelShap(toy).attribute(ones, target=1, feature_mask=MASK, n_samples=60)
    for segment in range(4):
        expected = Additive.weights[1, segment]
        torch.testing.assert_close(scores[segment == MASK], expected.expand(36), atol=1e-3, rtol=1e-3)


def test_occlusion_slides_over_presence(masked, images):
    bound = masked.bind(images[:1])
    scores = Occlusion(bound).attribute(
        bound.presence, sliding_window_shapes=(1, 6, 6), strides=(1, 6, 6), target=1, perturbations_per_eval=3
    )
    expected = FeatureAblation(bound).attribute(bound.presence, target=1, feature_mask=MASK)
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=1e-4)


def test_feature_permutation_exchanges_segments_between_presences(masked, images):
    # It makes sense over a set of presences; with all of them equal, nothing can change.
    bound = masked.bind(images[:1])
    shown = (torch.rand(8, 4, generator=torch.Generator().manual_seed(2)) > 0.5).float()[:, SEGMENTS][:, None]

    def turned(x: torch.Tensor, feature: torch.Tensor) -> torch.Tensor:
        return torch.where(feature, x.roll(1, 0), x)

    scores = FeaturePermutation(bound, turned).attribute(shown, target=0, feature_mask=MASK)
    for segment in range(4):
        other = torch.where(segment == MASK, shown.roll(1, 0), shown)
        expected = (bound(shown) - bound(other))[:, 0]
        torch.testing.assert_close(scores[:, 0][:, segment == SEGMENTS][:, 0], expected, atol=1e-5, rtol=1e-4)
    same = FeaturePermutation(bound).attribute(bound.presence.expand(4, -1, -1, -1), target=0, feature_mask=MASK)
    assert not same.any()


def test_perturbation_in_lime_base_is_ours(masked, images):
    perturbation = LayerMaskPerturbation(seed=3)
    results = []
    bound = masked.bind(images[:1])
    for forward, inputs in ((masked, images[:1]), (masked, with_presence(images[:1])), (bound, bound.presence)):
        perturbation = LayerMaskPerturbation(seed=3)
        lime = LimeBase(
            forward, SkLearnRidge(alpha=1), perturbation.similarity, perturbation, True, perturbation.to_input, None
        )
        results.append(lime.attribute(inputs, target=1, n_samples=30, perturbations_per_eval=7, feature_mask=MASK))
    # The same by hand: draw, ask, weigh, fit.
    generator = np.random.default_rng(3)
    keep = np.concatenate([generator.integers(0, 2, size=(1, 4), dtype=bool) for _ in range(30)])
    answers = masked(images[:1], torch.from_numpy(keep)[:, SEGMENTS][:, None].bool())[:, 1].detach().numpy()
    root = np.exp(-((1 - np.sqrt(keep.mean(1))) ** 2) / (4 * 0.25**2))  # of the weight
    centred = keep - np.average(keep, axis=0, weights=root**2)
    rest = answers - np.average(answers, weights=root**2)
    system = root[:, None] * centred
    by_hand = np.linalg.solve(system.T @ system + np.eye(4), system.T @ (root * rest))
    for scores in results:
        assert scores.shape == (1, 4)
        np.testing.assert_allclose(scores[0].numpy(), by_hand, atol=1e-5)


def test_perturbation_in_lime(masked, images):
    bound = masked.bind(images[:1])
    scores = []
    for forward, inputs in ((bound, bound.presence), (masked, with_presence(images[:1]))):
        perturbation = LayerMaskPerturbation(seed=4)
        lime = Lime(forward, SkLearnRidge(alpha=1), perturbation.similarity, perturbation)
        scores.append(lime.attribute(inputs, target=1, n_samples=20, feature_mask=MASK)[:, -1:])
    torch.testing.assert_close(scores[0], scores[1], atol=1e-5, rtol=1e-4)
    with pytest.raises(InputError, match=r"^expected presence as the input of Captum's Lime, got an image"):
        Lime(masked, SkLearnRidge(alpha=1), None, LayerMaskPerturbation()).attribute(
            images[:1], target=1, feature_mask=MASK
        )


def test_perturbation_keeps_absent_pixels_absent(masked, images):
    absent = (MASK != 1).float()
    shown = LayerMaskPerturbation(SEGMENTS).to_input(torch.tensor([[0, 1, 1, 1]]), with_presence(images[:1], absent))
    assert torch.equal(shown[:, 3:], ((MASK != 0) & (MASK != 1)).float())
    assert torch.equal(shown[:, :3], images[:1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p(torch.ones(1, 1, 4, 4)), r"^expected segments for feature_mask, got None"),
        (lambda p: p.to_input(torch.ones(1, 3), ONES, torch.eye(4).int(), 2), r"^expected 2 columns in sample, got 3"),
        (lambda p: p.to_input(torch.ones(1, 3), ONES, torch.eye(4).int()), r"^expected the shape .* for coalitions"),
        (lambda p: p(torch.ones(4, 4)), r"^expected a tensor \(N, C, H, W\) for image, got "),
        (lambda p: p(torch.rand(1, 1, 4, 4), torch.eye(4).int()), r"^expected presence .* got an image"),
        (lambda p: p.to_input(torch.ones(1, 2), torch.ones(1, 5, 4, 4), torch.eye(4).int()), "^expected presence "),
        (lambda p: LayerMaskPerturbation(kernel_width=0), r"^expected a number above 0 for kernel_width, got 0"),
    ],
)
def test_bad_perturbations(call, message):
    with pytest.raises(InputError, match=message):
        call(LayerMaskPerturbation())


def test_lime_on_an_image_equals_lime_by_hand(model, masked, images):
    lime = LayerMaskLime(model, seed=11)
    scores = lime.attribute(images[:1], target=2, feature_mask=SEGMENTS, n_samples=40, return_input_shape=False)
    kept = []

    def recorded(carrier: torch.Tensor) -> torch.Tensor:
        kept.append(carrier[:, 3, ::6, ::6].flatten(1))
        return masked(carrier)

    again = LayerMaskLime(recorded, seed=11).attribute(
        images[:1], None, 2, None, MASK, 40, perturbations_per_eval=9, return_input_shape=False
    )
    torch.testing.assert_close(scores, again, atol=1e-5, rtol=1e-4)
    keep = torch.cat(kept)
    assert keep.shape == (40, 4)
    assert keep[0].all()
    weights = torch.exp(-((1 - keep.mean(1).sqrt()) ** 2) / (2 * 0.25**2))
    answers = masked(images[:1], keep[:, SEGMENTS][:, None])[:, 2]
    from sklearn.linear_model import Ridge

    expected = Ridge(alpha=1).fit(keep.numpy(), answers.detach().numpy(), sample_weight=weights.numpy()).coef_
    np.testing.assert_allclose(scores[0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "best", "draw"),
    [(LayerMaskLime, "orthogonal", lime_samples), (LayerMaskKernelShap, "stratified", shap_samples)],
)
def test_samples_are_drawn_as_asked_and_else_by_the_scheme_that_settles_first(kind, best, draw, model, masked, images):
    def drawn(**options):
        kept = []

        def recorded(carrier):
            kept.append(carrier[:, 3, ::6, ::6].flatten(1) > 0)
            return masked(carrier)

        kind(recorded, seed=5, **options).attribute(images[:1], None, 2, None, MASK, 12, return_input_shape=False)
        return torch.cat(kept).numpy()

    for sampling in ("plain", "paired", best):
        assert (drawn(sampling=sampling) == draw(4, 12, np.random.default_rng(5), sampling).coalitions).all()
    assert (drawn() == drawn(sampling=best)).all() and (drawn() != drawn(sampling="plain")).any()
    with pytest.raises(InputError, match=r"for sampling of LayerMask.*, got 'plian': did you mean 'plain'"):
        kind(model, sampling="plian")


def test_who_draws_the_samples_is_said_once(model):
    with pytest.raises(InputError, match=r"^expected 'auto' for sampling, since perturb_func draws .* got"):
        LayerMaskLime(model, perturb_func=LayerMaskPerturbation(), sampling="plain")


def test_lasso_finds_nothing_where_ridge_does(model, images):
    probabilities = nn.Sequential(model, nn.Softmax(1))
    ridge = LayerMaskLime(probabilities).attribute(images[:1], None, 1, None, MASK, 60)
    lasso = LayerMaskLime(probabilities, SkLearnLasso(alpha=0.01)).attribute(images[:1], None, 1, None, MASK, 60)
    assert ridge.any()
    assert not lasso.any()


@pytest.mark.parametrize("kind", [LayerMaskLime, LayerMaskKernelShap])
def test_images_explained_together_are_explained_alone(kind, model, images):
    explainer = kind(model)
    each = torch.cat([MASK, MASK.flip(3), (MASK > 0).long()])
    together = explainer.attribute(images, None, [2, 0, 1], None, each, 20)
    assert together.shape == (3, 1, SIDE, SIDE)
    for i, target in enumerate([2, 0, 1]):
        alone = explainer.attribute(
            images[i : i + 1], None, target, None, each[i : i + 1], 20, perturbations_per_eval=7
        )
        torch.testing.assert_close(together[i : i + 1], alone, atol=2e-5, rtol=1e-4)
    flat = explainer.attribute(images, None, torch.tensor([2, 0, 1]), None, each[:2].roll(1, 0)[[0, 1, 1]], 20,
                               return_input_shape=False)
    assert flat.shape == (3, 4)
    with pytest.raises(InputError, match=r"^expected the same number of segments in each image .* got \[2, 4\]"):
        explainer.attribute(images, None, 1, None, each, 20, return_input_shape=False)


def test_kernel_shap_with_few_segments_is_exact(model, masked, images):
    scores = LayerMaskKernelShap(model).attribute(images[:1], None, 1, None, MASK, 16, return_input_shape=False)[0]
    worth = {}
    for size in range(5):
        for team in combinations(range(4), size):
            shown = torch.isin(MASK, torch.tensor(team, dtype=torch.long))
            worth[team] = masked(images[:1], shown)[0, 1].item()
    for player in range(4):
        share = 0.0
        for team in worth:
            if player not in team:
                weight = math.factorial(len(team)) * math.factorial(3 - len(team)) / math.factorial(4)
                share += weight * (worth[tuple(sorted((*team, player)))] - worth[team])
        assert scores[player].item() == pytest.approx(share, abs=1e-5)


def test_kernel_shap_of_a_linear_function_is_exact_from_few_samples():
    ids = torch.arange(36).reshape(6, 6).repeat_interleave(2, 0).repeat_interleave(2, 1)
    weights = torch.randn(36, generator=torch.Generator().manual_seed(0))
    toy = lambda carrier: (carrier[:, 3, ::2, ::2].flatten(1) @ weights)[:, None] + 2  # noqa: E731
    scores = LayerMaskKernelShap(toy).attribute(
        torch.zeros(1, 3, SIDE, SIDE), None, 0, None, ids, 200, return_input_shape=False
    )
    torch.testing.assert_close(scores[0], weights, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", [LayerMaskLime, LayerMaskKernelShap])
def test_the_seed_decides_and_the_global_state_is_left_alone(kind, model, images):
    sixteen = torch.arange(SIDE)[:, None] // 3 * 4 + torch.arange(SIDE) // 3
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = kind(model, seed=1).attribute(images[:1], None, 1, None, sixteen, 30)
    explainer = kind(model, seed=1)
    assert torch.equal(first, explainer.attribute(images[:1], None, 1, None, sixteen, 30))
    assert torch.equal(first, explainer.attribute(images[:1], None, 1, None, sixteen, 30))
    assert not torch.equal(first, kind(model, seed=2).attribute(images[:1], None, 1, None, sixteen, 30))
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002


def test_any_masking_and_any_numbering_will_do(model, images):
    grey = Fill(model, "grey", Preprocess())
    scores = LayerMaskLime(grey).attribute(images[:1], None, 1, None, MASK, 20)
    assert not torch.allclose(scores, LayerMaskLime(model).attribute(images[:1], None, 1, None, MASK, 20))
    gaps = LayerMaskLime(grey).attribute(images[:1], None, 1, None, SEGMENTS.numpy() * 10 + 3, 20)
    assert torch.equal(scores, gaps)
    crowd = LayerMaskLime(grey).attribute(images[:1], None, 1, None, MASK.expand(1, 3, -1, -1).contiguous(), 20)
    assert torch.equal(scores, crowd)


def test_without_a_feature_mask_there_are_patches(model):
    image = torch.randn(1, 3, 28, 42, generator=torch.Generator().manual_seed(0))
    scores = LayerMaskLime(model).attribute(image, target=0, n_samples=30)
    assert len(scores.unique()) == 14 * 10
    assert len(scores[0, 0, :3, :3].unique()) == 1


def test_absent_pixels_of_the_image_stay_absent(model, masked, images):
    shown = (MASK != 2).float()
    scores = LayerMaskKernelShap(model).attribute(with_presence(images[:1], shown), None, 1, None, MASK, 16)
    assert scores[MASK == 2].abs().max() < 1e-5
    brings = masked(images[:1], shown)[0, 1] - masked(images[:1], torch.zeros_like(shown))[0, 1]
    torch.testing.assert_close(scores[0, 0, ::6, ::6].sum(), brings, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 4, 5])
def test_images_of_any_number_of_channels_with_presence_apart(channels):
    torch.manual_seed(channels)
    net = nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    image, shown = torch.rand(2, channels, SIDE, SIDE), (MASK != 2)
    masked = LayerMask(net)
    shap = LayerMaskKernelShap(net).attribute(image, None, 1, None, MASK, 16, presence=shown)
    carried = LayerMaskKernelShap(lambda x: masked(x[:, :-1], x[:, -1:])).attribute(
        image, None, 1, None, MASK, 16, presence=shown
    )
    torch.testing.assert_close(shap, carried, atol=1e-5, rtol=1e-4)
    for i in range(2):
        whole, nothing = masked(image[i : i + 1], shown)[0, 1], masked(image[i : i + 1], MASK < 0)[0, 1]
        torch.testing.assert_close(shap[i, 0, ::6, ::6].sum(), whole - nothing, atol=1e-4, rtol=1e-3)
    assert shap[:, :, SEGMENTS == 2].abs().max() < 1e-5


def test_additional_arguments_go_with_their_image(masked, images):
    def scaled(carrier: torch.Tensor, factor: torch.Tensor, bias: float) -> torch.Tensor:
        return factor[:, None] * masked(carrier) + bias

    scores = LayerMaskKernelShap(scaled).attribute(images[:2], None, 1, (torch.tensor([1.0, -3.0]), 7.0), MASK, 16)
    plain = LayerMaskKernelShap(masked).attribute(images[:2], None, 1, None, MASK, 16)
    torch.testing.assert_close(scores, plain * torch.tensor([1.0, -3.0])[:, None, None, None], atol=1e-4, rtol=1e-4)


def test_a_callers_own_functions_are_asked(model, images):
    def everything_but_one(image: torch.Tensor, num_interp_features: int, feature_mask: torch.Tensor):
        assert image.shape == (1, 3, SIDE, SIDE)
        assert torch.equal(feature_mask, MASK)
        yield torch.ones(1, num_interp_features)
        for i in range(num_interp_features):
            yield 1 - torch.eye(num_interp_features)[i : i + 1]

    seen = []

    def equal(whole, shown, sample, num_interp_features, feature_mask):
        seen.append((whole.shape, shown.mean().item(), sample.shape))
        return 1.0

    lime = LayerMaskLime(model, SkLearnRidge(alpha=1e-9), equal, everything_but_one)
    scores = lime.attribute(images[:1], None, 3, None, MASK, 5)
    assert seen == [((1, 1, SIDE, SIDE), 1.0, (1, 4)), *[((1, 1, SIDE, SIDE), 0.75, (1, 4))] * 4]
    bound = LayerMask(model).bind(images[:1])
    ablation = FeatureAblation(bound).attribute(bound.presence, target=3, feature_mask=MASK)
    torch.testing.assert_close(scores, ablation, atol=1e-4, rtol=1e-3)


def test_progress_is_shown_only_where_asked_for(model, images, capsys):
    LayerMaskLime(model).attribute(images[:1], None, 1, None, MASK, 8)
    assert capsys.readouterr().err == ""
    LayerMaskLime(model).attribute(images[:1], None, 1, None, MASK, 8, show_progress=True)
    assert "8/8" in capsys.readouterr().err


def test_outputs_with_more_dimensions_and_single_numbers(masked, images):
    square = lambda carrier: masked(carrier).reshape(-1, 2, 2)  # noqa: E731
    scores = LayerMaskKernelShap(square).attribute(images[:1], None, (1, 0), None, MASK, 16)
    torch.testing.assert_close(scores, LayerMaskKernelShap(masked).attribute(images[:1], None, 2, None, MASK, 16))
    single = lambda carrier: masked(carrier)[:, 2:3]  # noqa: E731
    torch.testing.assert_close(scores, LayerMaskKernelShap(single).attribute(images[:1], None, None, None, MASK, 16))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": 4}, r"^expected the index of one number of each output of shape \(4,\) for target, got 4"),
        ({"target": None}, r"^expected the index of one number .* for target, got None"),
        ({"target": (1, 1)}, r"^expected the index of one number .* for target, got \(1, 1\)"),
        ({"target": 1.0}, r"^expected an index, .* for target, got 1\.0: pass for example target=281$"),
        ({"target": [1, 2]}, r"^expected .* a list of one for each of 1 images for target, got \[1, 2\]"),
        ({"additional_forward_args": 3}, r"^expected no further inputs of the model, got 1"),
        ({"additional_forward_args": torch.ones(2)}, r"^expected one row for each of 1 images .* got 2 rows"),
        ({"feature_mask": torch.zeros(5, 5).long()}, r"^expected \(12, 12\) or .* for feature_mask, got \(5, 5\)"),
        ({"feature_mask": MASK.float()}, r"^expected integers for segments, got float32"),
        ({"feature_mask": MASK * 0}, r"^expected at least two segments"),
        ({"feature_mask": MASK - 1}, r"^expected ids of at least 0 in segments"),
        ({"feature_mask": torch.stack([SEGMENTS, SEGMENTS.T])[None]}, r"^expected .* or \(1, 3, 12, 12\) for"),
        ({"n_samples": 1}, r"^expected an integer of at least 2 for n_samples, got 1"),
        ({"n_samples": 2.5}, r"^expected an integer .* for n_samples, got 2.5"),
        ({"perturbations_per_eval": 0}, r"^expected an integer of at least 1 for perturbations_per_eval, got 0"),
        ({"inputs": torch.ones(3, 12, 12)}, r"^expected a tensor \(N, C, H, W\) for image, got \(3, 12, 12\)"),
        ({"inputs": (torch.ones(1, 3, 12, 12),) * 2}, r"^expected a tensor \(N, C, H, W\) for image, got tuple"),
    ],
)
@pytest.mark.parametrize("kind", [LayerMaskLime, LayerMaskKernelShap])
def test_bad_arguments_are_one_sentence(kind, settings, message, model, images):
    arguments = {"inputs": images[:1], "target": 1, "feature_mask": MASK, "n_samples": 16, **settings}
    with pytest.raises(InputError, match=message) as caught:
        kind(model).attribute(**arguments)
    assert str(caught.value).count(". ") == 0


def test_bad_models_and_functions_are_one_sentence(model, images):
    with pytest.raises(InputError, match=r"^expected a network, a masking or a function for forward_func, got int"):
        LayerMaskLime(3)
    with pytest.raises(InputError, match=r"^expected a floating-point tensor \(9, \.\.\.\) .*, got torch.float32 \(\)"):
        LayerMaskLime(lambda carrier: carrier.sum()).attribute(images[:1], None, None, None, MASK, 9)
    lime = LayerMaskLime(model, perturb_func=lambda image, **_: torch.ones(4))
    with pytest.raises(InputError, match=r"^expected a tensor .* \(1, 4\) from perturb_func, got shape \(4,\)"):
        lime.attribute(images[:1], None, 1, None, MASK, 9)


class Answers(nn.Module):
    """A network that returns a dictionary."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.net(image), "other": -self.net(image)}


@pytest.mark.parametrize("kind", [LayerMaskLime, LayerMaskKernelShap])
@pytest.mark.parametrize(
    ("wrap", "output", "scale"),
    [
        (Answers, "value", lambda x: x),
        (Answers, Output("value", select="other"), lambda x: -x),
        (Answers, "probability", lambda x: x.softmax(1)),
        (lambda net: nn.Sequential(net, nn.Softmax(1)), "log_odds", lambda x: torch.logit(x.softmax(1))),
        (lambda net: nn.Sequential(net, nn.Sigmoid()), "probability", torch.sigmoid),
        (Answers, Output("probability", select=lambda answer: answer["other"]), lambda x: (-x).softmax(1)),
    ],
)
def test_the_output_is_found_and_scaled(kind, wrap, output, scale, model, masked, images):
    options = {"target": 2, "feature_mask": SEGMENTS, "n_samples": 16}
    found = kind(wrap(model), output=output).attribute(images[:1], **options)
    expected = kind(lambda carried: scale(masked(carried))).attribute(images[:1], **options)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


# --- what is easily done wrong ---


@pytest.mark.parametrize("baselines", [None, 0, 0.0, (0,), torch.zeros(1, 3, 1, 1)])
def test_baselines_of_zero_stand_where_captum_has_them(model, images, baselines):
    lime = LayerMaskLime(model)
    scores = lime.attribute(images[:1], baselines, 1, None, MASK, 8)
    assert torch.equal(scores, lime.attribute(images[:1], target=1, feature_mask=MASK, n_samples=8))


@pytest.mark.parametrize(
    ("baselines", "message"),
    [
        (281, "got 281: pass a class as target=281, or explain Fill"),
        (0.5, "got 0.5: explain Fill"),
        (torch.ones(1, 3, 1, 1), "got Tensor: explain Fill"),
        ("grey", "got 'grey': explain Fill"),
    ],
)
def test_other_baselines_are_refused(model, images, baselines, message):
    with pytest.raises(InputError, match=f"None or 0 for baselines, since absent segments are removed .*, {message}"):
        LayerMaskLime(model).attribute(images[:1], baselines, 1)


@pytest.mark.parametrize("kind", [LayerMaskLime, LayerMaskKernelShap])
def test_metrics_of_captum_pass_a_tuple_of_one(model, images, kind):
    from captum.metrics import sensitivity_max

    explainer = kind(model)
    options = {"target": 1, "feature_mask": MASK, "n_samples": 12}
    found = explainer.attribute((images[:1],), **options)
    assert isinstance(found, tuple)
    assert torch.equal(found[0], explainer.attribute(images[:1], **options))
    moved = images[:1] + 0.5

    def perturb(inputs):
        return (moved,)

    expected = (explainer.attribute(moved, **options) - found[0]).norm() / found[0].norm()
    worst = sensitivity_max(explainer.attribute, images[:1], perturb, n_perturb_samples=1, **options)
    torch.testing.assert_close(worst[0], expected)


def test_a_function_that_ignores_presence_is_told(model, images):
    with pytest.warns(UserWarning, match="output is the same for every coalition of segments: use the presence"):
        scores = LayerMaskLime(lambda carrier: model(carrier[:, :3])).attribute(images[:1], None, 1, None, MASK, 8)
    assert scores.abs().max() < 1e-6


def filled(method, function, images):
    options = {"sliding_window_shapes": (3, 6, 6), "strides": (3, 6, 6)} if method is Occlusion else {}
    options |= {"n_samples": 4} if method in (Lime, KernelShap) else {}
    options |= {} if method is Occlusion else {"feature_mask": MASK}
    return method(function).attribute(images[:1], target=1, **options)


@pytest.mark.parametrize("method", [FeatureAblation, Occlusion, Lime, KernelShap])
@pytest.mark.parametrize("wrap", [lambda masked: masked, lambda masked: lambda x: masked(x).softmax(1)])
def test_an_image_that_captum_fills_is_told(masked, images, method, wrap):
    message = f"{method.__name__} of Captum changes pixels of the image, and none is absent: explain bound.presence of"
    with pytest.warns(UserWarning, match=message):
        filled(method, wrap(masked), images)


def test_presence_and_gradients_are_not_warned_of(masked, images):
    from captum.attr import Saliency

    bound = masked.bind(images[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FeatureAblation(bound).attribute(bound.presence, target=1, feature_mask=MASK)
        FeatureAblation(masked).attribute(with_presence(images[:1]), target=1, feature_mask=MASK)
        Saliency(masked).attribute(images[:1].clone().requires_grad_(), target=1)
        masked(images)


@pytest.mark.parametrize("kind", [LayerMaskLime, LayerMaskKernelShap])
def test_a_function_that_returns_nan_is_told(kind, images):
    def broken(carrier):
        return torch.where(carrier[:, 3].mean((1, 2))[:, None] < 0.5, torch.nan, carrier[:, :3].mean((2, 3)))

    with pytest.raises(InputError, match="expected finite numbers from the model, got NaN or infinity"):
        kind(broken).attribute(images[:1], target=1, feature_mask=MASK, n_samples=16)


def test_several_presences_of_one_image_are_refused(model, images):
    options = {"target": 1, "feature_mask": MASK, "n_samples": 8}
    several = torch.rand(5, 1, *images.shape[2:]) < 0.5
    with pytest.raises(InputError, match="expected one presence for each of 1 images, got 5: repeat the image"):
        LayerMaskKernelShap(model).attribute(images[:1], presence=several, **options)
