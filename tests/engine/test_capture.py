"""Models as people have them are captured, or refused with the line at fault and the remedy."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
import torchvision
from by_hand import Function
from torch import nn
from torch.nn.utils import parametrizations, prune
from torchvision.models.feature_extraction import create_feature_extractor

from xai_layermask import LayerMask
from xai_layermask.engine.capture import capture
from xai_layermask.engine.graph import same, tensors
from xai_layermask.engine.twin import evaluating
from xai_layermask.engine.verification import difference
from xai_layermask.errors import CaptureError
from xai_layermask.trace import trace

SHAPE = (2, 3, 8, 8)
HALF = torch.ones(1, 1, 8, 8)
HALF[..., 4:] = 0
not_in_torch_2_6 = pytest.mark.skipif(torch.__version__ < "2.7", reason="torch 2.6 cannot export it; docs/install.md")


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    ).eval()


def image():
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))


class Convolution(nn.Module):
    """A convolution, and what a test does with its input and its features."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x).mean((2, 3))


# --- models that are captured ---


def test_normalisation_as_a_layer(capfd):
    normalize = torchvision.transforms.Normalize([0.4, 0.5, 0.6], [0.2, 0.3, 0.4])
    plain, x = network(), image()
    found = LayerMask(nn.Sequential(normalize, plain))(x, HALF)
    torch.testing.assert_close(found, LayerMask(plain)(normalize(x), HALF))
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


class Scaled(Convolution):
    """Looks at a buffer and at a parameter to decide what to do."""

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.tensor([2.0]))

    def forward(self, x):
        if (self.scale * 2).sum() > 3:
            x = x * self.scale
        return super().forward(x) + int(self.scale.item())


def test_decisions_on_a_buffer_follow_the_buffer():
    model, x = Scaled(), image()
    masked, reference = LayerMask(model), LayerMask(Convolution())
    torch.testing.assert_close(masked(x, HALF), reference(x * 2, HALF) + 2)
    model.scale.fill_(1.0)
    torch.testing.assert_close(masked(x, HALF), reference(x, HALF) + 1)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "wrap",
    [
        torch.nn.utils.weight_norm,
        torch.nn.utils.spectral_norm,
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        lambda module: prune.l1_unstructured(module, "weight", 0.5),
    ],
    ids=["weight_norm", "spectral_norm", "parametrized weight_norm", "parametrized spectral_norm", "pruned"],
)
def test_reparametrised_weights(wrap):
    model, x = network(), image()
    wrap(model[0])
    model.eval()
    model(x)
    plain = network()
    plain.load_state_dict({**model[-1].state_dict(prefix="4."), "0.weight": model[0].weight, "0.bias": model[0].bias})
    torch.testing.assert_close(LayerMask(model)(x, HALF), LayerMask(plain)(x, HALF))


class Keeping(Convolution):
    """Keeps its activation as an attribute."""

    def forward(self, x):
        self.features = self.conv(x)
        return self.features.mean((2, 3))


@not_in_torch_2_6
def test_a_model_that_keeps_an_activation():
    model, x = Keeping(), image()
    model(x)
    kept = model.features
    torch.testing.assert_close(LayerMask(model)(x, HALF), LayerMask(Convolution())(x, HALF))
    assert model.features is kept


def test_attributes_that_cannot_be_copied_are_shared():
    model = network()
    model.lock = threading.Lock()
    assert evaluating(model).lock is model.lock
    assert LayerMask(model)(image(), HALF).shape == (2, 5)


class Chosen(Convolution):
    """Picks values by a boolean index, whose number only the values tell."""

    def forward(self, x):
        y = super().forward(x)
        y[y > 0] *= 2
        return y, y[y > 0]


def test_behind_the_pool_shapes_may_depend_on_values():
    x = image()
    features = LayerMask(Convolution())(x, HALF)
    for batch in (2, 1):
        whole, chosen = LayerMask(Chosen())(x[:batch], HALF)
        expected = torch.where(features > 0, 2 * features, features)[:batch]
        torch.testing.assert_close(whole, expected)
        torch.testing.assert_close(chosen, expected[expected > 0])


def test_answers_in_dictionaries_are_of_the_type_that_the_model_returns():
    model = create_feature_extractor(network(), {"1": "map", "4": "logits"})
    found = LayerMask(model)(image(), HALF)
    assert type(found) is type(model(image())) is dict
    assert list(found) == ["map", "logits"]


# --- models in wrappers ---

WRAPPERS = {
    "a feature extractor": (lambda net: create_feature_extractor(net, {"1": "map", "4": "logits"}), ""),
    "torch.compile": (torch.compile, "_orig_mod."),
    "a compiled part": (lambda net: net.__setitem__(0, torch.compile(net[0])) or net, ""),
    "DataParallel": (nn.DataParallel, "module."),
}


@pytest.mark.parametrize(
    ("wrap", "prefix"),
    [
        pytest.param(*wrapper, id=name, marks=() if name == "DataParallel" else not_in_torch_2_6)
        for name, wrapper in WRAPPERS.items()
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_wrapped_models_are_masked_traced_and_cut(wrap, prefix):
    model, plain = wrap(network()), network()
    x = image().to(next(model.parameters()).device)  # DataParallel moves its model to a GPU
    plain = plain.to(x.device)

    def logits(answer):
        return answer["logits"] if isinstance(answer, dict) else answer

    assert torch.equal(logits(LayerMask(model)(x, HALF)), LayerMask(plain)(x, HALF))
    assert torch.equal(logits(LayerMask(model)(x[:1], HALF)), LayerMask(plain)(x[:1], HALF))
    cut = LayerMask(model, until=f"{prefix}0")
    assert torch.equal(logits(cut(x, HALF)), LayerMask(plain, until="0")(x, HALF))
    found, expected = (trace(LayerMask(one), x, HALF, [path]) for one, path in ((model, f"{prefix}0"), (plain, "0")))
    assert torch.equal(found[f"{prefix}0"].value, expected["0"].value)


class Detector(Convolution):
    """Like YOLO's classifiers: keeps the shape of its features, and returns probabilities with the logits."""

    def forward(self, x):
        features = self.conv(x)
        if getattr(self, "shape", None) != features.shape:
            self.shape = features.shape
        logits = features.mean((2, 3))
        return logits.softmax(1), logits


@not_in_torch_2_6
def test_a_model_that_keeps_shapes_takes_any_batch():
    masked, x = LayerMask(Detector()), image()
    expected = LayerMask(Convolution())(x, HALF)
    for batch in (2, 1):
        probabilities, logits = masked(x[:batch], HALF)
        torch.testing.assert_close(logits, expected[:batch])
        torch.testing.assert_close(probabilities, expected[:batch].softmax(1))
    assert masked.graph(x).batch is None


class Fixed(Convolution):
    """Exported for one batch size."""

    def forward(self, x):
        if x.shape[0] != 2:
            raise ValueError("the batch must be 2")
        return super().forward(x)


def test_a_model_for_one_batch_size_says_so_for_any_other():
    model, x = Fixed(), image()
    masked = LayerMask(model)
    torch.testing.assert_close(masked(x, HALF), LayerMask(Convolution())(x, HALF))
    assert masked.graph(x).batch == 2
    assert list(trace(masked, x, HALF, ["conv"])) == ["conv"]
    message = r"an image of shape \(1, 3, 8, 8\), got ValueError \(the batch must be 2\) in test_capture.py, line \d+"
    with pytest.raises(CaptureError, match=message):
        masked(x[:1], HALF)


# --- hooks ---


def test_a_hook_that_observes_sees_real_values_and_runs_no_more():
    model, seen = network(), []
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    masked = LayerMask(model)
    found = masked(image(), HALF)
    assert torch.equal(found, LayerMask(network())(image(), HALF))
    assert [type(one) for one in seen] == [torch.Tensor]
    masked(image(), HALF)
    assert len(seen) == 1


@pytest.mark.parametrize("in_place", [False, True])
def test_a_hook_that_changes_the_output_is_part_of_the_model(in_place):
    model, x = network(), image()

    def doubled(module, inputs, output):
        if not in_place:
            return output * 2
        output.mul_(2)
        return None

    model[-1].register_forward_hook(doubled)
    torch.testing.assert_close(LayerMask(model)(x, HALF), 2 * LayerMask(network())(x, HALF))


class Extractor(nn.Module):
    """Returns what a hook keeps, as feature extractors do."""

    def __init__(self, strict):
        super().__init__()
        self.net, self.kept, self.strict = network(), [], strict
        self.net[1].register_forward_hook(self.keep)

    def keep(self, module, inputs, output):
        self.kept.append(output)

    def forward(self, x):
        self.kept.clear()
        logits = self.net(x)
        return (self.kept[0], logits) if self.strict else (*self.kept, logits)


@not_in_torch_2_6
@pytest.mark.parametrize("strict", [False, True])
def test_a_hook_that_keeps_what_the_model_returns_is_part_of_it(strict):
    model, seen = Extractor(strict).eval(), []
    reference = model(image())
    assert len(reference) == 2
    model.net[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    masked = LayerMask(model)
    everything = masked(image(), torch.ones_like(HALF))
    assert difference(everything, reference) < 1e-5
    x = image()
    kept, logits = masked(x, HALF)
    assert torch.equal(logits, LayerMask(network())(x, HALF))
    assert kept.shape == reference[0].shape


class Asking(nn.Module):
    """Computes something else where it is captured."""

    def __init__(self, other):
        super().__init__()
        self.net, self.other = network(), other

    def forward(self, x):
        return self.other(self.net(x)) if torch.compiler.is_compiling() else self.net(x)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (lambda logits: 1.5 * logits, r"outputs that differ by 0\.5 of the largest"),
        (lambda logits: (logits, logits), "outputs of another kind"),
        (lambda logits: logits[:, :2], "outputs of another kind"),
    ],
)
def test_a_graph_that_computes_something_else_is_refused(other, found):
    refused(Asking(other), f"expected a model whose graph computes the same, got {found}: compute all outputs in")
    x = image()
    torch.testing.assert_close(LayerMask(Asking(lambda logits: 1 * logits))(x, HALF), LayerMask(network())(x, HALF))


def test_a_model_that_squeezes_a_batch_of_one_is_compared_with_two():
    model, x = nn.Sequential(network(), Function(torch.squeeze)), image()
    assert x.shape[0] > 1
    assert torch.equal(LayerMask(model)(x, HALF), LayerMask(network())(x, HALF))


def test_a_hook_that_comes_and_goes_is_noticed():
    model, x = network(), image()
    masked = LayerMask(model)
    before = masked(x, HALF)
    handle = model[-1].register_forward_hook(lambda module, inputs, output: output * 2)
    torch.testing.assert_close(masked(x, HALF), 2 * before)
    handle.remove()
    assert torch.equal(masked(x, HALF), before)


def test_layer_attributions_of_captum_need_the_plain_model():
    from captum.attr import LayerGradCam

    model = network()
    message = "expected a model without Captum's hooks, got one on 0: .* layer attributions need the plain model"
    with pytest.raises(CaptureError, match=message):
        LayerGradCam(lambda x: LayerMask(model)(x, HALF), model[0]).attribute(image(), target=0)


# --- models that are refused: the line, and the remedy ---


def refused(model, message, shape=SHAPE):
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(CaptureError, match=message):
        capture(model, shape, torch.float32, torch.device("cpu"))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


class Flowing(Convolution):
    def forward(self, x):
        if x.max() > 1:
            x = x / 255
        return super().forward(x)


class Counting(Convolution):
    def forward(self, x):
        y = super().forward(x)
        return y if y.sum().item() > 0 else -y


@pytest.mark.parametrize(("model", "code"), [(Flowing(), "if x.max"), (Counting(), "return y if y.sum")])
def test_control_flow_on_the_values_of_the_image(model, code):
    refused(
        model,
        "expected a model whose control flow does not depend on the values of the image, got a decision on them in "
        rf"test_capture.py, line \d+ \({code}.*\): move it out of forward, .* or write it with torch.where",
    )


class Array(Convolution):
    def forward(self, x):
        return super().forward(torch.from_numpy(x.numpy() * 2))


def test_numpy_in_forward():
    refused(
        Array(),
        "expected a model that computes with torch alone, got a conversion to numpy in test_capture.py, line .*"
        "numpy.*: replace it by torch operators",
    )


class Siamese(Convolution):
    def forward(self, x, other):
        return super().forward(x) - super().forward(other)


def test_a_further_input_that_is_missing():
    refused(
        Siamese(),
        r"expected the further input other of the model, got only an image: pass masked\(image, presence, other\), or "
        "additional_forward_args=other",
    )


def test_a_shape_that_the_model_does_not_take():
    message = r"expected a model that takes an image of shape \(1, 5, 8, 8\), got RuntimeError \(.*channels.*\): check"
    refused(network(), message, (1, 5, 8, 8))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript():
    refused(torch.jit.script(network()), "expected a Python module, got TorchScript in the model: build the model from")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantised_modules():
    model = torch.ao.quantization.quantize_dynamic(network(), {nn.Linear}, dtype=torch.qint8)
    with pytest.raises(CaptureError, match="expected floating-point modules, got the quantised Linear in 4: use the"):
        capture(model, SHAPE, torch.float32, torch.device("cpu"))


class Uncopyable(Convolution):
    def __deepcopy__(self, memo):
        raise RuntimeError("one of a kind")


def test_models_that_cannot_be_copied():
    message = r"expected a model that copy.deepcopy can copy, got RuntimeError \(one of a kind\): remove what cannot be"
    with pytest.raises(CaptureError, match=message):
        LayerMask(Uncopyable())(image(), HALF)


@torch.library.custom_op("xai_layermask_tests::without_shapes", mutates_args=())
def without_shapes(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


def test_an_unknown_operator_of_export_names_its_line():
    message = r"expected a model that torch.export can capture .* got \w+ \(.*\) in test_capture.py, line \d+"
    refused(Function(lambda x: x + without_shapes(x)), message)


def test_a_generator_in_forward_is_named():
    model = Function(lambda x: x + torch.rand(3, 1, 1, generator=torch.Generator().manual_seed(0)))
    # Up to torch 2.11, export itself names the generator, and the line.
    with pytest.raises(CaptureError, match=r"(such as a torch|of type: <class 'torch._C).Generator"):
        capture(model, (2, 3, 4, 4), torch.float32, torch.device("cpu"))


def test_an_evaluating_twin_shares_every_tensor():
    model = network().train()
    twin = evaluating(model)
    assert same(tensors(model.modules()), tensors(twin.modules()))
    assert not any(module.training for module in twin.modules())
    assert all(module.training for module in model.modules())


def test_tensors_that_forward_makes_are_no_change_of_state():
    """Export records `detach_` on them, which is in place but writes no value."""
    plain, x = network(), image()
    scale = [1.0, 2.0, 3.0]
    found = LayerMask(Function(lambda x, net: net(x * torch.tensor(scale).view(1, 3, 1, 1)), plain))(x, HALF)
    torch.testing.assert_close(found, LayerMask(plain)(x * torch.tensor(scale).view(1, 3, 1, 1), HALF))
