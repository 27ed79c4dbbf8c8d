"""Captures and forward passes of several threads."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from xai_layermask import LayerMask
from xai_layermask.engine.exclusion import Exclusion


def entered(context, leave):
    """A thread inside a context until it is told to leave, and whether it is there."""
    inside = threading.Event()

    def stay():
        with context():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=stay)
    thread.start()
    return thread, inside


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [("running", "running", True), ("running", "capturing", False), ("capturing", "running", False)],
)
def test_models_run_side_by_side_and_captures_alone(first, second, together):
    exclusion, leave = Exclusion(), threading.Event()
    one, inside = entered(getattr(exclusion, first), leave)
    assert inside.wait(10)
    other, inside = entered(getattr(exclusion, second), leave)
    assert inside.wait(10 if together else 0.2) == together
    leave.set()
    assert inside.wait(10)
    one.join()
    other.join()


def test_a_thread_does_not_wait_for_itself():
    exclusion = Exclusion()
    with exclusion.running(), exclusion.running(), exclusion.capturing(), exclusion.capturing(), exclusion.running():
        pass
    with exclusion.capturing():
        pass


def test_a_waiting_capture_goes_before_new_passes():
    exclusion, leave = Exclusion(), threading.Event()
    one, inside = entered(exclusion.running, leave)
    inside.wait(10)
    capture, captured = entered(exclusion.capturing, leave)
    while not exclusion._captures:
        pass
    late, inside = entered(exclusion.running, leave)
    assert not inside.wait(0.2)
    assert not captured.is_set()
    leave.set()
    for thread in (one, capture, late):
        thread.join(10)
    assert captured.is_set() and inside.is_set()


def test_a_model_answers_alike_while_another_is_captured():
    """While it traces, torch switches off the kernels that convolutions take, for all threads."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3)).eval()
    masked, image = LayerMask(net), torch.randn(2, 3, 24, 24)
    with torch.no_grad():
        expected = masked(image)
    done, equal = threading.Event(), []

    def answer():
        with torch.no_grad():
            while not done.is_set():
                equal.append(torch.equal(masked(image), expected))

    thread = threading.Thread(target=answer)
    thread.start()
    for size in range(20, 22):
        LayerMask(net).unsupported((1, 3, size, size))
    done.set()
    thread.join()
    assert equal
    assert all(equal)
