from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from torch import nn

from xai_layermask.experiments.benchmark import (
    EXPLANATIONS,
    FORWARDS,
    REFERENCE,
    benchmark_case,
    peak_memory,
    time_in_turns,
)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 5),
    )  # fmt: skip


@pytest.fixture
def case():
    return benchmark_case(network(), (32, 32), "patches:8", 4)


def test_ratios_are_taken_within_rounds(monkeypatch):
    clock = iter([0, 0, 0, 3, 0, 2, 0, 30, 0, 10, 0, 8, 0, 4])  # a warm-up round, and three that drift
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    order = []
    contenders = {"slow": lambda: order.append("slow"), "plain": lambda: order.append("plain")}
    slow, plain = time_in_turns(contenders, "plain", 3)
    assert order == ["slow", "plain"] * 4
    assert (slow.name, slow.ratio, slow.seconds) == ("slow", 2.0, 8)  # of 3/2, 30/10 and 8/4; of 3, 30 and 8
    assert (plain.ratio, plain.seconds) == (1.0, 4)


def test_masks_are_new_for_every_batch(case):
    first, second = case.presence(), case.presence()
    assert first.shape == (4, 1, 32, 32)
    assert not torch.equal(first, second)
    assert 0 < first.float().mean() < 1


@pytest.mark.parametrize("name", FORWARDS)
def test_forward_passes_answer_for_a_batch(case, name):
    with torch.inference_mode():
        assert case.forward(name)().shape == (4, 5)


def test_contenders_of_one_kind_answer_alike():
    answers = []
    for name in FORWARDS:
        with torch.inference_mode():
            answers.append(benchmark_case(network(), (32, 32), "patches:8", 4).forward(name)())
    given, laid, grey, masked, literal = answers
    assert torch.allclose(given, laid, atol=1e-5)
    assert torch.allclose(masked, literal, atol=1e-5)
    assert not torch.allclose(grey, masked, atol=1e-3)
    assert FORWARDS.index(REFERENCE) == 1


@pytest.mark.parametrize("name", EXPLANATIONS)
def test_every_explainer_takes_the_samples_it_is_said_to(case, name):
    rows = []
    case.model.register_forward_pre_hook(lambda module, args: rows.append(len(args[0])))
    explain = case.explanation(name, 40)
    if not name.startswith("LayerMaskExplainer"):
        rows.clear()
        explain()
        assert 40 <= sum(rows) <= 43  # Captum asks for the whole picture, and for the baseline, besides
    else:
        assert explain().settings.n_samples == 40


def test_overhead_is_a_share(case):
    hooks = len(case.model._forward_hooks)
    assert 0 < case.overhead(40) < 1
    assert len(case.model._forward_hooks) == hooks


def test_peak_memory_grows_with_what_is_held():
    before = peak_memory()
    if before is None:
        pytest.skip("this system does not tell")
    held = np.ones(before // 4, np.float64)  # twice as much as ever before
    assert peak_memory() >= before + held.nbytes // 2
