from __future__ import annotations

import pickle
import sys

import pytest
import torch
from torch import nn

from xai_layermask.errors import InputError, reason
from xai_layermask.models import load_weights, read_state


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def random_network():
    model = network()
    for value in model.state_dict().values():
        value.copy_(torch.randn(value.shape)) if value.is_floating_point() else value.fill_(7)
    return model


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {}},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
    ],
)
def test_a_file_of_torch_in_any_wrapping(tmp_path, wrap):
    state = random_network().state_dict()
    torch.save(wrap(state), tmp_path / "x.pt")
    assert same(read_state(tmp_path / "x.pt"), state)
    assert same(read_state(str(tmp_path / "x.pt")), state)


def test_a_part_that_is_called_module_keeps_its_name(tmp_path):
    model = nn.ModuleDict({"module": nn.Linear(2, 2), "head": nn.Linear(2, 1)})
    torch.save(model.state_dict(), tmp_path / "x.pt")
    assert same(read_state(tmp_path / "x.pt"), model.state_dict())


def test_a_file_of_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    state = random_network().state_dict()
    safetensors.save_file(state, tmp_path / "x.safetensors")
    assert same(read_state(tmp_path / "x.safetensors"), state)


def test_safetensors_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    (tmp_path / "x.safetensors").write_bytes(b"anything")
    with pytest.raises(InputError, match=r"expected a state dict .* for weights, got .*x.safetensors' \(import of saf"):
        read_state(tmp_path / "x.safetensors")


class Bomb:
    def __reduce__(self):
        return (sys.exit, (99,))


def test_code_in_a_file_is_not_run(tmp_path):
    torch.save({"weight": Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(InputError, match=r"expected a state dict by torch.save .* for weights, got .*bomb.pt"):
        read_state(tmp_path / "bomb.pt")


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps([1], protocol=2)])
def test_files_of_something_else_are_named(tmp_path, name, content):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"expected a state dict .*for weights, got .*{name}") as caught:
        read_state(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], 3, {"a": 3}, torch.zeros(2), {"state_dict": {"a": "b"}}])
def test_tensors_without_names_are_named(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(InputError, match="holds something else"):
        read_state(tmp_path / "x.pt")


def test_a_folder_and_a_missing_file_are_named(tmp_path):
    for path in (tmp_path, tmp_path / "missing.pt"):
        with pytest.raises(InputError, match="expected an existing file for weights, got"):
            read_state(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_model_keeps_its_own_precision(dtype):
    state = {key: value.to(dtype) if value.is_floating_point() else value
             for key, value in random_network().state_dict().items()}
    model = network()
    load_weights(model, state, "x.pt", "x")
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert all(torch.equal(model.state_dict()[key], value.to(model.state_dict()[key].dtype))
               for key, value in state.items())


def test_counters_that_are_not_in_the_file_are_not_missed():
    state = random_network().state_dict()
    del state["1.num_batches_tracked"]
    model = network()
    load_weights(model, state, "x.pt", "x")
    assert torch.equal(model[1].running_mean, state["1.running_mean"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("0.bias"), "1 tensors missing, 0 unknown and 0 of .*'0.bias'"),
        (lambda state: state.update(more=torch.zeros(1)), "0 tensors missing, 1 unknown .* 'more'"),
        (lambda state: state.update({"0.bias": torch.zeros(5)}), "1 of another shape, such as '0.bias'"),
        (lambda state: state.clear(), "6 tensors missing"),
    ],
)
def test_weights_that_do_not_fit_are_named_and_change_nothing(change, message):
    model = random_network()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = random_network().state_dict()
    change(state)
    with pytest.raises(InputError, match=f"expected weights of the model 'tiny', got 'x.pt' with .*{message}"):
        load_weights(model, state, "x.pt", "tiny")
    assert same(model.state_dict(), before)


@pytest.mark.parametrize(
    ("error", "words"),
    [(ValueError("One.\nTwo."), "One"), (KeyError(), "KeyError"), (OSError("\n  late: \n"), "late")],
)
def test_reasons_are_one_line(error, words):
    assert reason(error) == words
