"""Classifiers of transformers from a folder: their answers, processors and labels."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from xai_layermask import LayerMask, LayerMaskExplainer
from xai_layermask.errors import InputError
from xai_layermask.images import sample_photograph
from xai_layermask.models import load

transformers = pytest.importorskip("transformers")
LABELS = {0: "ant", 1: "bee", 2: "cow"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("the test opened a connection")

    monkeypatch.setattr("socket.socket.connect", refuse)


def vit(folder, labels=LABELS, processor=None):
    """A small vision transformer with random weights, saved as its library saves it."""
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8,
        num_labels=3, **({"id2label": labels, "label2id": {b: a for a, b in labels.items()}} if labels else {}),
    )  # fmt: skip
    model = transformers.ViTForImageClassification(config).eval()
    model.save_pretrained(folder)
    (processor or transformers.ViTImageProcessor(size={"height": 32, "width": 32})).save_pretrained(folder)
    return model


def test_a_folder_is_its_model_with_its_processor_and_labels(tmp_path, capfd):
    reference = vit(tmp_path)
    capfd.readouterr()
    classifier = load(f"hf:{tmp_path}")
    assert capfd.readouterr() == ("", "")
    assert classifier.labels == ("ant", "bee", "cow")
    assert classifier.name == f"hf:{tmp_path}"
    assert (classifier.preprocess.resize, classifier.preprocess.crop) == ((32, 32), None)
    assert classifier.preprocess.mean == (0.5, 0.5, 0.5)
    image = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(classifier.model(image), reference(image).logits)
    masked = LayerMask(classifier.model)
    presence = torch.ones(1, 1, 32, 32)
    torch.testing.assert_close(masked(image, presence), masked(image))
    presence[..., 16:] = 0
    elsewhere = torch.where(presence > 0, image, 7.0)
    assert torch.equal(masked(image, presence), masked(elsewhere, presence))


def test_a_convolutional_network_is_explained(tmp_path):
    torch.manual_seed(0)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", num_labels=2)
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path)
    transformers.ConvNextImageProcessor(size={"shortest_edge": 28}).save_pretrained(tmp_path)
    explainer = LayerMaskExplainer(f"hf:{tmp_path}", segments="patches:14", n_samples=10, progress=False)
    explanation = explainer.explain(sample_photograph(), [0])
    assert explanation.scores.shape == (1, 4)
    assert explanation.labels == ("0",)  # transformers' own LABEL_0 is no name


def cvt(folder, depth):
    torch.manual_seed(0)
    config = transformers.CvtConfig(embed_dim=[8, 16, 16], num_heads=[1, 2, 2], depth=[1, 2, 3], num_labels=2)
    transformers.CvtForImageClassification(config).save_pretrained(folder)
    transformers.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.8).save_pretrained(folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"depth": depth}))


def test_a_convolutional_transformer_is_explained(tmp_path):
    cvt(tmp_path, [1, 2, 3])
    explainer = LayerMaskExplainer(f"hf:{tmp_path}", segments="patches:16", n_samples=10, progress=False)
    assert explainer.explain(sample_photograph(), [0]).scores.shape == (1, 4)


def test_what_transformers_cannot_build_is_one_sentence(tmp_path):
    """CvT takes the drop rate of stage k from place k of a list of depth[k]: stage k needs more than k blocks."""
    cvt(tmp_path, [1, 1, 1])
    message = r"^expected an image classifier .*, got IndexError \(list index out of range\), raised by transformers$"
    with pytest.raises(InputError, match=message):
        load(f"hf:{tmp_path}")


# Each family resizes in its own way, which its settings alone do not tell.
PROCESSORS = {
    "ViT": lambda: transformers.ViTImageProcessor(size={"height": 32, "width": 24}, image_std=[0.2, 0.3, 0.4]),
    "DeiT": lambda: transformers.DeiTImageProcessor(
        size={"height": 36, "width": 36}, crop_size={"height": 32, "width": 32}
    ),
    "CLIP": lambda: transformers.CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    ),
    "ConvNeXt": lambda: transformers.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.8),
    "large ConvNeXt": lambda: transformers.ConvNextImageProcessor(size={"shortest_edge": 384}),
    "LeViT": lambda: transformers.LevitImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    ),
    "PoolFormer": lambda: transformers.PoolFormerImageProcessor(),
    "MobileViT": lambda: transformers.MobileViTImageProcessor(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}
    ),
    "EfficientNet": lambda: transformers.EfficientNetImageProcessor(size={"height": 32, "width": 32}, resample=2),
    "offset EfficientNet": lambda: transformers.EfficientNetImageProcessor(
        size={"height": 32, "width": 32}, resample=2, rescale_factor=1 / 127.5, rescale_offset=True
    ),
    "PP-LCNet": lambda: transformers.PPLCNetImageProcessor(resize_short=36, crop_size=32),
}  # fmt: skip


@pytest.mark.parametrize("make", PROCESSORS.values(), ids=PROCESSORS)
def test_preprocessing_is_the_processors_own(tmp_path, make):
    vit(tmp_path, processor=make())
    preprocess = load(f"hf:{tmp_path}", pretrained=False).preprocess
    picture = np.ascontiguousarray(sample_photograph()[50:350, 100:500])
    wanted = make()(picture, return_tensors="pt")["pixel_values"]
    found = preprocess(picture).tensor
    assert found.shape == wanted.shape
    assert (found - wanted).abs().mean() < 0.02


def test_a_processor_that_does_something_else_is_named(tmp_path):
    vit(tmp_path, processor=transformers.ViTImageProcessor(size={"height": 32, "width": 32}))
    settings = json.loads((tmp_path / "preprocessor_config.json").read_text())
    settings |= {"do_pad": True, "image_processor_type": "DetrImageProcessor", "size": {"height": 9, "width": 32}}
    settings["pad_size"] = {"height": 32, "width": 32}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    message = "expected an image processor that resizes, crops at the centre and normalises .*, got DetrImageProcessor"
    with pytest.raises(InputError, match=message):
        load(f"hf:{tmp_path}")


def test_logits_under_another_name_and_a_configuration_without_labels(tmp_path):
    """PP-LCNet returns its logits as the last hidden state, and PVT's configuration has no labels at all."""
    if not hasattr(transformers, "PPLCNetForImageClassification"):
        pytest.skip("this version of transformers has no PP-LCNet")
    torch.manual_seed(0)
    (tmp_path / "lcnet").mkdir()
    config = transformers.PPLCNetConfig(id2label={0: "cat", 1: "dog"})
    reference = transformers.PPLCNetForImageClassification(config).eval()
    reference.save_pretrained(tmp_path / "lcnet")
    transformers.PPLCNetImageProcessor().save_pretrained(tmp_path / "lcnet")
    classifier = load(f"hf:{tmp_path / 'lcnet'}")
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(classifier.model(image), reference(image).last_hidden_state)
    assert classifier.labels == ("cat", "dog")

    config = transformers.PvtConfig(hidden_sizes=[8, 8, 8, 16], num_attention_heads=[1, 1, 1, 1], depths=[1, 1, 1, 1])
    transformers.PvtForImageClassification(config).save_pretrained(tmp_path)
    transformers.PvtImageProcessor().save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings | {"id2label": None}))
    assert load(f"hf:{tmp_path}").labels == ()


def test_a_processor_that_makes_no_image_is_named(tmp_path):
    config = transformers.ImageGPTConfig(n_embd=16, n_layer=1, n_head=2, n_positions=16, num_labels=2)
    transformers.ImageGPTForImageClassification(config).save_pretrained(tmp_path)
    processor = transformers.ImageGPTImageProcessor(clusters=np.eye(3) - 0.5, size={"height": 4, "width": 4})
    processor.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"expected an image processor that resizes, .*, got ImageGPTImageProcessor"):
        load(f"hf:{tmp_path}")


def test_a_head_without_weights_is_not_left_random(tmp_path):
    model = vit(tmp_path)
    model.vit.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=f"weights of an image classifier for .*{tmp_path.name}', got none for 'class"):
        load(f"hf:{tmp_path}")


def test_weights_of_a_file_replace_those_of_the_folder(tmp_path):
    state = vit(tmp_path).state_dict()
    torch.save({"state_dict": {f"model.{key}": value + 1 for key, value in state.items()}}, tmp_path / "x.ckpt")
    model = load(f"hf:{tmp_path}", weights=tmp_path / "x.ckpt").model
    assert all(torch.equal(model.state_dict()[f"model.{key}"], value + 1) for key, value in state.items())


def test_a_folder_of_something_else_and_a_missing_package_are_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"an image classifier with its image processor, .*'hf:.*', got \w+"):
        load(f"hf:{tmp_path}")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"the package transformers to be installed, .*xai-layermask\[hf\]"):
        load(f"hf:{tmp_path}")
