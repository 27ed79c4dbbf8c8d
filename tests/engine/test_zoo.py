"""Some architectures with the checks of `docs/zoo.py`, whose table has all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from xai_layermask import LayerMask
from xai_layermask.models.huggingface import Logits

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

pytest.importorskip("timm")
pytest.importorskip("torchvision")

import zoo
from zoo_models import OTHERS, TIMM, TRANSFORMERS, Case

#: Types of transformers' classifiers.
KINDS = ("levit", "perceiver", "pp_lcnet", "segformer", "swinv2")

#: Models of timm, and options that make them smaller than in the table.
SMALL = {
    "convnextv2_atto": {"depths": (1, 1, 1, 1)},
    "efficientvit_m0": {"img_size": 64, "depth": (1, 1, 1)},
    "mobilenetv3_small_050": {},
    "mobilevitv2_050": {},
    "pit_ti_224": {"img_size": 64},
    "resnest14d": {},
    "starnet_s050": {},
    "swin_tiny_patch4_window7_224": {"img_size": 64, "depths": (2, 2), "num_heads": (3, 6)},
    "test_mambaout": {},
    "test_nfnet": {},
    "test_vit_relpos": {"img_size": 64},
    "xcit_nano_12_p16_224": {"img_size": 64, "depth": 1},
}


@pytest.mark.parametrize("name", SMALL)
def test_the_invariants_hold(name):
    timm = pytest.importorskip("timm")
    if not timm.is_model(name):
        pytest.skip(f"timm {timm.__version__} has no {name}")
    module = {name: module for module, name, *_ in TIMM}[name]
    hold(Case("timm", module, name, 64, SMALL[name]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_invariants_hold_for_transformers(kind):
    transformers = pytest.importorskip("transformers")
    found = next(case for case in TRANSFORMERS if case[0] == kind)
    if not hasattr(transformers, found[1]):
        pytest.skip(f"transformers {transformers.__version__} has no {found[1]}")
    hold(Case("transformers", *found))


@pytest.mark.parametrize("name", ["lraspp_mobilenet_v3_large", "DINOv3ViTBackbone", "YolosForObjectDetection"])
def test_the_invariants_hold_for_other_outputs(name):
    case = Case(*next(one for one in OTHERS if one[2] == name))
    if not hasattr(pytest.importorskip(case.library), name) and case.library == "transformers":
        pytest.skip(f"this version of transformers has no {name}")
    hold(case)


def hold(case):
    found = zoo.check(case)
    assert found.get("error") is None
    assert found["refused"] == []
    assert found["pixels"] and found["nothing"]
    assert found["poison"] == [0, 0]
    precise = found.get("double", found)
    assert precise["present"] < zoo.PRECISE
    assert precise["shift"] < zoo.PRECISE
    assert found["moves"] > 100 * zoo.PRECISE  # half of the image matters


def test_a_refused_architecture_is_named_before_it_runs():
    found = zoo.check(Case("timm", "sequencer", "sequencer2d_s", 64, {"img_size": 64, "layers": (1, 1, 1, 1)}))
    assert [(operator, reason) for operator, reason, _ in found["refused"]] == [
        ("aten.lstm.input", "a recurrent output depends on all preceding inputs")
    ]
    assert "present" not in found


@pytest.mark.parametrize("name", ["Cvt", "Swin"])
def test_transformers_with_windows_and_convolutions(name):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    options = {
        "Cvt": {"embed_dim": [8, 16, 16], "num_heads": [1, 2, 2], "depth": [1, 2, 3]},
        "Swin": {"image_size": 64, "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4},
    }[name]
    config = getattr(transformers, f"{name}Config")(**options)
    masked = LayerMask(Logits(getattr(transformers, f"{name}ForImageClassification")(config)).eval())
    x = torch.randn(2, 3, 64, 64)
    assert masked.unsupported(x.shape) == []
    with torch.no_grad():
        presence = zoo.half(x)
        torch.testing.assert_close(masked(x, torch.ones_like(presence)), masked.model(x))
        assert torch.equal(masked(torch.where(presence, x, torch.nan), presence), masked(x, presence))
        zeroed, *others = (zoo.poisoned_answer(masked, x, presence, number) for number in (0.0, float("nan"), 1e4))
        assert all(torch.equal(one, zeroed) for one in others)


def test_the_page_names_what_is_refused_and_what_fails(monkeypatch):
    monkeypatch.setattr(zoo, "_version", lambda name: "1.0")  # not all libraries are installed with the tests
    fine = {"present": 1e-6, "pixels": True, "nothing": True, "poison": [0.0, 0.0], "shift": 2e-6}
    head = {"library": "timm", "side": 64, "options": {}}
    text = zoo.page(
        [
            {**head, "module": "a", "name": "one", "refused": [], "plain": 1.0, "masked": 1.2, **fine},
            {**head, "module": "a", "name": "two", "refused": [["aten.lstm.input", "recurrent", 3]]},
            {**head, "module": "b", "name": "three", "refused": [["aten.lstm.input", "recurrent", 3]]},
            {**head, "module": "c", "name": "four", "error": "RuntimeError: a | b"},
            {**head, "library": "transformers", "module": "d", "name": "DForImageClassification", "error": "no"},
        ]
    )
    assert "models of 1 of the 3 modules of timm" in text
    assert "0 of the 1 classifiers of transformers" in text
    assert "0 of the 0 other models" in text
    assert "| D | d | 64 | no |" in text
    assert "| one | a | 64 | yes | 1e-06 | yes | 0 | 2e-06 | yes | 1.2 |" in text
    assert "| two | a | 64 | refused: aten.lstm.input: recurrent |" in text
    assert "| four | c | 64 | RuntimeError: a / b |" in text
