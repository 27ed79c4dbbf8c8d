"""What pages hold: everything that they show, escaped, in few bytes."""

from __future__ import annotations

import dataclasses
import html as html_module
import json
import os
import re
import shlex

import jinja2
import numpy as np
import pytest
import torch
from explained import SETTINGS, explanation
from shown import SEGMENTS, patches
from skimage.data import astronaut
from skimage.segmentation import slic
from skimage.transform import resize

from xai_layermask import LayerMaskExplainer, Output, Preprocess
from xai_layermask.cli.parser import parse
from xai_layermask.errors import InputError
from xai_layermask.metrics import Ablation, Curve, Removal
from xai_layermask.models import class_index
from xai_layermask.plots.palette import STOPS
from xai_layermask.viewer import Entry, embed, index, page, render, still
from xai_layermask.viewer.encoding import encode_map
from xai_layermask.viewer.templates import json_block

HOSTILE = "</script><script>alert(1)</script><!--<b>'\"&\u2028"


def data_of(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])


def decoded(encoded):
    """The naive inverse of the run lengths."""
    import base64

    numbers, value, factor = [], 0, 1
    for byte in base64.b64decode(encoded["runs"]):
        value += (byte & 127) * factor
        factor *= 128
        if byte < 128:
            numbers.append(value)
            value, factor = 0, 1
    flat = [segment for segment, run in zip(numbers[::2], numbers[1::2], strict=True) for _ in range(run)]
    return np.array(flat).reshape(encoded["height"], encoded["width"])


def removal(target, values=(0.9, 0.1)):
    curve = Curve("grey", target, np.array([0.0, 1.0]), np.array(values))
    return Removal(curve, curve, Ablation("grey", 20, (target,), (target,)))


@pytest.mark.parametrize("seed", range(3))
def test_maps_of_segments_come_back(seed):
    generator = np.random.default_rng(seed)
    for shape, count in (((1, 1), 1), ((7, 5), 3), ((40, 300), 2), ((30, 20), 600)):
        segments = generator.integers(0, count, shape)
        assert np.array_equal(decoded(encode_map(segments)), segments)


def test_a_page_of_a_photograph_with_five_targets_is_small():
    picture = (resize(astronaut(), (224, 224)) * 255).astype(np.uint8)
    segments = slic(picture, n_segments=200, start_label=0)
    _, segments = np.unique(segments, return_inverse=True)
    segments = segments.reshape(224, 224)
    generator = np.random.default_rng(0)
    shape = (5, segments.max() + 1)
    one = explanation(
        picture=picture, segments=segments, scores=generator.normal(size=shape), prior=np.full((5, 3), np.nan),
        standard_errors=np.abs(generator.normal(size=shape)), targets=(1, 2, 3, 4, 5), labels=tuple("abcde"),
        **{name: np.full(5, 0.5) for name in ("reliability", "predictions", "probabilities", "intercept", "r2")},
    )  # fmt: skip
    assert len(page(one).encode()) < 400_000


def test_the_numbers_are_exact_and_maps_are_stored_once():
    one, other = patches("grey"), patches("layer")
    found = data_of(page([one, other]))
    assert len(found["maps"]) == 1
    assert np.array_equal(decoded(found["maps"][0]), SEGMENTS)
    assert np.array_equal(found["maskings"][1]["scores"], other.scores)
    assert [masking["name"] for masking in found["maskings"]] == ["grey-out", "layer masking"]
    assert found["stops"] == list(STOPS)
    segments = SEGMENTS.T.copy()
    assert len(data_of(page([one, patches("layer", segments=segments)]))["maps"]) == 2


def test_names_that_are_equal_get_numbers():
    assert [one["name"] for one in data_of(page([patches(), patches()]))["maskings"]] == [
        "layer masking", "layer masking 2",
    ]  # fmt: skip


def test_everything_from_outside_is_escaped():
    one = explanation(
        labels=(HOSTILE, "cock"), output=HOSTILE, settings=dataclasses.replace(SETTINGS, model=HOSTILE, note=HOSTILE)
    )
    html = page({HOSTILE: one, "b": one}, title=HOSTILE, source=HOSTILE, command=HOSTILE)
    assert html.count("<script") == html.count("</script") == 2
    assert "<b>" not in html
    assert "\u2028" not in html.split('id="data">')[1].split("</script>")[0]
    assert data_of(html)["targets"][0]["label"] == HOSTILE
    assert data_of(html)["source"] == HOSTILE
    framed = embed(html)
    assert "<script" not in framed
    assert html_module.unescape(re.search(r'srcdoc="([^"]*)"', framed)[1]) == html
    listed = index([Entry(HOSTILE, HOSTILE, "", HOSTILE, HOSTILE, HOSTILE)], title=HOSTILE)
    assert listed.count("<script") == 1
    assert "alert(1)</script>" not in listed


def test_the_policy_allows_the_script_and_nothing_else():
    html = page(patches())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]
    assert not re.search(r"\son\w+=", html.split('id="data">')[0])


def test_json_of_infinite_numbers_is_an_error():
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_block(float("inf"))


def test_the_command_is_understood_and_complete():
    one = explanation(settings=dataclasses.replace(SETTINGS, sampling="orthogonal", estimator="ridge"))
    command = data_of(page(one, source="a b's.png"))["command"]
    args = parse(shlex.split(command)[1:])
    made = one.settings
    assert (args.image, args.model, args.masking, args.segments) == ("a b's.png", "lite0", "layer", "patches:8")
    assert (args.samples, args.seed, args.sampling, args.estimator) == (50, 3, "orthogonal", "ridge")
    assert args.target == ["281", "7"]
    assert args.output == made.output
    assert page(one, source="a b's.png").count("Copy") > 0


def test_the_command_means_classes_whose_names_are_numbers():
    names = ("1", "2", "3")
    one = explanation(targets=(1, 0), labels=("2", "1"))
    args = parse(shlex.split(data_of(page(one, source="a.png"))["command"])[1:])
    assert [class_index(names, target) for target in args.target] == [1, 0]


def test_names_that_are_not_utf_8_are_stored():
    name = os.fsdecode(b"\xff.png")
    html = page(explanation(), source=name, title=name)
    assert data_of(html.encode().decode())["source"] == name
    assert r"\udcff.png" in index([Entry("", name)], title=name).encode().decode()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model": "torch.nn.modules.container.Sequential"}, "The model was passed as an object"),
        ({"segments": "array"}, "The segments were passed as an array"),
        ({"segments": "function slic"}, "The segments were passed as an array or a function"),
        ({"preprocess": "Compose(...)"}, "The preprocessing was passed as a function"),
        ({"masking": "Windowed"}, "The masking was made in Python"),
        ({"masking": "calibrated-layer"}, "The masking was made in Python"),
        ({"select": "function inner"}, "The part of the model&#39;s output was selected in Python"),
        ({"select": "0"}, "The part of the model&#39;s output was selected in Python"),
        ({"select": -1}, "The part of the model&#39;s output was selected in Python"),
        ({"given": "logits"}, "What the model&#39;s numbers are was said in Python"),
        ({"channels": (0,)}, "Segments were removed in some channels only"),
        ({"additional": 2}, "The model was given additional arguments"),
    ],
)
def test_what_no_command_repeats_says_so(changes, why):
    html = page(explanation(settings=dataclasses.replace(SETTINGS, **changes)))
    assert data_of(html)["command"] == ""
    assert why in html


def test_the_command_of_missing_pixels_needs_their_mask():
    whole, part = (data_and_note(explanation(played=np.arange(4) < number)) for number in (4, 3))
    assert whole[0] == part[0] != ""
    assert "--valid" not in whole[1]
    for (_, html), count in ((whole, 4), (part, 3)):
        assert f"<span>{count} segments</span>" in html
        assert data_of(html)["maskings"][0]["made"].startswith(f"The picture was divided into {count} segments")
    assert "Add --valid FILE if missing pixels were marked by a mask." in part[1]


def data_and_note(one):
    html = page(one, source="a.png")
    return data_of(html)["command"], html


def test_what_python_alone_can_say_is_recorded():
    def halves(image):
        return np.repeat([[0] * 16 + [1] * 16], 32, axis=0)

    class Two(torch.nn.Module):
        def forward(self, image, factor=None):
            return image.mean((2, 3)) * (1 if factor is None else factor[:, None])

    def settings(segments="patches:16", output="auto", **arguments):
        explainer = LayerMaskExplainer(Two(), segments=segments, output=output, masking="grey", method="ablation",
                                       preprocess=Preprocess(32, 32), progress=False)  # fmt: skip
        return explainer.explain(torch.rand(3, 32, 32), **arguments).settings

    plain = settings()
    assert (plain.segments, plain.channels, plain.additional, plain.given) == ("patches:16", None, 0, "auto")
    assert settings(halves).segments.startswith("function ")
    assert settings(channels=[0, 2]).channels == (0, 2)
    assert settings(additional_forward_args=torch.ones(1)).additional == 1
    said = settings(output=Output(select=lambda answer: answer, given="logits"))
    assert (said.select.partition(" ")[0], said.given) == ("function", "logits")


def test_measures_are_those_of_the_metrics():
    one, mask = patches(), SEGMENTS >= 8
    html = page(one, mask=mask, curves={"layer masking": [removal(281), removal(7)]})
    measures = data_of(html)["maskings"][0]["measures"]
    assert measures[0]["alignment"] == one.alignment(mask, 281)
    assert measures[1]["jaccard"] == one.jaccard(mask, 20, 7)
    assert measures[0]["deletion"] == {"x": [0.0, 1.0], "y": [0.9, 0.1], "auc": 0.5, "by": "grey-out"}
    assert measures[0]["kept"] is True


@pytest.mark.parametrize(
    ("explanations", "options", "words"),
    [
        (list, {}, "expected at least one explanation, got none"),
        (lambda: [patches(), patches(picture=np.zeros((64, 64, 3)))], {}, "expected explanations of the same picture"),
        (lambda: [patches(), patches(targets=(281, 8))], {}, "expected explanations of the same targets"),
        (patches, {"curves": {"mine": []}}, r"expected names of explanations \(layer masking\) in curves, got 'mine'"),
        (patches, {"curves": {"layer masking": []}}, "expected one result for each of 2 targets in curves, got 0"),
        (patches, {"mask": np.zeros((3, 3))}, "mask"),
        (patches, {"look": {"style": "overlap"}}, "did you mean 'overlay'"),
    ],
)
def test_arguments_that_do_not_fit(explanations, options, words):
    with pytest.raises(InputError, match=words):
        page(explanations(), **options)


def test_a_frame_has_no_access_and_a_fallback():
    framed = embed("<p>", height=300, fallback="<img alt='still'>")
    assert 'sandbox="allow-scripts allow-downloads"' in framed
    assert framed.index("<img alt='still'>") < framed.index("<iframe")
    with pytest.raises(InputError, match="expected an integer of at least 100 for height, got 20"):
        embed("", height=20)


def test_the_still_shows_signs_in_the_palette():
    one = patches(picture=np.full((64, 64, 3), 128, np.uint8))
    picture = still(one)
    against, support = picture[0, 0].astype(int), picture[-1, -1].astype(int)
    assert against[2] > against[0] + 20
    assert support[0] > support[2] + 100


def test_the_options_of_figures_are_the_first_state():
    look = data_of(page(patches(), look={"style": "top", "sign": "positive", "scale": "own", "vmax": 2.0}))["look"]
    assert look == {
        "opacity": 0, "dim": True, "outlines": False, "count": 20, "sign": "positive", "scale": "own", "vmax": 2.0,
    }  # fmt: skip
    assert data_of(page(patches(), look={"cmap": "PuOr"}))["stops"][0] == "#7f3b08"


def test_a_missing_value_of_a_template_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'rows' is undefined"):
        render("viewer_fallback.html", figure="", labels=("a",))
