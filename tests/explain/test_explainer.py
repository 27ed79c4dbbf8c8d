"""The explainer recovers known answers, repeats itself, touches nothing, and says what is wrong with its input."""

from __future__ import annotations

import copy
import functools
import random

import numpy as np
import pytest
import torch
from torch import nn

from xai_layermask.errors import InputError, UnsupportedOperator
from xai_layermask.explain.convergence import MAX_SAMPLES, RELIABLE, ROUNDS
from xai_layermask.explain.explainer import LayerMaskExplainer
from xai_layermask.images import Preprocess
from xai_layermask.maskings import Fill, LayerMask, Masking
from xai_layermask.models import Classifier

PLAIN = Preprocess(resize=None, crop=None, mean=(0, 0, 0), std=(1, 1, 1))


class Linear(nn.Module):
    """Two classes, the probability of the first linear in the red channel: what each pixel brings is known."""

    def __init__(self, seed=0):
        super().__init__()
        weight = np.random.default_rng(seed).normal(size=(32, 32)) * 2e-3
        self.weight = nn.Parameter(torch.tensor(weight, dtype=torch.float32))

    def forward(self, x):
        p = 0.5 + (x[:, 0] * self.weight).sum((1, 2))
        return torch.stack([p.log(), (1 - p).log()], dim=1)

    def shares(self, picture, segments):
        """What each segment brings, by adding up its pixels."""
        pixels = picture[..., 0] / 255 * self.weight.detach().double().numpy()
        return np.bincount(segments.ravel(), weights=pixels.ravel())


def network(seed=0, classes=5):
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Conv2d(8, classes, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return model


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def explainer(model=None, **options):
    known = {"segments": "patches:8", "n_samples": 40, "preprocess": PLAIN, "progress": False, "precision": "float32",
             "output": "probability"}
    return LayerMaskExplainer(network() if model is None else model, **(known | options))


def test_shap_finds_what_each_segment_of_a_linear_model_brings():
    model = Linear()
    one = explainer(model, method="shap", masking="black", n_samples=60).explain(picture(), targets=[0, 1])
    known = model.shares(picture(), one.segments)
    np.testing.assert_allclose(one.scores, [known, -known], atol=1e-6)
    np.testing.assert_allclose(one.intercept, 0.5, atol=1e-6)
    np.testing.assert_allclose(one.r2, 1, atol=1e-6)


def test_lime_finds_the_same_up_to_its_penalty():
    model = Linear()
    one = explainer(model, masking="black", n_samples=1000, batch_size=256).explain(picture(), targets=0)
    known = model.shares(picture(), one.segments)
    # In 1000 samples the data weigh some 100 times as much as the penalty: it takes 1 part in that many.
    np.testing.assert_allclose(one.scores[0], known, atol=0.03 * np.abs(known).max())
    assert one.r2[0] > 0.999


def test_shap_with_few_segments_is_exact_and_asks_no_more_than_it_must():
    model, quarters = network(), np.arange(32)[:, None] // 16 * 2 + np.arange(32) // 16
    counted = Counting(model)
    one = explainer(model, method="shap", masking=counted, segments=quarters).explain(picture(), targets=2)
    assert counted.images == 2**4
    masked = LayerMask(model)
    image = PLAIN(picture()).tensor

    def answer(chosen):
        presence = torch.from_numpy(np.isin(quarters, list(chosen)))
        return masked(image, presence).softmax(1)[0, 2].item()

    expected = 0.0
    shares = {(): 1 / 4, (1, 2, 3): 1 / 4} | dict.fromkeys([(1,), (2,), (3,), (1, 2), (1, 3), (2, 3)], 1 / 12)
    for others, share in shares.items():
        expected += share * (answer((0, *others)) - answer(others))
    assert one.scores[0, 0] == pytest.approx(expected, abs=1e-5)


def numpys_state():
    """The global state that the package must neither read nor change."""
    return np.random.get_state()[1].tolist()  # noqa: NPY002


@pytest.mark.parametrize("method", ["lime", "shap"])
@pytest.mark.parametrize("masking", ["layer", "grey"])
def test_two_runs_are_identical_whatever_the_global_random_state_which_stays_as_it_was(method, masking):
    model = network()
    runs = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        before = random.getstate(), numpys_state(), torch.get_rng_state()
        runs.append(explainer(model, method=method, masking=masking).explain(picture()))
        assert random.getstate() == before[0]
        assert numpys_state() == before[1]
        assert torch.equal(torch.get_rng_state(), before[2])
    np.testing.assert_array_equal(runs[0].scores, runs[1].scores)
    np.testing.assert_array_equal(runs[0].probabilities, runs[1].probabilities)
    other = explainer(model, method=method, masking=masking, seed=1).explain(picture())
    assert not np.array_equal(other.scores, runs[0].scores)


def test_an_explainer_has_no_memory():
    one = explainer()
    first = one.explain(picture())
    one.explain(picture(7))
    np.testing.assert_array_equal(one.explain(picture()).scores, first.scores)


@pytest.mark.parametrize("method", ["lime", "shap"])
@pytest.mark.parametrize("batch_size", [1, 7, 39, 64])
def test_the_answer_does_not_depend_on_the_batch_size(method, batch_size):
    model = network()
    usual = explainer(model, method=method).explain(picture(), top=3)
    other = explainer(model, method=method, batch_size=batch_size).explain(picture(), top=3)
    assert other.targets == usual.targets
    np.testing.assert_allclose(other.scores, usual.scores, atol=1e-5)


class Counting(Masking):
    """A layer masking that counts images, and runs out of memory where more than some come at once."""

    def __init__(self, model, most=10**9, error=None):
        super().__init__(model, "counting")
        self.inner, self.most, self.error = LayerMask(model), most, error
        self.images, self.batches = 0, []

    def _masked(self, image, presence):
        count = 1 if presence is None else len(presence)
        if count > self.most:
            raise self.error
        self.images += count
        self.batches.append(count)
        return self.inner(image, presence)


class CountingFill(Fill):
    """A fill that counts images."""

    def __init__(self, model, colour):
        super().__init__(model, colour)
        self.batches = []

    def _masked(self, image, presence):
        self.batches.append(1 if presence is None else len(presence))
        return super()._masked(image, presence)


@pytest.mark.parametrize("masking", [Counting, lambda model: CountingFill(model, "grey")])
def test_a_batch_is_as_large_as_was_asked_for(masking):
    counted = masking(network())
    one = explainer(counted.model, masking=counted, n_samples=100, batch_size=64).explain(picture())
    assert counted.batches == [1, 64, 35]
    assert one.settings.batch_size == 64


def test_several_targets_come_from_the_same_forward_passes():
    counted = Counting(network())
    one = explainer(counted.model, masking=counted).explain(picture(), top=3)
    assert counted.images == 40
    assert one.scores.shape == (3, 16)
    for row, target in enumerate(one.targets):
        alone = explainer(counted.model, masking=counted).explain(picture(), targets=target)
        np.testing.assert_allclose(alone.scores[0], one.scores[row], atol=1e-9)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
)
def test_batches_are_halved_until_they_fit(error):
    model = network()
    counted = Counting(model, most=5, error=error)
    one = explainer(model, masking=counted, batch_size=32).explain(picture())
    assert max(counted.batches) == 4
    assert counted.images == 40
    assert one.settings.batch_size == 4
    np.testing.assert_allclose(one.scores, explainer(model).explain(picture()).scores, atol=1e-5)


def test_the_batch_size_that_is_recorded_is_the_one_that_ran():
    counted = Counting(network())
    large = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    one = explainer(counted.model, masking=counted, segments="patches:56", batch_size=16).explain(large)
    assert counted.batches == [1, 16, 16, 7]
    assert one.settings.batch_size == 16


def test_a_picture_that_never_fits_and_other_errors_are_passed_on():
    model = network()
    with pytest.raises(MemoryError):
        explainer(model, masking=Counting(model, most=0, error=MemoryError())).explain(picture())
    with pytest.raises(RuntimeError, match="out of luck"):
        explainer(model, masking=Counting(model, most=1, error=RuntimeError("out of luck"))).explain(picture())


def test_probabilities_are_those_of_the_model():
    model = network()
    with torch.no_grad():
        known = model(PLAIN(picture()).tensor).softmax(1)[0].numpy()
    one = explainer(model).explain(picture(), top=5)
    np.testing.assert_allclose(one.probabilities, np.sort(known)[::-1], atol=1e-6)
    assert list(one.targets) == np.argsort(-known).tolist()


def test_shap_adds_up_to_the_probability():
    one = explainer(method="shap").explain(picture(), top=2)
    np.testing.assert_allclose(one.intercept + one.scores.sum(axis=1), one.probabilities, atol=1e-9)


def test_targets_are_indices_names_or_both():
    labels = ["red cat", "blue cat", "dog", "bird", "fish"]
    one = explainer(labels=labels).explain(picture(), targets=["dog", 0, np.int64(4), "BLUE"])
    assert one.targets == (2, 0, 4, 1)
    assert one.labels == ("dog", "red cat", "fish", "blue cat")
    for targets in (3, "bird", [3], (3,), np.array([3]), torch.tensor([3]), torch.tensor(3)):
        assert explainer(labels=labels).explain(picture(), targets=targets).targets == (3,)


def test_classes_without_names_are_numbers_even_where_they_are_as_many_as_imagenets():
    assert explainer().explain(picture(), targets=[3]).labels == ("3",)
    assert explainer(network(classes=1000)).explain(picture(), targets=["281"]).labels == ("281",)
    with pytest.raises(InputError, match="got 'tabby'"):
        explainer(network(classes=1000)).explain(picture(), targets=["tabby"])


def test_the_users_model_is_left_as_it_was():
    model = network().train()
    model[0].eval()
    for parameter in model[5].parameters():
        parameter.requires_grad_(False)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    keys = [set(vars(module)) for module in model.modules()]
    memory = [parameter.data_ptr() for parameter in model.parameters()]
    for masking in ("layer", "grey"):
        for precision in ("float32", "float64", "bfloat16"):
            explainer(model, masking=masking, precision=precision).explain(picture())
    assert [module.training for module in model.modules()] == modes
    assert [set(vars(module)) for module in model.modules()] == keys
    assert [parameter.data_ptr() for parameter in model.parameters()] == memory
    assert [parameter.requires_grad for parameter in model.parameters()] == [True] * 4 + [False] * 2
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_model_in_training_mode_is_explained_as_in_evaluation_mode():
    model = network()
    calm = explainer(model).explain(picture())
    np.testing.assert_allclose(explainer(model.train()).explain(picture()).scores, calm.scores, atol=1e-6)


def test_gradients_flow_through_the_masking_afterwards():
    model = network()
    masked = LayerMask(model)
    explainer(model, masking=masked).explain(picture())
    assert torch.is_grad_enabled()
    image = PLAIN(picture()).tensor.requires_grad_()
    presence = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) > 0.5
    masked(image, presence).sum().backward()
    assert image.grad.abs().sum() > 0
    assert model[0].weight.grad is not None
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    image.grad = None
    masked(image, presence).sum().backward()
    assert image.grad.abs().sum() > 0


def test_the_masking_is_a_name_or_a_masking_or_a_function():
    model = network()
    known = explainer(model).explain(picture())
    for masking in (LayerMask(model), LayerMask, lambda net: LayerMask(net)):
        one = explainer(model, masking=masking).explain(picture())
        np.testing.assert_array_equal(one.scores, known.scores)
        assert one.settings.masking == "layer"
    zero = explainer(model, masking=functools.partial(LayerMask, padding="zero")).explain(picture())
    assert not np.array_equal(zero.scores, known.scores)
    grey = explainer(model, masking="grey").explain(picture())
    fill = explainer(model, masking=Fill(model, "grey", PLAIN)).explain(picture())
    np.testing.assert_array_equal(grey.scores, fill.scores)


def test_segments_are_a_name_or_a_map_or_a_function():
    halves = np.arange(32)[None].repeat(32, 0) // 16 + 3
    for segments in (halves, torch.from_numpy(halves), lambda shown: halves[: len(shown)]):
        one = explainer(segments=segments).explain(picture())
        assert one.scores.shape == (1, 2)
        np.testing.assert_array_equal(one.segments, halves - 3)
    assert explainer(segments=halves).explain(picture()).settings.segments == "array"


def test_precision():
    model = network()
    single = explainer(model).explain(picture())
    double = explainer(model, precision="float64").explain(picture())
    assert (single.settings.precision, double.settings.precision) == ("float32", "float64")
    np.testing.assert_allclose(double.scores, single.scores, atol=1e-6)
    exact = explainer(copy.deepcopy(model).double(), precision="auto").explain(picture())
    assert exact.settings.precision == "float64"
    np.testing.assert_array_equal(exact.scores, double.scores)
    half = explainer(model, precision="bfloat16").explain(picture())
    assert half.settings.precision == "bfloat16"
    assert not np.array_equal(half.scores, single.scores)
    np.testing.assert_allclose(half.scores, single.scores, atol=0.02)
    with pytest.raises(InputError, match=r"^expected a float32 model for precision 'bfloat16', got torch"):
        explainer(copy.deepcopy(model).double(), precision="bfloat16")
    with pytest.raises(InputError, match=r"^expected the precision of the masking's model, .*, got 'float64'"):
        explainer(model, masking=LayerMask(model), precision="float64")


def test_a_classifier_brings_its_preprocessing_names_and_labels():
    classifier = Classifier(network(), PLAIN, tuple("abcde"), "mine")
    one = LayerMaskExplainer(classifier, segments="patches:8", n_samples=9, progress=False).explain(picture(), "c")
    assert one.picture.shape == (32, 32, 3)
    assert one.labels == ("c",)
    assert one.settings.model == "mine"


def test_the_settings_say_what_it_takes_to_repeat_it():
    model = network()
    one = explainer(model, method="shap", masking="layer-zero", seed=5, batch_size=8).explain(picture())
    said = one.settings
    again = LayerMaskExplainer(
        model,
        method=said.method,
        masking=said.masking,
        segments=said.segments,
        n_samples=said.n_samples,
        batch_size=said.batch_size,
        precision=said.precision,
        device=said.device,
        seed=said.seed,
        sampling=said.sampling,
        estimator=said.estimator,
        output=said.output,
        preprocess=said.preprocess,
        progress=False,
    ).explain(one.picture, targets=one.targets)
    np.testing.assert_array_equal(again.scores, one.scores)
    assert again.settings == said
    assert "torch" in said.versions


@pytest.mark.parametrize(("method", "best"), [("lime", "orthogonal"), ("shap", "stratified")])
def test_samples_are_drawn_as_the_scheme_says(method, best):
    from xai_layermask import catalog

    model = network()
    usual = explainer(model, method=method).explain(picture())
    assert usual.settings.sampling == best
    for sampling in catalog.METHODS[method].samplings:
        one = explainer(model, method=method, sampling=sampling).explain(picture())
        assert one.settings.sampling == sampling
        assert np.array_equal(one.scores, usual.scores) == (sampling == best)


class Sigmoid(nn.Module):
    """Two classes, the first as likely as a linear function of the mean of each cell of 8 x 8 says."""

    def __init__(self):
        super().__init__()
        weight = np.random.default_rng(0).normal(size=(4, 4))
        self.weight = nn.Parameter(torch.tensor(weight, dtype=torch.float32))

    def forward(self, x):
        cells = nn.functional.avg_pool2d(x[:, 0], 8)
        logits = (cells * self.weight).sum((1, 2))
        return torch.stack([logits, -logits], dim=1)


class Noise(nn.Module):
    """Two classes, whose logits are another number for every picture, with no sense in them."""

    def forward(self, x):
        cells = nn.functional.avg_pool2d(x[:, 0], 8).flatten(1) > 0
        odd = (cells * 2 ** torch.arange(16)).sum(1) * 40503 % 65536
        logits = (odd * odd % 7919) / 7919.0 - 0.5
        return torch.stack([logits, -logits], dim=1)


@pytest.mark.parametrize("method", ["lime", "shap"])
def test_auto_stops_early_where_scores_are_clear_and_is_the_same_as_asking_for_so_many(method):
    model, options = Sigmoid(), {"method": method, "masking": "black", "batch_size": 64}
    one = explainer(model, **options, n_samples="auto").explain(picture(), targets=[0, 1])
    assert one.settings.n_samples in ROUNDS and one.settings.n_samples < 500
    assert (one.reliability >= RELIABLE).all()
    again = explainer(model, **options, n_samples="auto").explain(picture(), targets=[0, 1])
    np.testing.assert_array_equal(again.scores, one.scores)
    fixed = explainer(model, **options, n_samples=one.settings.n_samples).explain(picture(), targets=[0, 1])
    np.testing.assert_allclose(fixed.scores, one.scores, atol=1e-6)
    assert fixed.settings == one.settings


@pytest.mark.parametrize("method", ["lime", "shap"])
def test_auto_goes_on_to_the_cap_where_scores_mean_nothing(method):
    one = explainer(Noise(), method=method, masking="black", n_samples="auto", batch_size=256).explain(picture())
    assert one.settings.n_samples == MAX_SAMPLES
    assert one.reliability[0] < RELIABLE
    # A function of few segments is noise only apart from its largest and smallest coalitions, which KernelSHAP weighs.
    assert method == "shap" or not one.significant().any()


def test_auto_asks_no_more_than_it_says():
    counted = Counting(network())
    one = explainer(counted.model, masking=counted, n_samples="auto", batch_size=128).explain(picture())
    assert counted.images == one.settings.n_samples <= MAX_SAMPLES


def test_auto_asks_for_every_choice_where_there_are_few():
    model, halves = network(), np.arange(32)[None].repeat(32, 0) // 16
    counted = Counting(model)
    options = {"method": "shap", "masking": counted, "segments": halves}
    one = explainer(model, **options, n_samples="auto").explain(picture())
    assert counted.images == one.settings.n_samples == 4
    np.testing.assert_array_equal(explainer(model, **options, n_samples=4).explain(picture()).scores, one.scores)


def test_a_bar_shows_progress_and_can_be_switched_off(capsys):
    explainer(progress=True).explain(picture())
    assert "39" in capsys.readouterr().err
    explainer(progress=False).explain(picture())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "line"},
         r"expected one of lime, shap, rise, occlusion, ablation for method, got 'line': did you mean 'lime'\?"),
        ({"masking": "gray"}, r"expected one of .* for masking, got 'gray': did you mean 'grey'\?"),
        ({"masking": lambda model: model}, "expected a name, a masking of the model, .* for masking, got Seq"),
        ({"masking": 3}, "expected a name, a masking of the model, or a function .* for masking, got int"),
        ({"n_samples": 1}, "expected an integer of at least 2 or 'auto' for n_samples of method .lime., got 1"),
        ({"n_samples": 10**30}, "expected an integer from 2 to 1000000 or 'auto' for n_samples, got 1000000"),
        ({"n_samples": 10.0}, "expected an integer of at least 2 or 'auto' for n_samples, got 10.0"),
        ({"n_samples": "all"}, "expected an integer of at least 2 or 'auto' for n_samples, got 'all'"),
        ({"sampling": "pair"}, r"expected one of auto, .* for sampling of method 'lime', .* did you mean 'paired'\?"),
        ({"sampling": "orthogonal", "method": "shap"}, "for sampling of method 'shap', got 'orthogonal'"),
        ({"batch_size": 0}, "expected an integer of at least 1 or 'auto' for batch_size, got 0"),
        ({"batch_size": "big"}, "expected an integer of at least 1 or 'auto' for batch_size, got 'big'"),
        ({"seed": -1}, "expected an integer of at least 0 for seed, got -1"),
        ({"seed": None}, "expected an integer of at least 0 for seed, got None"),
        ({"precision": "float"}, r"expected one of auto, .* for precision, .* did you mean 'float"),
        ({"device": "gpu"}, "expected 'auto' or an available device for device, got 'gpu'"),
        ({"device": "meta"}, "expected the model's own device, 'cpu', for device, got 'meta'"),
        ({"preprocess": 224}, "expected a Preprocess or a callable for preprocess, got int"),
        ({"model": "lite7"}, r"expected one of lite0, .* for model, .* did you mean 'lite2'\?"),
        ({"model": 5}, "expected a name, a Classifier or a torch.nn.Module for model, got int"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(options, message):
    with pytest.raises(InputError, match=message):
        explainer(**options)


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({}, {"targets": 5}, "expected an integer from 0 to 4 or a class name for target, got 5"),
        ({}, {"targets": -1}, "for target, got -1"),
        ({}, {"targets": "dog"}, "expected the name or index of a class for target, got 'dog'"),
        ({}, {"targets": [1, 1]}, r"expected different classes for targets, got \[1, 1\]"),
        ({}, {"targets": []}, r"expected class indices or names for targets, got \[\]"),
        ({}, {"targets": 0.5}, "expected class indices or names for targets, got 0.5"),
        ({}, {"top": 0}, "expected an integer from 1 to 5 for top, got 0"),
        ({}, {"top": 6}, "expected an integer from 1 to 5 for top, got 6"),
        ({"labels": ["a", "b"]}, {}, "expected one label for each of the model's 5 outputs for labels, got 2"),
        ({"segments": "slick"}, {}, r"expected one of .* for segments, .* did you mean 'slic'\?"),
        ({"segments": np.zeros((32, 32), int)}, {}, "expected at least two segments, got one"),
        ({"segments": np.zeros((31, 32), int)}, {}, "expected the shape of the cropped picture"),
        ({"model": nn.Flatten(0)}, {}, r"expected a floating-point tensor \(1, ...\) from the model for 1 images"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(options, arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        explainer(**options).explain(picture(), **arguments)
    assert "\n" not in str(caught.value)


def test_a_model_that_answers_nan_is_refused():
    model = network()
    with torch.no_grad():
        model[5].bias[0] = float("nan")
    with pytest.raises(InputError, match="expected finite numbers from the model, got NaN or infinity"):
        explainer(model, masking="grey").explain(picture())


def test_a_masking_of_another_model_is_refused():
    with pytest.raises(InputError, match="expected the network of the masking for model, got another one"):
        explainer(network(1), masking=LayerMask(network(2)))
    with pytest.raises(InputError, match=r"expected the network of the masking for model, got 'lite0'"):
        LayerMaskExplainer(masking=LayerMask(network()))
    with pytest.raises(InputError, match="expected a name, a masking of the model, or a function"):
        explainer(network(1), masking=lambda model: LayerMask(network(2)))


def test_an_operator_without_a_masked_form_is_named():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), Sorted(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(UnsupportedOperator, match="expected supported operators, got"):
        explainer(model).explain(picture())


class Sorted(nn.Module):
    """Sorts rows, which is not supported."""

    def forward(self, x):
        return x.sort(dim=3).values


@pytest.mark.parametrize("kind", ["path", "pil", "float", "tensor"])
def test_takes_pictures_in_every_form(kind, tmp_path):
    from PIL import Image

    known, shown = explainer().explain(picture()), picture()
    Image.fromarray(shown).save(tmp_path / "x.png")
    forms = {
        "path": tmp_path / "x.png",
        "pil": Image.fromarray(shown),
        "float": shown / 255,
        "tensor": torch.from_numpy(shown).permute(2, 0, 1),
    }
    np.testing.assert_array_equal(explainer().explain(forms[kind]).scores, known.scores)


class UpperHalf(nn.Module):
    """A network that does not look at the lower half of its image."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x):
        return 20 * self.inner(x[:, :, : x.shape[2] // 2])


@pytest.mark.parametrize("method", ["shap", "ablation"])
def test_rounding_errors_of_exact_scores_are_not_significant(method):
    own = LayerMaskExplainer(
        UpperHalf(), method, "black", segments="patches:8", preprocess=Preprocess(16, 16), progress=False
    )
    one = own.explain(np.random.default_rng(0).random((16, 16, 3)), targets=[0, 1, 2, 3])
    assert not one.standard_errors.any()
    for target in range(4):
        np.testing.assert_allclose(one.scores[target, 2:], 0, atol=1e-6)
        assert one.significant(target).tolist() == [True, True, False, False]
