"""The script that checks and times an accelerator, on whatever device there is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

pytest.importorskip("torchvision")

import gpu


def test_a_dry_run_writes_every_table(tmp_path, capsys):
    page = tmp_path / "page.md"
    assert gpu.main(["--tiny", "--device", "cpu", "--out", str(page)]) == 0
    text = page.read_text()
    assert "| resnet18 | " in text
    assert "fills by operators of torch" in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| tiny")]
    assert [row[1:3] for row in rows] == [[how, batch] for how in ("float32", "bfloat16") for batch in ("1", "3")]
    assert all(float(cell) > 0 for row in rows for cell in row[3:9])
    assert all(f"| {name} | " in text for name in gpu.EXPLAINED)
    assert "tiny float32 1" in capsys.readouterr().out


@pytest.mark.parametrize("error", [0.5, float("nan")])
def test_an_answer_that_differs_is_an_error(error, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "agreement", lambda names, device: [("zero", 0.0), ("one", error)])
    assert gpu.main(["--tiny", "--device", "cpu", "--out", str(tmp_path / "page.md")]) == 1


def test_precisions_are_undone():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    for name in gpu.PRECISIONS:
        with gpu.precision(name, torch.device("cpu")):
            assert torch.is_autocast_enabled("cpu") == (name in ("bfloat16", "float16"))
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before
