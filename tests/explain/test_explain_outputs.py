"""The explainer explains what a network returns, as what it is: checked against numbers computed by hand."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from xai_layermask import Explanation, LayerMaskExplainer, Output, Preprocess
from xai_layermask.errors import InputError
from xai_layermask.maskings import make
from xai_layermask.plots import comparison, overview

PLAIN = Preprocess(resize=None, crop=None, mean=(0, 0, 0), std=(1, 1, 1))
PICTURE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
QUARTERS = np.arange(8)[:, None] // 4 * 2 + np.arange(8) // 4
IMAGE = PLAIN(PICTURE).tensor
# All 16 coalitions of the quarters, of which KernelSHAP's scores are the exact Shapley values.
COALITIONS = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(bool)


def network(outputs, seed=0):
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*body, nn.Linear(8, outputs)).eval()


class Then(nn.Module):
    """A network whose output something is done with."""

    def __init__(self, net, then):
        super().__init__()
        self.net, self.then = net, then

    def forward(self, x):
        return self.then(self.net(x))


def explain(model, targets=None, top=1, **options):
    # A fill needs no capture; layer masking is in the tests of answers that are no tensors.
    known = {"method": "shap", "masking": "grey", "segments": QUARTERS, "n_samples": 16, "preprocess": PLAIN}
    known |= {"progress": False, "precision": "float32"}
    return LayerMaskExplainer(model, **(known | options)).explain(PICTURE, targets, top)


def shapley(values):
    """Shapley values of a game over the quarters, from its values for `COALITIONS`."""
    by_coalition = {tuple(row): value for row, value in zip(COALITIONS.tolist(), values, strict=True)}
    weights = {0: 1 / 4, 1: 1 / 12, 2: 1 / 12, 3: 1 / 4}
    scores = np.zeros(4)
    for players, value in by_coalition.items():
        for k in range(4):
            if not players[k]:
                larger = by_coalition[tuple(player or i == k for i, player in enumerate(players))]
                scores[k] += weights[sum(players)] * (larger - value)
    return scores


def answer(net, masking="grey"):
    """What a masked network returns for `COALITIONS`."""
    presence = torch.from_numpy(COALITIONS[:, QUARTERS])[:, None]
    with torch.no_grad():
        return make(masking, net, PLAIN)(IMAGE, presence)


def raw(net, masking="grey"):
    """The output of a masked network for `COALITIONS`: float64 `(16, ...)`."""
    return answer(net, masking).double()


def check(explanation, values, row=0):
    """That an explanation is that of these values for all coalitions, `(16,)`."""
    np.testing.assert_allclose(explanation.predictions[row], values[-1], atol=1e-5)
    np.testing.assert_allclose(explanation.scores[row], shapley(np.asarray(values)), atol=1e-5)


def test_a_network_that_ends_in_a_softmax_is_not_softmaxed_twice():
    net = network(3)
    for model in (nn.Sequential(*net, nn.Softmax(1)), Then(net, lambda x: torch.softmax(x, 1)[:])):
        p = raw(net).softmax(1)
        one, odds = explain(model, [0, 1], output="probability"), explain(model, [0, 1])
        for row in (0, 1):
            check(one, p[:, row], row)
            check(odds, torch.logit(p)[:, row], row)
        np.testing.assert_allclose(one.probabilities, one.predictions)
        np.testing.assert_allclose(odds.probabilities, one.predictions)
        assert one.output == "probability, as the model returns it"
        assert odds.output == "log-odds of the model's probability"


@pytest.mark.parametrize(
    ("output", "scale", "sentence"),
    [
        ("auto", lambda x: torch.logit(x.softmax(1)), "log-odds (softmax of the outputs)"),
        ("probability", lambda x: x.softmax(1), "probability (softmax of the outputs)"),
        ("sigmoid", torch.sigmoid, "probability (sigmoid of the output)"),
        ("logit", lambda x: x, "logit, as the model returns it"),
        ("log_probability", lambda x: x.log_softmax(1), "logarithm of the probability (softmax of the outputs)"),
        ("log_odds", lambda x: torch.logit(x.softmax(1)), "log-odds (softmax of the outputs)"),
        ("value", lambda x: x, "the model's output as it is"),
    ],
)
def test_scales(output, scale, sentence, tmp_path):
    net = network(3)
    one = explain(net, [2], output=output)
    check(one, scale(raw(net))[:, 2])
    assert one.output == sentence
    assert one.settings.output == ("log_odds" if output == "auto" else output)
    if output == "value":
        assert np.isnan(one.probabilities[0])
    elif output != "sigmoid":
        np.testing.assert_allclose(one.probabilities[0], raw(net)[-1].softmax(0)[2], atol=1e-6)
    again = Explanation.load(one.save(tmp_path / "x.json"))
    assert (again.output, again.settings.output) == (one.output, one.settings.output)
    assert again.predictions.tolist() == one.predictions.tolist()
    assert sentence in one.save(tmp_path / "x.html").read_text().replace("&#39;", "'")


def test_a_multi_label_network():
    net = network(4)
    known = torch.sigmoid(raw(net))
    for model, output in ((nn.Sequential(*net, nn.Sigmoid()), "probability"), (net, "sigmoid")):
        one = explain(model, [0, 3], output=output)
        check(one, known[:, 0], 0)
        check(one, known[:, 3], 1)
        assert one.shown(0) == f"{known[-1, 0]:.1%}"
    check(explain(nn.Sequential(*net, nn.Sigmoid()), 3), raw(net)[:, 3])  # the log-odds
    assert list(explain(model, top=4, output="sigmoid").targets) == known[-1].argsort(descending=True).tolist()


def test_what_transformers_says_of_its_model_is_taken():
    net = network(3)
    net.config = SimpleNamespace(problem_type="multi_label_classification")
    check(explain(net, 1), torch.sigmoid(raw(network(3)))[:, 1])
    assert explain(net, 1, output="probability").output == "probability (softmax of the outputs)"
    net.config.problem_type = "regression"
    check(explain(net, 1), raw(network(3))[:, 1])
    net.config.problem_type = None
    assert explain(net, 1).output == "log-odds (softmax of the outputs)"


@pytest.mark.parametrize("then", [nn.Identity(), nn.Flatten(0)])
def test_one_logit(then):
    net = network(1)
    model = nn.Sequential(*net, then)
    one = explain(model, output="probability")
    check(one, torch.sigmoid(raw(net))[:, 0])
    assert (one.targets, one.labels, one.output) == ((0,), ("output",), "probability (sigmoid of the output)")
    check(explain(model, output="logit"), raw(net)[:, 0])
    check(explain(model), raw(net)[:, 0])
    assert explain(model).output == "log-odds (sigmoid of the output)"
    named = explain(model, "spam", labels=["ham", "spam"])
    assert (named.labels, named.probabilities[0]) == (("spam",), one.probabilities[0])
    with pytest.raises(InputError, match="got 'ham': did you mean 'spam'"):
        explain(model, "ham", labels=["ham", "spam"])


def test_regressions():
    net = network(1)
    with torch.no_grad():
        net[4].bias.fill_(40.0)
    with pytest.raises(InputError, match=r"output='value' or output='sigmoid' .*, got 'auto' and an output of 3|4"):
        explain(net)
    age = explain(net, output="value")
    check(age, raw(net)[:, 0])
    assert age.shown(0) == f"{raw(net)[-1, 0]:.4g}"
    several = network(3)
    check(explain(several, 2, output="value"), raw(several)[:, 2])
    with pytest.raises(InputError, match=r"expected targets, since values .*, got None and an output \(1, 3\): name"):
        explain(several, output="value")


def inner(answer):
    return answer["a"]["b"]


@dataclass
class Answer:
    logits: torch.Tensor
    hidden: torch.Tensor


torch.export.register_dataclass(Answer)


@pytest.mark.parametrize(
    ("wrap", "select", "part"),
    [
        (lambda x: (x, -x), None, 0),
        (lambda x: [-x, x], 1, 1),
        (lambda x: {"out": x, "aux": -x}, None, "out"),
        (lambda x: {"whatever": x}, None, "whatever"),
        (lambda x: OrderedDict(features=-x, scores=x), "scores", "scores"),
        (lambda x: {"a": {"b": x}}, inner, "function inner"),
        (lambda x: Answer(x, -x), None, "logits"),
        (lambda x: Answer(-x, x), "hidden", "hidden"),
    ],
)
def test_the_output_is_found_or_selected(wrap, select, part):
    net = network(3)
    one = explain(Then(net, wrap), 1, masking="layer", output=Output("probability", select=select))
    check(one, raw(net, "layer").softmax(1)[:, 1])
    assert one.settings.select == part
    name = part if callable(select) else repr(part)
    assert one.output == f"probability (softmax of the outputs), from {name}"
    with pytest.raises(InputError, match=r"got dict: choose select of Output\(...\) from its keys 'a', 'b'"):
        explain(Then(net, lambda x: {"a": x, "b": x}), 1)


def segmenter(classes):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, classes, 1), nn.Upsample(scale_factor=2)
    ).eval()  # fmt: skip


def test_maps():
    net = segmenter(3)
    p = raw(net).softmax(1)
    mask = np.zeros((8, 8), bool)
    mask[2:5, 1:3] = True
    names = ["sky", "road", "tree"]
    for masking in ("layer", "grey"):
        one = explain(net, [("road", 5, 6), (2, mask)], masking=masking, labels=names, output="probability")
        masked = raw(net, masking).softmax(1)
        check(one, masked[:, 1, 5, 6], 0)
        check(one, masked[:, 2][:, torch.from_numpy(mask)].mean(1), 1)
    assert one.labels == ("road at (5, 6)", "tree in a region")
    np.testing.assert_allclose(explain(net, (1, 5, 6), output="probability").scores, one.scores[:1], atol=1e-9)
    two = explain(net, [(1, 5, 6), (1, 0, 0)], labels=names, output="probability")
    check(two, p[:, 1, 0, 0], two.row("road at (0, 0)"))
    assert (two.key(0), two.key(1)) == two.labels
    largest = explain(Then(net, lambda x: {"out": x}), labels=names, output="probability")
    predicted = p[-1].argmax(0)
    index = predicted.flatten().bincount().argmax()
    assert one.targets == (-1, -1)
    assert largest.targets == (index,) and largest.labels == (names[index],)
    assert largest.key(0) == index
    check(largest, p[:, index][:, predicted == index].mean(1))


def test_a_map_of_one_class():
    net = segmenter(1)
    with torch.no_grad():
        net[3].bias -= 0.3
    p = torch.sigmoid(raw(net))[:, 0]
    assert 0 < (p[-1] > 0.5).sum() < 64
    check(explain(net, output="probability"), p[:, p[-1] > 0.5].mean(1))
    check(explain(net), raw(net)[:, 0][:, p[-1] > 0.5].mean(1))


def test_embeddings():
    net = network(16)
    texts = torch.randn(2, 16, generator=torch.Generator().manual_seed(3))
    one = explain(net, texts, labels=["a cat", "a dog"])
    for row in (0, 1):
        check(one, torch.cosine_similarity(raw(net), texts[row : row + 1].double(), dim=1), row)
    assert (one.labels, one.targets, one.output) == (("a cat", "a dog"), (-1, -1), "the model's output as it is")
    assert explain(net, texts[0].numpy()).labels == ("similarity",)
    # Zero-shot classification: a function of the answer is the logits.
    normed = nn.functional.normalize(texts)
    zero_shot = Output("probability", select=lambda x: 100 * nn.functional.normalize(x) @ normed.T)
    logits = 100 * nn.functional.normalize(raw(net)) @ normed.double().T
    check(explain(net, "a dog", output=zero_shot, labels=["a cat", "a dog"]), logits.softmax(1)[:, 1])


def margin(output):
    return output[:, 2] - output[:, 0]


def test_functions_of_the_output():
    net = network(3)
    one = explain(net, margin, output="logit")
    check(one, margin(raw(net)))
    assert (one.targets, one.labels, one.shown(0)) == ((-1,), ("margin",), f"logit {margin(raw(net))[-1]:.3g}")
    assert np.isnan(one.probabilities[0])
    both = explain(net, [margin, 1], output="probability")
    check(both, margin(raw(net).softmax(1)), 0)
    check(both, raw(net).softmax(1)[:, 1], 1)
    assert both.plot(target="margin").get_title() == f"margin {both.predictions[0]:.4g}"


def test_explanations_of_vectors_are_compared():
    net, vectors = network(16), torch.eye(16)[:2]
    one, other = (explain(net, vectors, masking=name) for name in ("grey", "black"))
    figure = comparison([one, other])
    assert [ax.get_ylabel().split("\n")[0] for ax in figure.axes[1::2][:2]] == ["similarity", "similarity 2"]


def test_labels_of_a_dictionary_are_in_the_order_of_the_classes():
    one = explain(network(3), "dog", labels={2: "cow", 0: "cat", 1: "dog"})
    assert one.targets == (1,) and one.labels == ("dog",)


def test_the_figure_says_what_is_explained():
    one = explain(network(3), 0, output="log_odds")
    figure = overview(one)
    assert "log-odds (softmax of the outputs)" in " ".join(figure.get_supxlabel().split())
    assert figure.axes[1].get_title() == f"0 {one.probabilities[0]:.1%}"


def test_models_of_transformers_as_they_are():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    names = {0: "cat", 1: "dog", 2: "cow"}
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", id2label=names,
        label2id={name: index for index, name in names.items()},
    )  # fmt: skip
    net = transformers.ResNetForImageClassification(config).eval()
    one = explain(net, "dog", masking="layer", labels=net.config.id2label, output="probability")
    check(one, answer(net, "layer").logits.double().softmax(1)[:, 1])
    assert one.labels == ("dog",)
    config = transformers.CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, projection_dim=8, num_hidden_layers=1, num_attention_heads=2,
        image_size=8, patch_size=4,
    )  # fmt: skip
    clip = transformers.CLIPVisionModelWithProjection(config).eval()
    text = torch.randn(8, generator=torch.Generator().manual_seed(1))
    one = explain(clip, text, output=Output("value", select="image_embeds"))
    check(one, torch.cosine_similarity(answer(clip).image_embeds.double(), text[None].double(), dim=1))
