"""Recorded runs: the same answers as runs that launch every operator."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn

from xai_layermask import LayerMask
from xai_layermask.engine import batching
from xai_layermask.engine.recording import Recorder, forget_recordings, never_recording


class Notes:
    """Records a function by running it again, in the place of a CUDA graph."""

    def __init__(self, failure=None):
        self.recorded = self.repeated = 0
        self.failure = failure

    def __call__(self, device, run):
        self.recorded += 1
        if self.failure:
            raise self.failure
        run()

        def again():
            self.repeated += 1
            run()

        return again


def network():
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(6)
    norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 2)
    layers = [nn.Conv2d(3, 6, 3), norm, nn.ReLU(inplace=True), nn.Conv2d(6, 4, 3)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def case(batch=2, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, 9, 9, generator=draw), torch.rand(batch, 1, 9, 9, generator=draw) < 0.5


def recorded(model, failure=None):
    """A masking of which every run after the fourth is "recorded" on the CPU."""
    masked, notes = LayerMask(model), Notes(failure)
    x, presence = case()
    with torch.no_grad():
        masked(x, presence)
    (executor,) = masked._graphs.values()
    executor._recorder = Recorder(notes, "cpu")
    return masked, notes


def answers(masked, seeds, batch=2):
    with torch.no_grad():
        return [masked(*case(batch, seed)) for seed in seeds]


def expect(found, expected):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_fifth_run_is_recorded_and_answers_stay():
    model = network()
    masked, notes = recorded(model)
    found = answers(masked, range(9))
    assert (notes.recorded, notes.repeated) == (1, 5)
    expect(found, answers(LayerMask(model), range(9)))  # and no answer is overwritten by the next


def test_two_sizes_of_batches_are_kept():
    masked, notes = recorded(network())
    for batch in (1, 2, 3):
        expect(answers(masked, range(6), batch), answers(LayerMask(masked.model), range(6), batch))
    assert notes.recorded == 3
    answers(masked, range(1), batch=3), answers(masked, range(1), batch=2)
    assert notes.recorded == 3
    answers(masked, range(4), batch=1)  # was dropped, and is counted anew
    assert notes.recorded == 3
    answers(masked, range(1), batch=1)
    assert notes.recorded == 4


def written(model):
    model[3].weight.data.mul_(2)


def normed(model):
    model[1].running_mean += 1


def replaced(model):
    model[3].bias = nn.Parameter(torch.ones(4))


def swapped(model):
    model[0].weight.data = model[0].weight.data * 3


def exchanged(model):
    model[3] = nn.Conv2d(6, 4, 3)


@pytest.mark.parametrize("change", [written, normed, replaced, swapped, exchanged])
def test_weights_may_change(change):
    masked, _ = recorded(network())
    answers(masked, range(6))
    before = answers(masked, [7])
    change(masked.model)
    found = answers(masked, range(7, 14))
    expect(found, answers(LayerMask(masked.model), range(7, 14)))
    assert not torch.allclose(found[0], before[0])


def test_gradients_are_never_recorded():
    masked, notes = recorded(network())
    x, presence = case()
    for _ in range(7):
        masked(x.clone().requires_grad_(), presence).sum().backward()
    assert notes.recorded == 0 and masked.model[0].weight.grad.abs().sum() > 0


def test_modes_have_recordings_of_their_own():
    masked, notes = recorded(network())
    plain = LayerMask(masked.model)
    for mode in (torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)):
        for seed in range(6):
            with torch.no_grad(), mode():
                torch.testing.assert_close(masked(*case(2, seed)), plain(*case(2, seed)))
    assert notes.recorded == 3


def test_what_cannot_be_recorded_runs_as_before(recwarn):
    masked, notes = recorded(network(), RuntimeError("operation not permitted when stream is capturing"))
    with pytest.warns(UserWarning, match="cannot be recorded as a CUDA graph .RuntimeError: operation not permitted"):
        expect(answers(masked, range(9)), answers(LayerMask(masked.model), range(9)))
    assert notes.recorded == 1


def test_memory_is_given_back():
    masked, notes = recorded(network(), torch.OutOfMemoryError("CUDA out of memory"))
    answers(masked, range(9))
    assert notes.recorded == 1
    masked, notes = recorded(network())
    answers(masked, range(9))
    (executor,) = masked._graphs.values()
    (recording,) = executor._recorder._recordings.values()
    held = weakref.ref(recording)
    del recording
    assert forget_recordings() and not forget_recordings()
    gc.collect()
    assert held() is None
    expect(answers(masked, range(9)), answers(LayerMask(masked.model), range(9)))
    assert notes.recorded == 2


def test_recordings_go_before_batches_are_halved(monkeypatch):
    sizes, held = [], iter([True, False, False])
    monkeypatch.setattr(batching, "forget_recordings", lambda: next(held))

    def predict(rows):
        sizes.append(len(rows))
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return rows

    found, size = batching.batched_predict(predict, torch.arange(4), 4)
    assert (found.tolist(), size, sizes) == ([0, 1, 2, 3], 2, [4, 4, 2, 2])


@pytest.mark.parametrize("recorded", [True, False])
def test_a_single_row_is_tried_again_if_recordings_went(monkeypatch, recorded):
    tries, held = [], iter([recorded, False])
    monkeypatch.setattr(batching, "forget_recordings", lambda: next(held))

    def predict(rows):
        tries.append(len(rows))
        if len(tries) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return rows

    if recorded:
        found, size = batching.batched_predict(predict, torch.arange(1), 8)
        assert (found.tolist(), size, tries) == ([0], 8, [1, 1])
    else:
        with pytest.raises(torch.OutOfMemoryError):
            batching.batched_predict(predict, torch.arange(1), 8)
        assert tries == [1]


def test_large_batches_and_a_caller_who_wants_none_are_not_recorded():
    masked, notes = recorded(network())
    with never_recording():
        answers(masked, range(9))
    with torch.no_grad():
        for _ in range(6):
            masked(*(one.repeat(1, 1, 45, 45) for one in case(20)))
    assert notes.recorded == 0


@pytest.mark.parametrize("rounded", [None, torch.bfloat16])
def test_recordings_of_a_device(device, rounded):
    model = network().to(device)
    masked, plain = LayerMask(model), LayerMask(model)
    with torch.inference_mode(), torch.autocast(device.type, rounded or torch.bfloat16, enabled=rounded is not None):
        for seed in range(10):
            shown = [one.to(device) for one in case(3, seed)]
            found = masked(*shown)
            with never_recording():
                torch.testing.assert_close(found, plain(*shown))
    (executor,) = masked._graphs.values()
    assert len(executor._recorder._recordings) == (device.type == "cuda")
