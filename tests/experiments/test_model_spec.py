"""How models are loaded and identified."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from faked import tiny
from torch import nn

from xai_layermask import Preprocess
from xai_layermask.errors import InputError
from xai_layermask.experiments.runner import ModelSpec, model_digest
from xai_layermask.images import change_preprocess
from xai_layermask.models import Classifier


def test_a_spec_loads_weights_and_changes_the_preprocessing(tmp_path):
    state = {name: torch.zeros_like(tensor) for name, tensor in tiny().model.state_dict().items()}
    torch.save(state, tmp_path / "zeros.pt")
    found = ModelSpec("faked:tiny", str(tmp_path / "zeros.pt"), "caffe,resize=20").load()
    assert all((tensor == 0).all() for tensor in found.model.state_dict().values())
    expected = Preprocess(20, 16, (104, 117, 123), (1, 1, 1), channels="BGR", scale=255)
    assert found.preprocess == expected


def test_own_preprocessing_stays_without_words():
    own = Preprocess(31, 17, interpolation="bicubic")
    assert change_preprocess("", own) == own
    assert change_preprocess(" crop=9 , imagenet", own) == Preprocess(31, 9, interpolation="bicubic")
    assert change_preprocess("half", own) == Preprocess(31, 17, (0.5,) * 3, (0.5,) * 3, interpolation="bicubic")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("cafe", r"expected one of imagenet, half, caffe for preprocess, got 'cafe': did you mean 'caffe'"),
        ("corp=3", r"expected one of resize, crop for preprocess, got 'corp': did you mean 'crop'"),
        ("mean=0.5", r"expected one of resize, crop for preprocess, got 'mean'"),
        ("crop=x", r"expected an integer of at least 1 for crop of preprocess, got 'x'"),
    ],
)
def test_wrong_words_are_told(words, sentence):
    with pytest.raises(InputError, match=sentence):
        change_preprocess(words, Preprocess())


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.ones(1), persistent=False)
        self.activation = torch.relu

    def extra_repr(self):
        return f"activation={test_a_spec_loads_weights_and_changes_the_preprocessing!r}"


def of(model, preprocess=Preprocess()):  # noqa: B008
    return model_digest(Classifier(model, preprocess, (), "x"))


def test_whatever_changes_answers_changes_the_digest():
    model = tiny().model
    digests = [of(model), of(model, Preprocess(16, 16))]
    digests.append(of(tiny(1).model))
    with torch.no_grad():
        model[0].weight[5, 2, 2, 2] += 1e-6
    digests.append(of(model))
    model[1] = nn.GELU()
    digests.append(of(model))
    digests.append(of(model.double()))
    norm = Norm()
    digests.append(of(norm))
    norm.scale += 1
    digests.append(of(norm))
    assert len(set(digests)) == len(digests)
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in digests)


def test_names_and_bytes_do_not_flow_into_each_other():
    one, other = nn.Module(), nn.Module()
    one.a, one.b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    other.a, other.b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(2))
    assert of(one) != of(other)


def test_the_digest_is_the_same_in_another_process():
    """Addresses in memory, which a structure may show, are left out."""
    program = "import test_model_spec as t, sys; sys.stdout.write(t.of(t.tiny().model) + t.of(t.Norm()))"
    folder = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=folder,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder.parents[1]), str(folder.parent)])},
    )
    assert done.stdout == of(tiny().model) + of(Norm())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.complex64, torch.bool, torch.int8])
def test_any_type_of_weights_has_a_digest(dtype):
    model = nn.Module()
    model.register_buffer("empty", torch.empty(0, dtype=dtype))
    model.register_buffer("scalar", torch.ones((), dtype=dtype))
    before = of(model)
    model.scalar.zero_()
    assert of(model) != before
