"""Optional packages, with the extra that installs them."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import InputError, reason

__all__ = ["import_package"]


def import_package(name: str, extra: str | None) -> Any:
    """Import an optional package.

    Args:
        name: The module to import.
        extra: The extra of this package that installs it; None if there is none.

    Raises:
        InputError: If it cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        install = f"xai-layermask[{extra}]" if extra else package
        raise InputError.expected(
            f"the package {package} to be installed", reason(error), f"run pip install '{install}'"
        ) from error
