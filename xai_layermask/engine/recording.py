"""Recordings of runs as CUDA graphs: one launch in place of hundreds.

A network launches hundreds of kernels, and for the batches of an explainer the host takes longer to launch them than
the device to compute them. On an accelerator no step depends on the content of a mask
([`dense`][xai_layermask.engine.dense]), so a run can be recorded once and replayed for other presences.

A run is recorded when it has been repeated a few times, if the weights are the same tensors, no gradient is needed and
the batch is no larger than an explainer's. A recording holds the memory of its activations until the masking is
deleted, the weights are replaced, or memory runs out.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..errors import reason

__all__ = ["Recorder", "forget_recordings", "never_recording"]

Values = dict[int, Any]
#: Computes the outputs for a presence, and replaces the given values by them.
Compute = Callable[[Tensor, Values], None]
#: Records a function on a device; the result replays it on the same memory.
Record = Callable[[torch.device, Callable[[], None]], Callable[[], None]]

_NEVER = ContextVar("_NEVER", default=False)
#: The number of runs before a recording, which costs as much time as a few of them.
_BEFORE = 4
#: The number of recordings to keep, and the largest recorded batch in pixels: larger ones keep the device busy.
_KEPT, _LARGEST = 2, 64 * 224 * 224
_RECORDERS: weakref.WeakSet[Recorder] = weakref.WeakSet()


class Recording:
    """A recorded run, with the memory that it reads and writes.

    Args:
        record: Records a function.
        compute: The function to record.
        presence: Bool `(N, 1, H, W)`.
        values: The image, parameters, buffers and constants by value number.
        image: The value number of the image.
        outputs: Numbers of the values that the model returns.
    """

    def __init__(
        self, record: Record, compute: Compute, presence: Tensor, values: Values, image: int, outputs: Collection[int]
    ) -> None:
        self._presence, self._image, self._number = presence.clone(), values[image].clone(), image
        self._state = {number: value for number, value in values.items() if number != image}
        self._places = {number: value.data_ptr() for number, value in self._state.items()}
        self._outputs: Values = {}

        def run() -> None:
            now = {**self._state, image: self._image}
            compute(self._presence, now)
            self._outputs = {number: now[number] for number in outputs}

        self._again = record(presence.device, run)

    def fits(self, values: Values) -> bool:
        """Whether the weights are the recorded tensors; their content may have changed."""
        return all(values[one] is held and held.data_ptr() == self._places[one] for one, held in self._state.items())

    def __call__(self, presence: Tensor, values: Values) -> None:
        """Replay the run for a presence and an image; adds the outputs to `values`."""
        self._presence.copy_(presence)
        self._image.copy_(values[self._number])
        self._again()
        values |= {number: pytree.tree_map_only(Tensor, Tensor.clone, one) for number, one in self._outputs.items()}


class Recorder:
    """Runs a captured model, and records runs that are repeated.

    Args:
        record: Records a function; as a CUDA graph by default.
        device: The device type on which `record` works.
    """

    def __init__(self, record: Record | None = None, device: str = "cuda") -> None:
        self._record = record or _cuda_graph
        self._device = device
        self._lock = threading.Lock()
        self._runs: dict[Any, int] = {}
        self._recordings: dict[Any, Recording] = {}
        _RECORDERS.add(self)

    def run(
        self, kind: Any, compute: Compute, presence: Tensor, values: Values, image: int, outputs: Collection[int]
    ) -> None:
        """Compute the outputs, from a recording if there is one.

        Args:
            kind: Identifies the sequence of operators: it differs for runs that issue different ones.
            compute: The run.
            presence: Bool `(N, 1, H, W)`.
            values: The values for `compute`; the outputs are added.
            image: The value number of the image.
            outputs: Numbers of the values that the model returns.
        """
        records = presence.device.type == self._device and presence.numel() <= _LARGEST and not _NEVER.get()
        if not records or _is_recorded_already(presence.device):
            compute(presence, values)
            return
        key = (kind, *_circumstances(presence.device))
        with self._lock:
            recording = self._recordings.get(key)
            if recording is not None and not recording.fits(values):
                del self._recordings[key]
                self._runs[key], recording = 0, None
            if recording is None and self._runs.get(key, 0) == _BEFORE:
                recording = self._recorded(key, compute, presence, values, image, outputs)
            if recording is not None:
                recording(presence, values)
                return
            self._runs[key] = self._runs.get(key, 0) + 1
        compute(presence, values)

    def _recorded(
        self, key: Any, compute: Compute, presence: Tensor, values: Values, image: int, outputs: Collection[int]
    ) -> Recording | None:
        while len(self._recordings) >= _KEPT:
            old = next(iter(self._recordings))
            del self._recordings[old]
            self._runs[old] = 0
        try:
            found = self._recordings[key] = Recording(self._record, compute, presence, values, image, outputs)
        except Exception as error:  # kernels and the driver may raise anything during a recording
            if not isinstance(error, torch.OutOfMemoryError):
                warnings.warn(
                    f"this model cannot be recorded as a CUDA graph ({type(error).__name__}: {reason(error)}), so "
                    "small batches are slower",
                    stacklevel=2,
                )
            return None
        return found

    def forget(self) -> bool:
        """Free the memory of all recordings; returns whether there were any."""
        with self._lock:
            held = bool(self._recordings)
            self._recordings.clear()
            self._runs.clear()
        return held


def forget_recordings() -> bool:
    """Free the memory of every recording; returns whether there were any. Runs may be recorded again later."""
    held = [recorder.forget() for recorder in list(_RECORDERS)]
    return any(held)


@contextmanager
def never_recording() -> Iterator[None]:
    """Run without recordings: every operator is launched by itself."""
    token = _NEVER.set(True)
    try:
        yield
    finally:
        _NEVER.reset(token)


def _is_recorded_already(device: torch.device) -> bool:
    """Whether the caller is already recording a CUDA graph."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def _circumstances(device: torch.device) -> tuple[Any, ...]:
    """Settings of the process and the thread that decide which kernels run."""
    rounded = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None
    stream = torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else 0
    cudnn = torch.backends.cudnn
    return (
        torch.is_inference_mode_enabled(), rounded, stream, cudnn.enabled, cudnn.benchmark, cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(), *_rounding(),
    )  # fmt: skip


def _rounding() -> tuple[Any, ...]:
    """The TF32 settings, read through the one of torch's two interfaces that the process uses: they cannot be mixed."""
    backends: Any = torch.backends
    try:
        return backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32
    except RuntimeError:
        return backends.fp32_precision, backends.cudnn.conv.fp32_precision, backends.cuda.matmul.fp32_precision


def _cuda_graph(device: torch.device, run: Callable[[], None]) -> Callable[[], None]:
    with torch.cuda.device(device):
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        current = torch.cuda.current_stream(device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream), _own_casts():
            run()  # libraries allocate their workspaces in the first run on a stream, which cannot be recorded
        current.wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"), _own_casts():
            run()

    def again() -> None:
        with torch.cuda.device(device):
            graph.replay()

    return again


def _own_casts() -> torch.autocast:
    """The current autocast settings without its cache of cast weights, which is freed when autocast ends."""
    enabled, dtype = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    return torch.autocast("cuda", dtype, enabled, cache_enabled=False)
