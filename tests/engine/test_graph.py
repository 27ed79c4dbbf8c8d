"""Capturing a model: what is recorded, what is looked up anew, what is refused."""

from __future__ import annotations

import pytest
import torch
from by_hand import Function
from torch import nn

from xai_layermask.engine.capture import capture
from xai_layermask.engine.graph import operator_name, same, tensors
from xai_layermask.errors import CaptureError
from xai_layermask.maskings import LayerMask

CPU = torch.device("cpu")
SHAPE = (2, 3, 8, 8)


def captured(model, shape=SHAPE):
    return capture(model, shape, torch.float32, CPU)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.ReLU(), nn.Flatten()))


def replayed(graph, model, x):
    values = {**graph.state(CPU), graph.image: x}
    for step in graph.steps(len(x)):
        values[step.index] = step(values)
    return graph.output(values)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_graph_replays_the_model_for_any_batch(batch):
    model = network().eval()
    x = torch.randn(batch, 3, 8, 8)
    graph = captured(model)
    assert graph.batch is None
    assert torch.equal(replayed(graph, model, x), model(x))


def test_steps_know_their_shapes_operators_and_modules():
    steps = captured(network()).steps(5)
    assert [(step.name, step.path) for step in steps] == [
        ("aten.conv2d.default", "0"),
        ("aten.batch_norm.default", "1"),
        ("aten.relu.default", "2.0"),
        ("aten.flatten.using_ints", "2.1"),
    ]
    assert [step.shape for step in steps] == [(5, 4, 6, 6)] * 3 + [(5, 144)]


def test_a_graph_holds_no_parameters():
    model = network().eval()
    graph, x = captured(model), torch.randn(2, 3, 8, 8)
    nn.init.ones_(model[0].weight)
    model[1].running_mean = torch.ones(4)
    assert torch.equal(replayed(graph, model, x), model(x))
    assert all(any(value is t for t in tensors(model.modules())) for value in graph.state(CPU).values())


def test_a_graph_fits_as_long_as_the_modules_are_the_same():
    model = network()
    graph = captured(model)
    assert graph.fits(model)
    model[2][0] = nn.ReLU()
    assert not graph.fits(model)
    model = network()
    graph = captured(model)
    model.append(nn.ReLU())
    assert not graph.fits(model)
    model = network()
    graph = captured(model)
    model[0].bias = None if model[0].bias is not None else nn.Parameter(torch.ones(model[0].out_channels))
    assert not graph.fits(model)
    assert same([model, graph], [model, graph])
    assert not same([model], [network()])


def test_any_structure_is_returned_as_the_model_returns_it():
    def answer(x, conv):
        y = conv(x)
        return {"map": y, "rest": (y.mean((2, 3)), [y * 2], 7)}

    model, (x, presence) = Function(answer, nn.Conv2d(3, 4, 1)), (torch.randn(SHAPE), torch.ones(1, 1, 8, 8))
    found, own = LayerMask(model)(x, presence), model(x)
    assert found["rest"][2] == 7
    torch.testing.assert_close(found["map"], own["map"])
    torch.testing.assert_close(found["rest"][0], own["rest"][0])
    torch.testing.assert_close(found["rest"][1][0], own["rest"][1][0])


def test_in_place_operators_rename_what_they_write():
    def steps(x):
        y = x * 2
        y.relu_()
        y.add_(1)
        return y * 3

    model = Function(steps)
    found = captured(model).steps(2)
    names = ["aten.mul.Tensor", "aten.relu_.default", "aten.add_.Tensor", "aten.mul.Tensor"]
    assert [step.name for step in found] == names
    assert found[3].inputs == (found[2].index,)
    x = torch.randn(SHAPE)
    assert torch.equal(replayed(captured(model), model, x.clone()), model(x))


def test_a_model_that_insists_on_a_batch_size():
    model = Function(lambda x: x.view(2, -1))
    graph = captured(model)
    assert graph.batch == 2
    assert graph.steps(2)[-1].shape == (2, 192)


def test_batch_sizes_that_are_computed():
    model = Function(lambda x: torch.cat([x, x]).reshape(2 * x.shape[0], -1) / x.shape[0])
    graph, x = captured(model), torch.randn(3, 3, 8, 8)
    assert torch.equal(replayed(graph, model, x), model(x))


class Counting(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))
        self.plain = torch.zeros(1)
        self.how = how

    def forward(self, x):
        if self.how == "assigned":
            self.count = self.count + 1
        elif self.how == "written":
            self.count.add_(1)
        elif self.how == "through a view":
            self.count[0].add_(1)
        else:
            self.plain.add_(1)
        return x * self.count


@pytest.mark.parametrize("how", ["assigned", "written", "through a view", "an attribute"])
def test_models_that_change_their_own_state(how):
    model = Counting(how)
    message = (
        "expected a model that does not change its state in evaluation mode, got a write to a parameter or buffer by "
        r"aten\.\w+\.\w+ in the model: write to a copy"
    )
    with pytest.raises(CaptureError, match=message):
        LayerMask(model)(torch.zeros(SHAPE), torch.ones(1, 1, 8, 8))
    assert model.count.eq(0).all()
    assert model.plain.eq(0).all()


def test_writing_to_what_the_model_makes_itself_is_no_change_of_state():
    def answer(x):
        y = torch.zeros(1)
        y.add_(2)
        return x * y

    x = torch.randn(SHAPE)
    assert torch.equal(LayerMask(Function(answer))(x, torch.ones(1, 1, 8, 8)), x * 2)


def test_names_of_operators():
    assert operator_name(torch.ops.aten.relu.default) == "aten.relu.default"
    assert operator_name(len) == "builtins.len"


def test_autocast_around_the_first_call_does_not_stay_in_the_graph():
    model, x, presence = network().eval(), torch.randn(SHAPE), torch.ones(1, 1, 8, 8)
    masked = LayerMask(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert masked(x, presence).dtype == model(x).dtype
    assert masked(x, presence).dtype == torch.float32
    torch.testing.assert_close(masked(x, presence), model(x), atol=1e-5, rtol=1e-5)
