"""Modules that import what is not installed are left out of the doctests."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("triton") else ["xai_layermask/engine/kernels.py"]
