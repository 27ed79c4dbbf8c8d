"""Stock `lime` on RGBA, and our explainer, which gives the same from the same samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lime.lime_image import ImageExplanation, LimeImageExplainer
from torch import nn

from xai_layermask import Fill, InputError, LayerMask, Preprocess
from xai_layermask.lime import LayerMaskImageExplainer, as_rgba, segmentation
from xai_layermask.maskings import as_pictures

SIDE = 16
QUARTERS = np.arange(SIDE)[:, None] // 8 * 2 + np.arange(SIDE) // 8
OURS = Preprocess(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.1), channels="BGR")
QUIET = {"progress_bar": False}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()


@pytest.fixture(scope="module")
def masked(model: nn.Module) -> LayerMask:
    return LayerMask(model)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def explain(picture, classifier, seed: int = 7, explainer=None, **settings) -> ImageExplanation:
    chosen = {"num_samples": 40, "top_labels": 3, "segmentation_fn": "patches:8", **QUIET, **settings}
    return (explainer or LayerMaskImageExplainer()).explain_instance(picture, classifier, random_seed=seed, **chosen)


def assert_same(ours: ImageExplanation, stock: ImageExplanation) -> None:
    assert ours.top_labels == stock.top_labels
    assert np.array_equal(ours.segments, stock.segments)
    for label in ours.top_labels:
        assert ours.intercept[label] == pytest.approx(stock.intercept[label], abs=1e-6)
        mine, theirs = dict(ours.local_exp[label]), dict(stock.local_exp[label])
        assert mine.keys() == theirs.keys()
        for segment in mine:
            assert mine[segment] == pytest.approx(theirs[segment], abs=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_stock_lime_on_rgba_is_our_explainer(dtype, masked, picture):
    image = picture if dtype == np.uint8 else picture / 255
    stock = LimeImageExplainer(random_state=7).explain_instance(
        as_rgba(image), masked.predict_proba, hide_color=0, segmentation_fn=segmentation("patches:8"),
        num_samples=40, top_labels=3, random_seed=7,
    )
    for classifier in (masked, masked.predict_proba, masked.model):
        ours = explain(image, classifier)
        assert_same(ours, stock)
        last = ours.top_labels[0]  # the only one of which the stock explainer keeps these
        assert ours.score[last] == pytest.approx(stock.score, abs=1e-5)
        assert ours.local_pred[last] == pytest.approx(stock.local_pred, abs=1e-5)
    # A function of pictures sees what stock lime shows it.
    assert_same(explain(image, lambda rgba: masked.predict_proba(rgba)), stock)


def test_explanation_is_what_layer_masking_answers(masked, picture):
    explanation = explain(picture, masked, num_samples=30)
    state = np.random.RandomState(7)
    keep = state.randint(0, 2, 30 * 4).reshape(30, 4)
    keep[0] = 1
    image = Preprocess().normalize(picture)
    answers = masked(image, torch.from_numpy(keep)[:, QUARTERS][:, None]).softmax(1).detach().numpy()
    from sklearn.linear_model import Ridge

    weights = np.exp(-((1 - np.sqrt(keep.mean(1))) ** 2) / (2 * 0.25**2))
    for label in explanation.top_labels:
        fit = Ridge(alpha=1).fit(keep, answers[:, label], sample_weight=weights)
        scores = [dict(explanation.local_exp[label])[i] for i in range(4)]
        np.testing.assert_allclose(scores, fit.coef_, atol=1e-6)
        assert explanation.score[label] == pytest.approx(fit.score(keep, answers[:, label], weights), abs=1e-4)
        np.testing.assert_allclose(explanation.local_pred[label], fit.predict(keep[:1]), atol=1e-6)


def test_result_is_limes_own_and_rgb(masked, picture):
    explanation = explain(picture, masked, top_labels=2)
    assert isinstance(explanation, ImageExplanation)
    assert len(explanation.score) == len(explanation.local_pred) == len(explanation.top_labels) == 2
    probabilities = masked.predict_proba(picture[None])[0]
    assert explanation.top_labels == np.argsort(probabilities)[::-1][:2].tolist()
    shown, mask = explanation.get_image_and_mask(
        explanation.top_labels[0], positive_only=True, num_features=2, hide_rest=True
    )
    best = [i for i, score in explanation.local_exp[explanation.top_labels[0]] if score > 0][:2]
    assert shown.shape == (SIDE, SIDE, 3)
    assert np.array_equal(mask, np.isin(QUARTERS, best))
    assert np.array_equal(shown, picture * mask[..., None])
    whole, _ = explain(as_rgba(picture), masked).get_image_and_mask(explanation.top_labels[0])
    assert np.array_equal(whole, picture)


def test_segment_ids_need_not_be_contiguous(masked, picture):
    expected = explain(picture, masked)
    for how in (QUARTERS * 7 + 3, lambda rgb: QUARTERS + 1, torch.from_numpy(QUARTERS)):
        assert_same(explain(picture, masked, segmentation_fn=how), expected)


def test_segmentation_functions_see_rgb(masked, picture):
    seen = []

    def quarters(rgb: np.ndarray) -> np.ndarray:
        seen.append(rgb)
        return QUARTERS

    explain(as_rgba(picture), masked, segmentation_fn=quarters)
    segmentation(quarters)(as_rgba(picture / 255))
    for rgb in seen:
        assert np.array_equal(rgb, picture)


def test_without_a_segmentation_function_it_is_limes_quickshift(masked):
    from skimage.segmentation import quickshift

    coarse = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    photograph = coarse.repeat(12, axis=0).repeat(12, axis=1)
    found = explain(photograph, masked, segmentation_fn=None, num_samples=4).segments
    theirs = quickshift(photograph, kernel_size=4, max_dist=200, ratio=0.2, rng=0)
    assert 1 < len(np.unique(found)) == len(np.unique(theirs)) == len(np.unique(found * 10000 + theirs))


def test_transparent_pixels_stay_absent(masked, picture):
    explanation = explain(as_rgba(picture, QUARTERS != 2), masked)
    other = np.where((QUARTERS == 2)[..., None], 255 - picture, picture)
    assert_same(explain(as_rgba(other, QUARTERS != 2), masked), explanation)
    label = explanation.top_labels[0]
    assert dict(explanation.local_exp[label])[2] != pytest.approx(dict(explain(picture, masked).local_exp[label])[2])
    probability = masked.predict_proba(picture[None], QUARTERS != 2)[0, label]
    assert explanation.local_pred[label] == pytest.approx(probability, abs=1e-2)


def test_seeds(masked, picture):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    explainer = LayerMaskImageExplainer(random_state=3)

    settings = {"top_labels": None, "labels": (0,), "num_samples": 12}

    def scores(seed: int | None, by=explainer) -> dict:
        return dict(explain(picture, masked, seed, by, **settings).local_exp[0])

    first = scores(None)
    assert scores(None) == first  # nothing goes on from the call before
    assert scores(3) == first
    assert scores(4) != first
    assert scores(None, LayerMaskImageExplainer()) == scores(0)
    stream = LayerMaskImageExplainer(random_state=np.random.RandomState(3))
    assert scores(None, stream) == first
    assert scores(None, stream) != first
    fresh = LayerMaskImageExplainer(random_state=None)
    assert scores(None, fresh) != scores(None, fresh)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_labels_and_preprocess_and_other_maskings(model, picture):
    explanation = explain(picture, LayerMask(model), top_labels=None, labels=(4, np.int64(1)))
    assert set(explanation.local_exp) == {4, 1}
    with_ours = LayerMaskImageExplainer(preprocess=OURS)
    grey = Fill(model, "grey", OURS)
    first = explain(picture, grey, explainer=with_ours)
    assert_same(explain(picture, grey), first)  # a Fill knows its preprocessing
    assert first.local_exp != explain(picture, LayerMask(model), explainer=with_ours).local_exp
    expected = LayerMask(model)(OURS.normalize(picture)).softmax(1).detach().numpy()
    np.testing.assert_allclose(LayerMask(model).predict_proba(picture[None], preprocess=OURS), expected, atol=1e-6)


def test_batches_and_progress(masked, picture, capsys):
    expected = explain(picture, masked, batch_size=40)
    assert capsys.readouterr().err == ""
    assert_same(explain(picture, masked, batch_size=7, progress_bar=True), expected)
    assert "40/40" in capsys.readouterr().err


def test_grey_pictures(masked):
    grey = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), np.uint8)
    explanation = explain(grey, masked)
    assert explanation.image.shape == (SIDE, SIDE, 3)
    assert_same(explanation, explain(np.dstack([grey] * 3), masked))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((4, 4, 5), np.uint8)}, r"^expected a picture .* for image, got uint8 \(4, 4, 5\)"),
        ({"image": np.full((16, 16, 3), 200.0)}, r"^expected uint8 or floats .* for images, got values from 200"),
        ({"image": np.full((16, 16, 3), np.nan)}, r"^expected uint8 or floats .* for images, got values from nan"),
        ({"image": np.zeros((16, 16, 3), np.int32)}, r"^expected uint8 or floats from 0 to 1 for images, got int32"),
        ({"hide_color": (1, 2, 3)}, r"^expected None or 0 for hide_color, since .*, got \(1, 2, 3\)"),
        ({"hide_color": np.array([1, 2, 3])}, r"^expected None or 0 for hide_color, .* got array\(\[1,"),
        ({"hide_color": np.zeros((16, 16, 3))}, r"^expected None or 0 for hide_color"),
        ({"hide_color": 128}, r"^expected None or 0 for hide_color"),
        ({"hide_color": "red"}, r"^expected None or 0 for hide_color, .*, got 'red'"),
        ({"num_samples": 1}, r"^expected an integer of at least 2 for num_samples, got 1"),
        ({"batch_size": 0}, r"^expected an integer of at least 1 for batch_size, got 0"),
        ({"num_features": 0}, r"^expected an integer of at least 1 for num_features, got 0"),
        ({"top_labels": -1}, r"^expected an integer of at least 0 for top_labels, got -1"),
        ({"random_seed": -1}, r"^expected an integer from 0 to 4294967295 for random_seed, got -1"),
        ({"segmentation_fn": "slick"}, r"^expected one of patches, .* for segments, .*: did you mean 'slic'\?$"),
        ({"segmentation_fn": QUARTERS[:4]}, r"^expected the shape of the cropped picture"),
        ({"distance_metric": "near"}, r"^expected a distance of scikit-learn for distance_metric, got 'near'"),
        ({"top_labels": None, "labels": (5,)}, r"^expected an integer from 0 to 4 for labels, got 5"),
        ({"top_labels": None, "labels": ("cat",)}, r"^expected an integer from 0 to 4 for labels, got 'cat'"),
        ({"classifier_fn": 3}, r"^expected a masking, a network or a function for classifier_fn, got int"),
        ({"classifier_fn": lambda x: np.ones(len(x))}, r"^expected probabilities \(10, K\) .* got shape \(10,\)"),
    ],
)
def test_bad_arguments_are_one_sentence(change, message, masked, picture):
    arguments = {
        "image": picture, "classifier_fn": masked, "segmentation_fn": QUARTERS, "num_samples": 20, **QUIET, **change
    }
    with pytest.raises(InputError, match=message) as caught:
        LayerMaskImageExplainer().explain_instance(**arguments)
    assert str(caught.value).count(". ") == 0


def test_bad_explainers(masked, picture):
    with pytest.raises(InputError, match=r"^expected .* for feature_selection, .*: did you mean 'lasso_path'\?$"):
        LayerMaskImageExplainer(feature_selection="lasso")
    with pytest.raises(InputError, match=r"for random_seed, got"):
        LayerMaskImageExplainer(random_state=1.5)
    with pytest.raises(InputError, match=r"^expected no preprocess and no output for a function of pictures"):
        explain(picture, lambda x: masked.predict_proba(x), explainer=LayerMaskImageExplainer(preprocess=OURS))
    with pytest.raises(InputError, match=r"^expected presence of the picture's size \(16, 16\), got \(4, 4\)"):
        as_rgba(picture, np.ones((4, 4)))


def test_predict_proba_takes_what_classifiers_get(masked, picture):
    other = picture[::-1]
    batch = np.stack([picture, other])
    image = torch.cat([Preprocess().normalize(one) for one in batch])
    expected = masked.model(image).softmax(1).detach().numpy()
    for given in (
        batch, batch / 255, batch.transpose(0, 3, 1, 2), torch.from_numpy(batch.copy()),
        torch.from_numpy(batch.copy()).permute(0, 3, 1, 2).float() / 255,
        np.stack([as_rgba(one) for one in batch]), list(batch),
    ):
        np.testing.assert_allclose(masked.predict_proba(given), expected, atol=1e-6)
    shown = QUARTERS != 1
    some = masked(image, torch.from_numpy(shown)).softmax(1).detach().numpy()
    np.testing.assert_allclose(masked.predict_proba(batch, shown), some, atol=1e-6)
    np.testing.assert_allclose(
        masked.predict_proba(np.stack([as_rgba(one, shown) for one in batch])), some, atol=1e-6
    )
    one = masked.predict_proba(picture[None], np.stack([shown, ~shown])[:, None])
    two = masked.predict_proba(np.stack([picture, picture]), np.stack([shown, ~shown])[:, None])
    np.testing.assert_allclose(one, two, atol=1e-6)
    assert not np.allclose(some, expected)


@pytest.mark.parametrize("hide", [LayerMask, lambda model: Fill(model, "mean")])
@pytest.mark.parametrize("value", [0, 1])
def test_one_picture_is_answered_for_every_presence_that_says_the_same(value, hide, model, picture):
    masking, presence = hide(model), np.full((3, 1, SIDE, SIDE), value)
    found = masking.predict_proba(picture[None], presence)
    np.testing.assert_allclose(found, masking.predict_proba(np.stack([picture] * 3), presence), atol=1e-6)
    assert found.shape == (3, 5)
    assert np.array_equal(found[1:], found[:-1])
    found[0] = 0  # nobody else's memory
    assert found[1:].any(axis=1).all()


def test_alpha_is_absent_only_at_zero():
    _, shown = as_pictures(np.array([[[[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 255]]]], np.uint8))
    assert shown[0, 0, 0].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 4, 3), np.uint8), r"^expected pictures .* for images, got uint8 \(4, 4, 3\): pass a batch"),
        (np.zeros((1, 5, 4, 2), np.uint8), r"^expected pictures .* for images, got"),
        (np.zeros((0, 4, 4, 3), np.uint8), r"^expected pictures .* for images, got"),
        (np.full((1, 4, 4, 3), -0.5), r"^expected uint8 or floats .* for images, got values from -0\.5 to -0\.5"),
        (np.zeros((1, 4, 4, 3), bool), r"^expected uint8 or floats from 0 to 1 for images, got bool"),
    ],
)
def test_bad_pictures_are_one_sentence(images, message, masked):
    with pytest.raises(InputError, match=message):
        masked.predict_proba(images)


def test_models_without_logits_are_one_sentence(picture):
    with pytest.raises(InputError, match=r"^expected an output \(N, K\) of the model, got \(1, 3, 16, 16\): pass"):
        LayerMask(nn.Conv2d(3, 3, 1)).predict_proba(picture[None])


@pytest.mark.parametrize(
    ("last", "output", "scale"),
    [
        (nn.Softmax(1), "auto", lambda x: x.softmax(1)),
        (nn.Sigmoid(), "auto", torch.sigmoid),
        (nn.Identity(), "value", lambda x: x),
        (nn.Identity(), "log_probability", lambda x: x.log_softmax(1)),
    ],
)
def test_explains_what_the_model_returns(picture, last, output, scale):
    torch.manual_seed(0)
    logits = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    explainer = LayerMaskImageExplainer(output=output)
    options = {"segmentation_fn": QUARTERS, "num_samples": 100, "top_labels": 4, **QUIET}
    explanation = explainer.explain_instance(picture, nn.Sequential(*logits, last), **options)
    # Stock lime gets the numbers from a function.
    def known(rgba):
        image = torch.cat([Preprocess().normalize(one) for one in rgba[..., :3]])
        with torch.no_grad():
            return scale(LayerMask(logits)(image, torch.from_numpy(rgba[..., 3:] > 0).permute(0, 3, 1, 2))).numpy()

    expected = LayerMaskImageExplainer().explain_instance(picture, known, **options)
    assert explanation.top_labels == expected.top_labels
    for label in expected.top_labels:
        np.testing.assert_allclose(
            sorted(explanation.local_exp[label]), sorted(expected.local_exp[label]), atol=1e-5
        )
    with pytest.raises(InputError, match="expected no preprocess and no output for a function of pictures"):
        LayerMaskImageExplainer(output="value").explain_instance(picture, known, **options)


def test_masked_elements_of_a_picture_are_refused():
    picture = np.ma.masked_equal(np.zeros((8, 8, 3), np.uint8), 0)
    with pytest.raises(InputError, match="expected an array without masked elements for image, got 192 masked ones"):
        as_rgba(picture)
