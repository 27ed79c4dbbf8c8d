"""Explanations as tables of pandas, which is imported on the first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, reason
from ..segments import centroids

if TYPE_CHECKING:
    from pandas import DataFrame

    from .explanation import Explanation

__all__ = ["dataframe"]


def dataframe(explanation: Explanation) -> DataFrame:
    """A row for each target and segment.

    Raises:
        InputError: If pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise InputError.expected(
            "the package pandas for to_dataframe", reason(error), "pip install 'xai-layermask[pandas]'"
        ) from error
    targets, count = explanation.scores.shape
    centres = np.tile(centroids(explanation.segments), (targets, 1))
    table = pandas.DataFrame({
        "target": np.repeat(explanation.targets, count),
        "label": np.repeat(np.array(explanation.labels, object), count),
        "segment": np.tile(np.arange(count), targets),
        "score": explanation.scores.ravel(),
        "standard_error": explanation.standard_errors.ravel(),
        "played": np.tile(explanation.played, targets),
        "share": np.tile(np.bincount(explanation.segments.ravel()) / explanation.segments.size, targets),
        "x": centres[:, 1],
        "y": centres[:, 0],
    })
    table.attrs.update(explanation.settings.record())
    return table
