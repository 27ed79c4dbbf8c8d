"""Sampling: which coalitions of segments the network evaluates, and how much each one counts.

A coalition is a row of a boolean matrix: which of the K segments are present. The first coalition of every sample is
the grand coalition, whose value is the model's own prediction. A draw depends only on K, the number of samples, the
scheme and the generator, and a smaller draw is a prefix of a larger one.

A scheme says how samples depend on each other. It changes how fast the scores converge, not what they mean
(`docs/sampling.md`).
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import choose

__all__ = [
    "LIME_SCHEMES",
    "SHAP_SCHEMES",
    "Coalitions",
    "Samples",
    "cosine_kernel",
    "lime_samples",
    "shap_samples",
    "shapley_kernel",
]

Coalitions = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Scheme = Callable[[int, int, np.random.Generator], Coalitions]


class Samples(NamedTuple):
    """Coalitions with their weights.

    Attributes:
        coalitions: Bool `(M, K)`: the segments present in each of M samples. The first row is all True.
        weights: float64 `(M,)`: the weight of each sample in the fit.
        paired: Whether a sample and its complement were drawn together. Otherwise complements are chance, and
            independent.
    """

    coalitions: Coalitions
    weights: Floats
    paired: bool = False


def cosine_kernel(coalitions: Coalitions, width: float = 0.25) -> Floats:
    """LIME's weight of a sample: its cosine similarity to the grand coalition under an exponential kernel.

    With m of K segments present the cosine is `sqrt(m / K)`, and the weight is
    `sqrt(exp(-(1 - cosine)^2 / width^2))`. The cosine of the empty coalition is taken as 0.

    Args:
        coalitions: Bool `(M, K)`.
        width: Width of the kernel.

    Returns:
        float64 `(M,)` in (0, 1].

    Example:
        >>> cosine_kernel(np.array([[True, True, True, True], [True, False, False, False]])).round(3)
        array([1.   , 0.135])
    """
    distance = 1.0 - np.sqrt(coalitions.mean(axis=1))
    weights: Floats = np.sqrt(np.exp(-((distance / width) ** 2)))
    return weights


def lime_samples(n_segments: int, n_samples: int, generator: np.random.Generator, sampling: str = "plain") -> Samples:
    """Draw samples for LIME: the grand coalition, then coalitions that hold each segment with probability 0.5.

    Args:
        n_segments: K.
        n_samples: M, the number of rows.
        generator: The source of randomness.
        sampling: "plain", independent samples, as in LIME's paper; "paired", each sample followed by its
            complement; "stratified", complementary pairs whose sizes are spread evenly over the binomial
            distribution; or "orthogonal", blocks that hold every segment in half of the rows and every two
            segments together in a quarter, each followed by its complement.

    Returns:
        M samples, weighted by [`cosine_kernel`][].

    Raises:
        InputError: If the scheme is unknown.

    Example:
        >>> samples = lime_samples(4, 3, np.random.default_rng(0))
        >>> samples.coalitions.shape, samples.coalitions[0].all().item()
        ((3, 4), True)
        >>> lime_samples(2, 5, np.random.default_rng(0), "orthogonal").coalitions[1:].astype(int)
        array([[0, 0],
               [1, 1],
               [1, 0],
               [0, 1]])
    """
    drawn = LIME_SCHEMES[choose(sampling, LIME_SCHEMES, "sampling")](n_segments, n_samples - 1, generator)
    coalitions = np.concatenate([np.ones((1, n_segments), dtype=bool), drawn])
    return Samples(coalitions, cosine_kernel(coalitions), sampling != "plain")


def shapley_kernel(coalitions: Coalitions) -> Floats:
    """The Shapley kernel, `(K - 1) / (C(K, m) m (K - m))` for a coalition of m out of K segments.

    The empty and the grand coalition have infinite weight in the formula. They are constraints of the fit instead,
    and get weight 0 here.

    Args:
        coalitions: Bool `(M, K)`.

    Returns:
        float64 `(M,)`.

    Example:
        >>> shapley_kernel(np.array([[True, True, True], [False, True, False], [True, True, False]]))
        array([0.        , 0.33333333, 0.33333333])
    """
    count = coalitions.shape[1]
    sizes, places = np.unique(coalitions.sum(axis=1), return_inverse=True)
    kernel = [
        (count - 1) / (comb(count, size) * size * (count - size)) if 0 < size < count else 0.0
        for size in sizes.tolist()
    ]
    weights: Floats = np.array(kernel)[places]
    return weights


def shap_samples(n_segments: int, n_samples: int, generator: np.random.Generator, sampling: str = "paired") -> Samples:
    """Draw samples for KernelSHAP: all coalitions if `2^K <= n_samples`, a random choice otherwise.

    All `2^K` coalitions are weighted by the Shapley kernel, and the fit is exact.

    Args:
        n_segments: K, at least 2.
        n_samples: The maximum number of rows, at least 2.
        generator: The source of randomness.
        sampling: "plain", independent samples whose sizes follow the kernel, all with weight 1; "paired", the
            same, each followed by its complement; "stratified", all sizes equally often, weighted by the kernel;
            or "leverage", the same, each followed by its complement (Musco & Witter, ICLR 2025).

    Returns:
        `min(2^K, n_samples)` samples: the grand coalition, the empty one, then the others. The first two have
        weight 0.

    Raises:
        InputError: If the scheme is unknown.

    Example:
        >>> shap_samples(2, 500, np.random.default_rng(0)).coalitions.astype(int)
        array([[1, 1],
               [0, 0],
               [1, 0],
               [0, 1]])
        >>> shap_samples(6, 6, np.random.default_rng(0)).coalitions[2:].mean(axis=0)
        array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
        >>> sorted(shap_samples(5, 6, np.random.default_rng(0), "stratified").coalitions.sum(axis=1).tolist())
        [0, 1, 2, 3, 4, 5]
    """
    scheme = SHAP_SCHEMES[choose(sampling, SHAP_SCHEMES, "sampling")]
    if n_segments < 63 and 2**n_segments <= n_samples:
        codes = np.arange(1, 2**n_segments - 1)
        coalitions = _with_ends((codes[:, None] >> np.arange(n_segments)) % 2 == 1)
        return Samples(coalitions, shapley_kernel(coalitions))
    drawn = scheme(n_segments, n_samples - 2, generator)
    weights = np.ones(len(drawn))
    if sampling in ("stratified", "leverage"):
        sizes = drawn.sum(axis=1)
        weights = (n_segments - 1) * _size_probabilities(n_segments)[sizes - 1]
    return Samples(_with_ends(drawn), np.concatenate([np.zeros(2), weights]), sampling in ("paired", "leverage"))


def _with_ends(drawn: Coalitions) -> Coalitions:
    ends = np.repeat([[True], [False]], drawn.shape[1], axis=1)
    return np.concatenate([ends, drawn])


def _with_complements(half: Coalitions, count: int) -> Coalitions:
    """Each row followed by its complement, `count` rows in all."""
    return np.stack([half, ~half], axis=1).reshape(-1, half.shape[1])[:count]


def _subsets(uniform: Floats, sizes: Integers) -> Coalitions:
    """In each row the `size` smallest numbers of `(M, K)`; uniform numbers make all subsets equally likely."""
    return uniform.argsort(axis=1).argsort(axis=1) < sizes[:, None]


def _low_discrepancy(count: int, start: float) -> Floats:
    """Van der Corput's sequence in [0, 1), shifted by `start`: any prefix is spread evenly.

    Each aligned block of `2^k` numbers has one number in each of `2^k` intervals.
    """
    index, values, step = np.arange(count), np.full(count, start), 0.5
    while index.any():
        values += step * (index & 1)
        index, step = index >> 1, step / 2
    return values % 1.0


def _bernoulli(n_segments: int, count: int, generator: np.random.Generator) -> Coalitions:
    return generator.integers(0, 2, size=(count, n_segments), dtype=np.bool_)


def _bernoulli_pairs(n_segments: int, count: int, generator: np.random.Generator) -> Coalitions:
    return _with_complements(_bernoulli(n_segments, (count + 1) // 2, generator), count)


def _stratified_pairs(n_segments: int, count: int, generator: np.random.Generator) -> Coalitions:
    quantiles = _low_discrepancy((count + 1) // 2, generator.random())
    binomial = np.array([comb(n_segments, size) / 2**n_segments for size in range(n_segments + 1)])
    sizes = np.minimum(np.searchsorted(binomial.cumsum(), quantiles, side="right"), n_segments)
    return _with_complements(_subsets(generator.random((len(quantiles), n_segments)), sizes), count)


def _orthogonal(n_segments: int, count: int, generator: np.random.Generator) -> Coalitions:
    """Blocks of rows of a Hadamard matrix, each followed by its complement.

    A block is K random columns, without the constant first one, of the smallest Sylvester matrix with more than K
    columns; its rows are shuffled, and random column signs make every row equally likely. Within a block all columns
    are balanced and orthogonal, so that the scores do not confound segments. Over a block and its complement, the
    interactions of even order cancel.
    """
    order = 1 << n_segments.bit_length()
    blocks = []
    for left in range(count, 0, -2 * order):
        columns = 1 + generator.permutation(order - 1)[:n_segments]
        rows = generator.permutation(order)[:left]  # a whole block of thousands of segments takes gigabytes
        block = _odd_parity(rows[:, None] & columns) ^ generator.integers(0, 2, size=n_segments, dtype=np.bool_)
        blocks += [block, ~block]
    return np.concatenate([np.empty((0, n_segments), dtype=bool), *blocks])[:count]


def _odd_parity(numbers: Integers) -> Coalitions:
    for shift in (32, 16, 8, 4, 2, 1):
        numbers = numbers ^ (numbers >> shift)
    return (numbers & 1).astype(bool)


def _size_probabilities(n_segments: int) -> Floats:
    """The probability of each size 1..K-1 under the Shapley kernel, float64 `(K - 1,)`."""
    sizes = np.arange(1, n_segments)
    kernel = 1.0 / (sizes * (n_segments - sizes))
    probabilities: Floats = kernel / kernel.sum()
    return probabilities


def _by_kernel(n_segments: int, count: int, generator: np.random.Generator) -> Coalitions:
    # Size and order of a sample come from one row of random numbers, so that a smaller draw is a prefix.
    uniform = generator.random((count, n_segments + 1))
    below = _size_probabilities(n_segments).cumsum()[:-1]
    return _subsets(uniform[:, 1:], 1 + np.searchsorted(below, uniform[:, 0], side="right"))


def _kernel_pairs(n_segments: int, count: int, generator: np.random.Generator) -> Coalitions:
    return _with_complements(_by_kernel(n_segments, (count + 1) // 2, generator), count)


def _by_size(n_segments: int, count: int, generator: np.random.Generator) -> Coalitions:
    sizes = 1 + (_low_discrepancy(count, generator.random()) * (n_segments - 1)).astype(np.int64)
    return _subsets(generator.random((count, n_segments)), sizes)


def _pairs_by_size(n_segments: int, count: int, generator: np.random.Generator) -> Coalitions:
    # The leverage score of a coalition of m out of K segments is 1 / C(K, m): all sizes have the same share.
    return _with_complements(_by_size(n_segments, (count + 1) // 2, generator), count)


#: LIME's sampling schemes by name.
LIME_SCHEMES: dict[str, Scheme] = {
    "plain": _bernoulli, "paired": _bernoulli_pairs, "stratified": _stratified_pairs, "orthogonal": _orthogonal,
}  # fmt: skip
#: KernelSHAP's sampling schemes by name.
SHAP_SCHEMES: dict[str, Scheme] = {
    "plain": _by_kernel, "paired": _kernel_pairs, "stratified": _by_size, "leverage": _pairs_by_size,
}  # fmt: skip
