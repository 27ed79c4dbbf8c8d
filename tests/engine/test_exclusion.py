"""Captures and forward passes of several threads."""

from __future__ import annotations

import contextlib
import threading

import pytest
import torch
from torch import nn

from xai_layermask import Fill, LayerMask
from xai_layermask.engine.exclusion import EXCLUSION, Exclusion


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
    while not exclusion._waiting:
        pass
    late, inside = entered(exclusion.running, leave)
    assert not inside.wait(0.2)
    assert not captured.is_set()
    leave.set()
    for thread in (one, capture, late):
        thread.join(10)
    assert captured.is_set() and inside.is_set()


def test_captures_inside_runs_do_not_wait_for_each_other():
    """Two threads run a model and capture another inside, while a third only captures."""
    exclusion, met = Exclusion(), threading.Barrier(3)
    captures, together = [], []

    def capture():
        with exclusion.capturing():
            captures.append(1)
            together.append(len(captures))
            captures.pop()

    def nested():
        with exclusion.running():
            met.wait(10)
            capture()
            with exclusion.running():
                pass
            capture()

    def alone():
        met.wait(10)
        capture()

    threads = [threading.Thread(target=target, daemon=True) for target in (nested, nested, alone)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert together == [1] * 5
    assert exclusion._runs == exclusion._waiting == 0


def test_a_suspended_run_counts_again_after_its_capture():
    exclusion, leave = Exclusion(), threading.Event()

    @contextlib.contextmanager
    def both():
        with exclusion.running():
            with exclusion.capturing():
                pass
            yield

    one, inside = entered(both, leave)
    assert inside.wait(10)
    other, inside = entered(exclusion.capturing, leave)
    assert not inside.wait(0.2)
    leave.set()
    assert inside.wait(10)
    one.join()
    other.join()


def test_a_masking_inside_a_masked_model_while_a_third_is_captured():
    """A grey masking runs its model, and a LayerMask in it captures another; meanwhile a third one wants to capture."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    reached, waits = threading.Event(), threading.Event()

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = LayerMask(net)

        def forward(self, x):
            reached.set()
            waits.wait(10)
            return self.inner(x, torch.ones(len(x), 1, *x.shape[2:]))

    answers = []
    image = torch.randn(1, 3, 8, 8)
    outer = Fill(Outer().eval(), "grey")
    run = threading.Thread(target=lambda: answers.append(outer(image)), daemon=True)
    other = threading.Thread(target=lambda: LayerMask(net).unsupported((1, 3, 9, 9)), daemon=True)
    run.start()
    assert reached.wait(10)
    other.start()
    while not EXCLUSION._waiting:
        pass
    waits.set()
    run.join(60)
    other.join(60)
    assert not run.is_alive() and not other.is_alive()
    torch.testing.assert_close(answers[0], net(image))


@pytest.mark.filterwarnings("ignore:TF32")
def test_gradients_during_a_capture_differ_by_rounding_alone():
    """A backward pass is not excluded: with the switches of a capture it may take other kernels."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3)).eval()
    found = []
    for enabled in (True, False):
        image = torch.ones(2, 3, 24, 24, requires_grad=True)
        answer = LayerMask(net)(image, torch.arange(24 * 24).view(24, 24) % 5 > 1).sum()
        with torch.backends.mkldnn.flags(enabled=enabled):
            found.append(torch.autograd.grad(answer, image)[0])
    torch.testing.assert_close(*found)


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


def test_an_interrupt_of_a_waiting_capture_blocks_nobody():
    exclusion, entered, leave = Exclusion(), threading.Event(), threading.Event()

    def run():
        with exclusion.running():
            entered.set()
            assert leave.wait(20)

    other = threading.Thread(target=run)
    other.start()
    assert entered.wait(20)

    class Interrupt(BaseException):
        pass

    def interrupted(*args):
        raise Interrupt

    wait, exclusion._changed.wait = exclusion._changed.wait, interrupted
    with exclusion.running(), pytest.raises(Interrupt), exclusion.capturing():
        pass
    exclusion._changed.wait = wait
    leave.set()
    other.join(20)
    done = threading.Event()

    def again():
        with exclusion.capturing(), exclusion.running():
            done.set()

    threading.Thread(target=again, daemon=True).start()
    assert done.wait(20)
