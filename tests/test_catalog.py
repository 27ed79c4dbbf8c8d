"""The catalog's names are those of what it lists, and every name is checked in one place."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from xai_layermask import catalog
from xai_layermask.dataset import LAYOUTS
from xai_layermask.errors import InputError
from xai_layermask.experiments.protocols import PROTOCOLS
from xai_layermask.experiments.report import SECTIONS
from xai_layermask.explain.procedures import PROCEDURES
from xai_layermask.explain.sampling import LIME_SCHEMES, SHAP_SCHEMES
from xai_layermask.images import sample_photograph
from xai_layermask.segments import segment


def test_methods_have_the_samplings_that_are_listed():
    assert list(catalog.METHODS) == list(PROCEDURES)
    assert catalog.METHODS["lime"].samplings == tuple(LIME_SCHEMES)
    assert catalog.METHODS["shap"].samplings == tuple(SHAP_SCHEMES)
    assert set(catalog.SAMPLINGS) == {"auto"}.union(*(entry.samplings for entry in catalog.METHODS.values()))
    assert all(entry.auto in entry.samplings for entry in catalog.METHODS.values())


def test_every_segmentation_cuts_a_picture():
    picture = sample_photograph()[:112, :112]
    for name, argument in catalog.SEGMENTATIONS.items():
        assert segment(picture, name).shape == (112, 112)
        if argument is not None:
            assert catalog.parse_segmentation(f"{name}:9") == (name, {argument: 9})
            assert segment(picture, f"{name}:9").max() != segment(picture, name).max()


def test_markers_tell_maskings_apart():
    markers = [entry.marker for entry in catalog.MASKINGS.values() if entry.marker]
    assert len(set(markers)) == len(markers) > 10


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("layer", ("layer:LayerMask", {})),
        ("layer-zero", ("layer:LayerMask", {"padding": "zero"})),
        ("grey", ("fill:Fill", {"colour": "grey"})),
        ("layer-until:layer1.0:x", ("layer:LayerMask", {"until": "layer1.0:x"})),
        ("layer-threshold:1e-05", ("layer:LayerMask", {"threshold": 1e-05})),
        ("(12.5, 0,255)", ("fill:Fill", {"colour": (12.5, 0.0, 255.0)})),
    ],
)
def test_a_masking_is_a_class_with_options(name, parsed):
    assert catalog.parse_masking(name) == parsed


@pytest.mark.parametrize(
    ("check", "name", "sentence"),
    [
        (catalog.parse_masking, "gray", "expected one of black, .*, (r,g,b) for it, got 'gray': did you mean 'grey'?"),
        (catalog.parse_masking, "layer-until", ".* got 'layer-until': did you mean 'layer-until:MODULE'?"),
        (catalog.parse_masking, "layer-until:", ".* got 'layer-until:': did you mean 'layer-until:MODULE'?"),
        (catalog.parse_masking, "layer-threshold:2", "expected layer-threshold:T with T from 0 to 1 for it, got"),
        (catalog.parse_masking, "layer-threshold:x", "expected layer-threshold:T with T from 0 to 1 for it, got"),
        (catalog.parse_masking, "layer-threshold:nan", "expected layer-threshold:T with T from 0 to 1 for it, got"),
        (catalog.parse_masking, "(1,2)", "expected a colour (r,g,b) from 0 to 255 for it, got '(1,2)': for example"),
        (catalog.parse_masking, "(1,2,256)", "expected a colour (r,g,b) from 0 to 255 for it, got '(1,2,256)'"),
        (catalog.parse_masking, "1,2,3", "expected a colour (r,g,b) from 0 to 255 for it, got '1,2,3'"),
        (catalog.parse_masking, None, "expected one of black, .* for it, got None"),
        (catalog.parse_segmentation, "squares", ".* for it, got 'squares': did you mean 'patches'?"),
        (catalog.parse_segmentation, "quickshift:3", "expected quickshift without a number for it, got"),
        (catalog.parse_segmentation, "slic:", "expected slic:N with an integer N of at least 1 for it, got 'slic:'"),
        (catalog.parse_segmentation, "slic:0", "expected slic:N with an integer N of at least 1 for it, got"),
        (catalog.parse_segmentation, 3, "expected one of patches, slic, quickshift, felzenszwalb for it, got 3"),
        (catalog.check_model, "lite7", ".* package.module:factory for it, got 'lite7': did you mean 'lite2'?"),
        (catalog.check_model, "resnet50", ".* did you mean 'torchvision:resnet50' or 'timm:resnet50'?"),
        (catalog.check_model, "timn:x", ".* 'timn:x', and there is no module 'timn': did you mean 'timm:x'?"),
        (catalog.check_model, ":x", "expected one of lite0, .* for it, got ':x'"),
        (catalog.check_model, None, "expected one of lite0, .* for it, got None"),
    ],
)
def test_an_unknown_name_is_one_sentence(check, name, sentence):
    with pytest.raises(InputError) as caught:
        check(name, "it")
    for part in sentence.split(".*"):
        assert part in str(caught.value)


def test_a_method_refuses_the_sampling_of_another():
    assert catalog.check_sampling("orthogonal", "lime") == "orthogonal"
    schemes = "auto, plain, paired, stratified, leverage"
    sentence = f"expected one of {schemes} for sampling of method 'shap', got 'orthogonal'"
    with pytest.raises(InputError, match=sentence):
        catalog.check_sampling("orthogonal", "shap")


def test_layouts_and_protocols_are_those_that_are_listed():
    assert ("auto", *LAYOUTS) == catalog.LAYOUTS
    settings = {name: tuple(field.name for field in dataclasses.fields(one)) for name, one in PROTOCOLS.items()}
    assert settings == catalog.PROTOCOL_SETTINGS
    assert list(catalog.PROTOCOL_SETTINGS) == list(SECTIONS)


def test_torchvision_has_the_classifiers_that_are_suggested():
    models = pytest.importorskip("torchvision.models")
    assert {"resnet18", "vgg16"} <= set(catalog.TORCHVISION) <= set(models.list_models(module=models))


def test_other_words_lead_to_a_name():
    known = {*catalog.DEVICES, *catalog.PRECISIONS, *catalog.METHODS, *catalog.MODELS, *catalog.SEGMENTATIONS}
    assert set(catalog.ALIASES.values()) <= known
    assert not set(catalog.ALIASES) & known


def test_names_are_checked_without_torch():
    program = (
        "import sys; from xai_layermask.catalog import *\n"
        "parse_masking('layer'), parse_segmentation('slic'), check_model('lite0'), check_sampling('auto', 'shap')\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
