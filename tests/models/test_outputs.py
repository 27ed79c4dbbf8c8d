"""Which numbers of a model are explained, and on which scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from xai_layermask.errors import InputError
from xai_layermask.models import Ending, Output, as_labels, as_output

LOGITS = torch.tensor([[1.0, 3.0, 0.0], [0.5, 0.2, 0.1]])


@dataclass
class Answer:
    logits: torch.Tensor
    loss: None = None


def decided(scale="auto", whole=LOGITS, made=False, **options):
    return Output(scale, **options).decide(whole, made)


@pytest.mark.parametrize(
    "answer",
    [
        LOGITS,
        Answer(LOGITS),
        {"logits": LOGITS, "features": LOGITS[:, :1]},
        {"out": LOGITS, "aux": 2 * LOGITS},
        {"whatever": LOGITS},
        (LOGITS, 2 * LOGITS),
    ],
)
def test_the_tensor_is_found(answer):
    assert Output().tensor(answer, 2) is LOGITS


def test_the_tensor_is_selected():
    answer = {"a": 2 * LOGITS, "b": LOGITS}
    assert Output(select="b").tensor(answer, 2) is LOGITS
    assert Output(select=1).tensor((0, LOGITS), 2) is LOGITS
    assert type(Output(select=np.int64(1)).part_name((0, LOGITS))) is int  # settings are stored as JSON
    assert Output(select="logits").tensor(Answer(LOGITS), 2) is LOGITS
    assert Output(select=lambda answer: answer["b"]).tensor(answer, 2) is LOGITS


@pytest.mark.parametrize(
    ("select", "answer", "message"),
    [
        (None, {"a": LOGITS, "b": LOGITS}, r"got dict: choose select of Output\(...\) from its keys 'a', 'b'"),
        ("c", {"a": LOGITS}, r"expected a part of the model's output for select, got 'c': choose .* keys 'a'"),
        (2, (LOGITS, LOGITS), r"got 2: choose select of Output\(...\) from 0 to 1"),
        ("hidden", Answer(LOGITS), r"got 'hidden': choose .* its attributes logits"),
        (None, torch.tensor([1, 2]), r"expected a floating-point tensor \(2, ...\) .*, got torch.int64 \(2,\): pass"),
        (None, LOGITS[:1], r"from the model for 2 images, got torch.float32 \(1, 3\)"),
        (None, 3.0, "got float: pass Output"),
    ],
)
def test_what_is_no_output(select, answer, message):
    with pytest.raises(InputError, match=message):
        Output(select=select).tensor(answer, 2)


def test_several_logits_are_a_softmax():
    assert decided() == decided("log_odds")
    assert decided().sentence == "log-odds (softmax of the outputs)"
    scale = decided("probability")
    assert (scale.name, scale.given, scale.independent) == ("probability", "logits", False)
    assert scale.sentence == "probability (softmax of the outputs)"
    torch.testing.assert_close(scale(LOGITS), LOGITS.double().softmax(1))


def test_a_softmax_is_not_taken_twice():
    probabilities = torch.tensor([[0.99, 0.01]])
    assert decided(whole=probabilities) == decided("log_odds", probabilities)
    assert decided(whole=probabilities).sentence == "log-odds of the model's probability"
    scale = decided("probability", probabilities)
    assert scale(probabilities).tolist() == probabilities.double().tolist()  # a second softmax gives 0.727
    assert scale.sentence == "probability, as the model returns it"
    torch.testing.assert_close(decided("log_odds", probabilities)(probabilities), torch.logit(probabilities.double()))
    torch.testing.assert_close(decided("log_probability", probabilities)(probabilities), probabilities.double().log())
    with pytest.raises(
        InputError, match=r"since the model returns probabilities, got 'logit': pass Output\(..., given="
    ):
        decided("logit", probabilities)
    assert torch.equal(decided("logit", probabilities, given="logits")(probabilities), probabilities.double())


def test_a_saturated_softmax_has_finite_log_odds():
    saturated = torch.tensor([[1.0, 0.0]])
    odds = decided("log_odds", saturated)(saturated)[0]
    assert odds[0] == pytest.approx(16.64, abs=0.01)  # 1 - 6e-8, the largest float32 below 1
    assert odds[1] == pytest.approx(-87.34, abs=0.01)


def test_independent_probabilities_stay_as_they_are():
    labels = torch.tensor([[0.9, 0.8, 0.1]])
    for scale in ("probability", "sigmoid", "value"):
        assert decided(scale, labels, made=True)(labels).tolist() == labels.double().tolist()
    assert decided(whole=labels, made=True).independent
    assert not decided(whole=labels).independent  # logits, as far as one can see


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (nn.Softmax(1), True),
        (nn.Sigmoid(), True),
        (nn.Sequential(nn.Sigmoid(), nn.Flatten()), True),
        (nn.Identity(), False),
        (nn.Sequential(nn.Sigmoid(), nn.Linear(3, 3)), False),
    ],
)
def test_the_end_of_the_model_tells_what_its_numbers_are(last, expected):
    model = nn.Sequential(nn.Linear(2, 3), last)
    with torch.inference_mode(), Ending() as ending:
        answer = model(torch.zeros(1, 2))
    assert ending.made(answer) is expected


@pytest.mark.parametrize("one", [torch.tensor([[0.4]]), torch.tensor([0.4])])
def test_one_output_is_a_logit(one):
    assert decided(whole=one) == decided("log_odds", one)
    scale = decided("probability", one)
    assert (scale.name, scale.independent) == ("probability", True)
    assert scale.sentence == "probability (sigmoid of the output)"
    torch.testing.assert_close(scale(one), torch.sigmoid(one.double()))
    torch.testing.assert_close(decided("log_odds", one)(one), one.double())
    torch.testing.assert_close(decided("log_probability", one)(one), torch.sigmoid(one.double()).log())


def test_one_output_may_be_a_value():
    age = torch.tensor([[37.2]])
    assert decided("value", age)(age).item() == pytest.approx(37.2)
    assert decided("value", age).probabilities(age) is None
    assert decided("value", age).sentence == "the model's output as it is"
    with pytest.raises(InputError, match=r"'auto' and an output of 37\.2: say whether it is a value or a logit"):
        decided(whole=age)
    assert decided("sigmoid", age)(age).item() == pytest.approx(1.0)


@given(st.lists(st.floats(-40, 40), min_size=2, max_size=6))
def test_log_odds_and_log_probabilities_are_those_of_the_softmax(logits):
    x = torch.tensor([logits], dtype=torch.float64)
    others = [torch.logsumexp(torch.cat([x[0, :k], x[0, k + 1 :]]), 0) for k in range(len(logits))]
    torch.testing.assert_close(decided("log_odds", x, given="logits")(x)[0], x[0] - torch.stack(others))
    torch.testing.assert_close(decided("log_probability", x, given="logits")(x), x.log_softmax(1))
    assert torch.equal(decided("logit", x, given="logits")(x), x)
    torch.testing.assert_close(decided("sigmoid", x, given="logits")(x), torch.sigmoid(x))


def test_what_auto_stands_for_depends_on_who_asks():
    assert Output().decide(LOGITS, auto="probability") == Output("probability").decide(LOGITS)
    assert Output().decide(LOGITS) == Output("log_odds").decide(LOGITS)
    assert Output(given="values").decide(LOGITS, auto="probability").name == "value"


def test_unknown_options():
    with pytest.raises(InputError, match="for output, got 'logits': did you mean 'logit'"):
        as_output("logits")
    with pytest.raises(InputError, match="for given, got 'probability'"):
        Output(given="probability")
    with pytest.raises(InputError, match=r"expected one of .* for output, got 7"):
        as_output(7)


def test_regions_of_a_map():
    logits = torch.tensor([[[[2.0, -1.0]], [[1.0, -2.0]]]])  # (1, 2, 1, 2)
    assert decided(whole=logits).regions(logits).tolist() == [[[True, True]], [[False, False]]]
    assert decided("sigmoid", logits).regions(logits).tolist() == [[[True, False]], [[True, False]]]
    assert decided(whole=logits[:, :1]).regions(logits[:, :1]).tolist() == [[[True, False]]]
    assert decided().regions(LOGITS) is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("ab", "expected a sequence of names for labels, got 'ab'"),
        ({1: "a", 2: "b"}, "expected the keys 0 to 1 for labels, got 1, 2"),
        ({"a": 0, "b": 1}, "expected the keys 0 to 1 for labels, got 'a', 'b'"),
    ],
)
def test_labels_that_are_none(labels, message):
    with pytest.raises(InputError, match=message):
        as_labels(labels)
