from __future__ import annotations

import argparse
import pickle
import sys
import zipfile

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


def loaded(path, model=None):
    """The state of a model with the weights of a file."""
    model = network() if model is None else model
    load_weights(model, read_state(path), path, "tiny")
    return model.state_dict()


def prefixed(state, prefix):
    return {f"{prefix}{key}": value for key, value in state.items()}


# Checkpoints as training scripts write them: where the state dict lies in the file, and what else is there.
WRAPPED = {
    "a state dict": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state, "optimizer": {}},
    "model_state_dict": lambda state: {"model_state_dict": state, "args": argparse.Namespace(lr=0.1, arch="tiny")},
    "ema": lambda state: {"ema": {"decay": 0.9, "shadow": state}},
    "teacher": lambda state: {
        "student": prefixed(state, "backbone.") | {"head.weight": torch.zeros(2)},
        "teacher": prefixed(state, "module.backbone.") | {"module.backbone.0.extra": torch.zeros(2)},
    },
    "DataParallel": lambda state: prefixed(state, "module."),
    "DistributedDataParallel": lambda state: {"state_dict": prefixed(state, "module.")},
    "compiled": lambda state: {"model": prefixed(state, "_orig_mod.")},
    "compiled in parts": lambda state: {key.replace("0.", "0._orig_mod."): value for key, value in state.items()},
    "Lightning": lambda state: {
        "pytorch-lightning_version": "2.4.0",
        "state_dict": prefixed(state, "model.") | {"loss.weight": torch.ones(4), "metric.total": torch.tensor(3)},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(4, 3, 3, 3)}}}],
        "hyper_parameters": {"lr": 0.1},
    },
    "averaged": lambda state: prefixed(state, "module.") | {"n_averaged": torch.tensor(5)},
    "one dict under two names": lambda state: {"model": state, "state_dict": state},
    "a list": lambda state: {"networks": [state]},
}  # fmt: skip


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_a_state_dict_is_found_in_any_wrapping(tmp_path, wrap):
    state = random_network().state_dict()
    torch.save(wrap(state), tmp_path / "x.pt")
    assert same(loaded(tmp_path / "x.pt"), state)
    assert same(loaded(str(tmp_path / "x.pt")), state)


def test_a_compiled_model_takes_plain_weights(tmp_path):
    state = random_network().state_dict()
    torch.save(state, tmp_path / "x.pt")
    model = torch.compile(network())
    assert next(iter(loaded(tmp_path / "x.pt", model).values())).equal(state["0.weight"])


def test_two_state_dicts_that_fit_are_both_named(tmp_path):
    one, other = random_network().state_dict(), random_network().state_dict()
    torch.save({"model_state_dict": one, "ema": prefixed(other, "module.")}, tmp_path / "x.pt")
    message = (
        "expected one state dict that fits the model 'tiny', got '.*x.pt' with 2, under 'model_state_dict', "
        "'ema.module': save one of them in a file of its own"
    )
    with pytest.raises(InputError, match=message):
        loaded(tmp_path / "x.pt")


def test_a_part_that_is_called_module_keeps_its_name(tmp_path):
    model = nn.ModuleDict({"module": nn.Linear(2, 2), "head": nn.Linear(2, 1)})
    torch.save(model.state_dict(), tmp_path / "x.pt")
    assert same(read_state(tmp_path / "x.pt"), model.state_dict())
    assert same(
        loaded(tmp_path / "x.pt", nn.ModuleDict({"module": nn.Linear(2, 2), "head": nn.Linear(2, 1)})),
        model.state_dict(),
    )


def test_containers_that_hold_themselves_end(tmp_path):
    state = dict(random_network().state_dict())
    content = {"state": state}
    content["more"] = [content, [content] * 1000]
    torch.save(content, tmp_path / "x.pt")
    assert same(loaded(tmp_path / "x.pt"), state)


def test_a_file_of_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    state = random_network().state_dict()
    safetensors.save_file(state, tmp_path / "x.safetensors")
    assert same(read_state(tmp_path / "x.safetensors"), state)


@pytest.mark.parametrize(("saved", "name"), [("safetensors", "x.pt"), ("torch", "x.safetensors"), ("torch", "x")])
def test_the_content_decides_not_the_suffix(tmp_path, saved, name):
    state = random_network().state_dict()
    if saved == "torch":
        torch.save(state, tmp_path / name)
    else:
        pytest.importorskip("safetensors.torch").save_file(state, tmp_path / name)
    assert same(loaded(tmp_path / name), state)


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


@pytest.mark.parametrize("new", [True, False], ids=["archive", "legacy"])
def test_a_whole_model_is_not_unpickled(tmp_path, new):
    torch.save({"model": network()}, tmp_path / "x.pt", _use_new_zipfile_serialization=new)
    message = (
        "expected a state dict by torch.save or safetensors for weights, got '.*x.pt', a pickle with objects of "
        r"torch.nn.modules.container.Sequential, which can run code when it is read: save model.state_dict\(\) instead"
    )
    with pytest.raises(InputError, match=message):
        read_state(tmp_path / "x.pt")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript_is_named(tmp_path):
    torch.jit.script(network()).save(tmp_path / "x.pt")
    with pytest.raises(
        InputError, match=r"got '.*x.pt', a TorchScript archive: save the state_dict\(\) of torch.jit.lo"
    ):
        read_state(tmp_path / "x.pt")


@pytest.mark.parametrize("before_torch_2_7", [False, True])
def test_an_exported_program_is_named(tmp_path, before_torch_2_7):
    torch.export.save(torch.export.export(nn.ReLU(), (torch.zeros(1),)), tmp_path / "x.pt2")
    if before_torch_2_7:
        with zipfile.ZipFile(tmp_path / "x.pt2", "w") as archive:
            archive.writestr("serialized_exported_program.json", "{}")
            archive.writestr("version", "8.1")
    with pytest.raises(
        InputError, match=r"got '.*x.pt2', a program by torch.export: save the state_dict\(\) of the model"
    ):
        read_state(tmp_path / "x.pt2")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda bias: bias.to(torch.complex64), "complex64 numbers instead of float32"),
        (lambda bias: bias.to(torch.int64), "int64 numbers instead of float32"),
        (lambda bias: bias.bool(), "bool numbers instead of float32"),
        (lambda bias: bias.to("meta"), r"a tensor without values \(on the meta device\)"),
        (lambda bias: bias.to_sparse(), "a tensor of layout sparse_coo"),
        (lambda bias: torch.quantize_per_tensor(bias, 0.1, 0, torch.qint8), "a quantised tensor"),
    ],
    ids=["complex", "integer", "bool", "meta", "sparse", "quantised"],
)  # fmt: skip
def test_weights_that_are_no_plain_floats_are_named_and_change_nothing(tmp_path, make, named):
    state = random_network().state_dict()
    torch.save({**state, "0.bias": make(state["0.bias"])}, tmp_path / "x.pt")
    model = random_network()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(InputError, match=f"weights of the model 'tiny', got {named} for '0.bias' in '.*x.pt': save"):
        loaded(tmp_path / "x.pt", model)
    assert same(model.state_dict(), before)


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps([1], protocol=2)])
def test_files_of_something_else_are_named(tmp_path, name, content):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"expected a state dict .*for weights, got .*{name}") as caught:
        read_state(tmp_path / name)
    assert not {"\n", "\x1b"} & set(str(caught.value))
    assert "weights_only" not in str(caught.value)


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
    state = {
        key: value.to(dtype) if value.is_floating_point() else value
        for key, value in random_network().state_dict().items()
    }
    model = network()
    load_weights(model, state, "x.pt", "x")
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert all(
        torch.equal(model.state_dict()[key], value.to(model.state_dict()[key].dtype)) for key, value in state.items()
    )


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
        (
            lambda state: state.update({"0.bias": torch.zeros(5)}),
            "1 of another shape, such as '0.bias' of \\(5,\\) instead of \\(4,\\)",
        ),
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
