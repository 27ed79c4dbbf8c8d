"""Rasters, missing pixels and 16 bits on the command line."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from PIL import Image

from xai_layermask.cli import main

FACTORY = """
import torch
from torch import nn
from xai_layermask.models import Classifier
from xai_layermask.images import Preprocess

def made(channels, preprocess):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(channels, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    return Classifier(model, preprocess, ("ant", "bee", "cow"), "tiny")

def bands():
    return made(13, Preprocess(32, 32, mean=0, std=1000, channels=13, bands=(3, 2, 1)))

def grey():
    return made(1, Preprocess(32, 32, 0.5, 0.5, "L"))

def unprepared():
    return made(1, Preprocess(32, 32))
"""

FAST = ["--segments", "patches:16", "--samples", "16", "--method", "shap", "--quiet"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "raster_models", raising=False)
    (tmp_path / "raster_models.py").write_text(FACTORY)
    return tmp_path


def test_a_raster_file_with_missing_pixels(folder, capsys):
    bands = np.random.default_rng(0).normal(size=(32, 32, 13)) * 1000
    np.save("bands.npy", bands)
    valid = np.full((32, 32), 255, np.uint8)
    valid[:16, :16] = 0
    Image.fromarray(valid).save("valid.png")
    words = ["bands.npy", "--valid", "valid.png", "--model", "raster_models:bands", "--json", *FAST]
    assert main(["explain", *words]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["settings"]["note"].startswith("bands 3, 2, 1 of 13 shown")
    assert [one["segment"] for one in record["targets"][0]["segments"] if not one["played"]] == [3]
    scores = {one["segment"]: one["score"] for one in record["targets"][0]["segments"]}
    assert len(scores) == 4
    assert scores[3] == 0  # the missing quarter is the last segment
    bands[:16, :16] = np.nan
    np.save("bands.npy", bands)
    assert main(["explain", *words[:1], *words[3:]]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["targets"] == record["targets"]
    assert main(["explain", "bands.npy", "--model", "raster_models:bands", "--out", "a.json", *FAST[:-1]]) == 0
    listed = capsys.readouterr().out.split("Segments with")[1].split("\n\n")[0]
    assert len(listed.splitlines()) == 2 + 3


def test_twelve_bits_are_told(folder, capsys):
    grey = np.random.default_rng(0).integers(0, 4096, (32, 32)).astype(np.uint16)
    Image.fromarray(grey).save("scan.png")
    assert main(["explain", "scan.png", "--model", "raster_models:grey", *FAST[:-1], "--out", "x.json"]) == 0
    assert "picture: 12 of 16 bits used: 4095 is white" in capsys.readouterr().out


def test_a_grey_network_without_its_preprocessing(folder, capsys):
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save("photo.png")
    assert main(["explain", "photo.png", "--model", "raster_models:unprepared", *FAST]) == 2
    error = capsys.readouterr().err
    assert "expected an image of 1 channel, which the model takes, got 3: use Preprocess(channels='L'" in error


def test_a_bad_mask_is_refused_before_the_model_is_loaded(folder, capsys):
    np.save("bands.npy", np.zeros((32, 32, 13)))
    words = ["explain", "bands.npy", "--model", "raster_models:nothing", "--valid"]
    assert main([*words, "bands.npy"]) == 2
    error = capsys.readouterr().err
    assert "expected a mask of one channel for --valid, got 'bands.npy' of shape (32, 32, 13)" in error
    assert main([*words, "gone.png"]) == 2
    assert "expected an existing file for image, got 'gone.png'" in capsys.readouterr().err
