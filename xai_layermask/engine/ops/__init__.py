"""Masked operators, by the families of ATen: per-position, windows, views, reductions, attention."""
