"""What all tests share."""

from __future__ import annotations

import importlib
import os
import random
from types import ModuleType

import numpy as np
import pytest
import torch
from browser import axe, browser
from hypothesis import settings

__all__ = ["axe", "browser"]  # fixtures of tests of pages

# Times say nothing on a shared machine. CI draws the same examples for the same commit; elsewhere they are new.
settings.register_profile("default", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("default")
torch.manual_seed(0)  # for what test modules draw when they are imported
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when Triton is imported
if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # each worker has a core of its own


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """A test that draws without a seed of its own draws the same in every run."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)


def _devices() -> list[str]:
    found = ["cpu"]
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


@pytest.fixture(params=_devices())
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every device that torch has here, one after another."""
    return torch.device(request.param)


@pytest.fixture(scope="session")
def kernels() -> ModuleType:
    """The Triton kernels, interpreted on the processor."""
    pytest.importorskip("triton", reason="the kernels need Triton")
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("Triton compiles for the device here, and does not interpret")
    found = importlib.import_module("xai_layermask.engine.kernels")
    try:
        found.ring_cells(torch.ones(1, 1, 1, 2, dtype=torch.bool), None, 1)
    except Exception as error:
        if "0-dimensional arrays" not in str(error):
            raise
        pytest.skip("this version of Triton cannot interpret loops with this version of NumPy")
    return found
