"""Which segments each sample keeps, and how much each sample counts.

A sample is a row of a boolean matrix: which of the K segments are present. What is drawn depends on nothing
but the number of segments, the number of samples, the scheme and the generator, and fewer samples are a
prefix of more. The first row always keeps everything: its answer is the model's own prediction.

A scheme says how samples depend on each other. What the scores mean is the same in all of them; how fast
they settle is not (`docs/sampling.md`).
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
    "Samples",
    "all_choices",
    "cosine_kernel",
    "lime_samples",
    "shap_samples",
    "shapley_kernel",
]

Keep = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Sizes = npt.NDArray[np.int64]
Draw = Callable[[int, int, np.random.Generator], Keep]


class Samples(NamedTuple):
    """Choices of segments with their weights.

    Attributes:
        keep: Bool `(M, K)`: which segments are present in each of M samples; the first row keeps all.
        weights: float64 `(M,)`: how much each sample counts in the fit.
    """

    keep: Keep
    weights: Floats


def cosine_kernel(keep: Keep, width: float = 0.25) -> Floats:
    """LIME's weight of a sample: how near it is to keeping everything, by the cosine in mask space.

    With m of K segments kept the cosine to the row of ones is `sqrt(m / K)`, and the weight is
    `sqrt(exp(-(1 - cosine)^2 / width^2))`. A row that keeps nothing has no direction; its cosine is 0.

    Args:
        keep: Bool `(M, K)`.
        width: Where the kernel falls off.

    Returns:
        float64 `(M,)` in (0, 1].

    Example:
        >>> cosine_kernel(np.array([[True, True, True, True], [True, False, False, False]])).round(3)
        array([1.   , 0.135])
    """
    distance = 1.0 - np.sqrt(keep.mean(axis=1))
    weights: Floats = np.sqrt(np.exp(-((distance / width) ** 2)))
    return weights


def lime_samples(
    n_segments: int, n_samples: int, generator: np.random.Generator, sampling: str = "plain"
) -> Samples:
    """Draw samples for LIME: the whole picture, and then every segment kept with probability one half.

    Args:
        n_segments: K.
        n_samples: M, the number of rows.
        generator: Where the randomness comes from. Fewer samples are a prefix of more.
        sampling: "plain", independent samples, as in LIME's paper; "paired", each sample followed by its
            complement; "stratified", pairs whose sizes are spread evenly over the binomial distribution; or
            "orthogonal", blocks in which every segment is kept in half of the rows and every two segments
            together in a quarter, followed by the complements of the block.

    Returns:
        M samples, weighted by [`cosine_kernel`][].

    Raises:
        InputError: If there is no such scheme.

    Example:
        >>> samples = lime_samples(4, 3, np.random.default_rng(0))
        >>> samples.keep.shape, samples.keep[0].all().item()
        ((3, 4), True)
        >>> lime_samples(2, 5, np.random.default_rng(0), "orthogonal").keep[1:].astype(int)
        array([[0, 0],
               [1, 1],
               [1, 0],
               [0, 1]])
    """
    drawn = LIME_SCHEMES[choose(sampling, LIME_SCHEMES, "sampling")](n_segments, n_samples - 1, generator)
    keep = np.concatenate([np.ones((1, n_segments), dtype=bool), drawn])
    return Samples(keep, cosine_kernel(keep))


def shapley_kernel(keep: Keep) -> Floats:
    """The Shapley kernel of each sample, `(K - 1) / (C(K, m) m (K - m))` with m of K segments kept.

    The two ends, where everything or nothing is kept, would weigh infinitely much. They are constraints of
    the fit instead, and weigh 0 here.

    Args:
        keep: Bool `(M, K)`.

    Returns:
        float64 `(M,)`.

    Example:
        >>> shapley_kernel(np.array([[True, True, True], [False, True, False], [True, True, False]]))
        array([0.        , 0.33333333, 0.33333333])
    """
    count = keep.shape[1]
    sizes, places = np.unique(keep.sum(axis=1), return_inverse=True)
    kernel = [
        (count - 1) / (comb(count, size) * size * (count - size)) if 0 < size < count else 0.0
        for size in sizes.tolist()
    ]
    weights: Floats = np.array(kernel)[places]
    return weights


def all_choices(n_segments: int, n_samples: int) -> bool:
    """Whether KernelSHAP asks for all `2^K` choices of K segments, because they are no more than it may ask.

    Args:
        n_segments: K.
        n_samples: The most rows.

    Example:
        >>> all_choices(8, 256), all_choices(9, 256)
        (True, False)
    """
    return n_segments < 63 and 2**n_segments <= n_samples


def shap_samples(
    n_segments: int, n_samples: int, generator: np.random.Generator, sampling: str = "paired"
) -> Samples:
    """Draw samples for KernelSHAP: every choice of segments where there are few enough, otherwise at random.

    Where `2^K <= n_samples`, all `2^K` choices come once, weighted by the Shapley kernel, and the fit is
    exact.

    Args:
        n_segments: K, at least 2.
        n_samples: The most rows, at least 2.
        generator: Where the randomness comes from. Fewer samples are a prefix of more, unless these are all.
        sampling: "plain", independent samples with sizes as the kernel weighs them, which all count the
            same; "paired", the same, each followed by its complement; or "stratified", all sizes equally
            often, weighted by the kernel.

    Returns:
        `min(2^K, n_samples)` samples: everything, nothing, and then the others. The first two weigh 0.

    Raises:
        InputError: If there is no such scheme.

    Example:
        >>> shap_samples(2, 500, np.random.default_rng(0)).keep.astype(int)
        array([[1, 1],
               [0, 0],
               [1, 0],
               [0, 1]])
        >>> shap_samples(6, 6, np.random.default_rng(0)).keep[2:].mean(axis=0)
        array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
        >>> sorted(shap_samples(5, 6, np.random.default_rng(0), "stratified").keep.sum(axis=1).tolist())
        [0, 1, 2, 3, 4, 5]
    """
    scheme = SHAP_SCHEMES[choose(sampling, SHAP_SCHEMES, "sampling")]
    if all_choices(n_segments, n_samples):
        codes = np.arange(1, 2**n_segments - 1)
        keep = _with_ends((codes[:, None] >> np.arange(n_segments)) % 2 == 1)
        return Samples(keep, shapley_kernel(keep))
    drawn = scheme(n_segments, n_samples - 2, generator)
    weights = np.ones(len(drawn))
    if sampling == "stratified":
        sizes = drawn.sum(axis=1)
        weights = (n_segments - 1) * _kernel_of_sizes(n_segments)[sizes - 1]
    return Samples(_with_ends(drawn), np.concatenate([np.zeros(2), weights]))


def _with_ends(drawn: Keep) -> Keep:
    ends = np.repeat([[True], [False]], drawn.shape[1], axis=1)
    return np.concatenate([ends, drawn])


def _pairs(half: Keep, count: int) -> Keep:
    """Each row followed by its complement, `count` rows in all."""
    return np.stack([half, ~half], axis=1).reshape(-1, half.shape[1])[:count]


def _subsets(uniform: Floats, sizes: Sizes) -> Keep:
    """The segments with the smallest of the numbers `(M, K)`: from uniform ones, each subset as likely."""
    return uniform.argsort(axis=1).argsort(axis=1) < sizes[:, None]


def _spread(count: int, start: float) -> Floats:
    """Numbers in [0, 1) that lie evenly, however many there are: van der Corput's sequence, shifted.

    Each block of `2^k` of them that begins at a multiple of `2^k` has one number in each of `2^k` intervals.
    """
    index, values, step = np.arange(count), np.full(count, start), 0.5
    while index.any():
        values += step * (index & 1)
        index, step = index >> 1, step / 2
    return values % 1.0


def _fair(n_segments: int, count: int, generator: np.random.Generator) -> Keep:
    return generator.integers(0, 2, size=(count, n_segments), dtype=np.bool_)


def _fair_pairs(n_segments: int, count: int, generator: np.random.Generator) -> Keep:
    return _pairs(_fair(n_segments, (count + 1) // 2, generator), count)


def _stratified_pairs(n_segments: int, count: int, generator: np.random.Generator) -> Keep:
    places = _spread((count + 1) // 2, generator.random())
    chances = np.array([comb(n_segments, size) / 2**n_segments for size in range(n_segments + 1)])
    sizes = np.minimum(np.searchsorted(chances.cumsum(), places, side="right"), n_segments)
    return _pairs(_subsets(generator.random((len(places), n_segments)), sizes), count)


def _orthogonal(n_segments: int, count: int, generator: np.random.Generator) -> Keep:
    """Blocks of rows of a Hadamard matrix, each followed by its complement.

    The smallest Sylvester matrix with more than K columns gives a block: K of its columns, other than the
    first, which is constant; its rows in random order; and the sign of each column at random, which makes
    every row as likely as any other. In a block all columns are balanced and orthogonal, so that segments
    take nothing from each other's scores. Over a block and its complement together, whatever the answers
    owe to even numbers of segments cancels.
    """
    order = 1 << n_segments.bit_length()
    blocks = []
    for left in range(count, 0, -2 * order):
        columns = 1 + generator.permutation(order - 1)[:n_segments]
        rows = generator.permutation(order)[:left]  # with thousands of segments a whole block takes gigabytes
        block = _odd(rows[:, None] & columns) ^ generator.integers(0, 2, size=n_segments, dtype=np.bool_)
        blocks += [block, ~block]
    return np.concatenate([np.empty((0, n_segments), dtype=bool), *blocks])[:count]


def _odd(numbers: npt.NDArray[np.int64]) -> Keep:
    """Whether an odd number of bits is set."""
    for shift in (32, 16, 8, 4, 2, 1):
        numbers = numbers ^ (numbers >> shift)
    return (numbers & 1).astype(bool)


def _kernel_of_sizes(n_segments: int) -> Floats:
    """How likely the Shapley kernel makes each size 1..K-1, float64 `(K - 1,)`."""
    sizes = np.arange(1, n_segments)
    chances = 1.0 / (sizes * (n_segments - sizes))
    share: Floats = chances / chances.sum()
    return share


def _by_kernel(n_segments: int, count: int, generator: np.random.Generator) -> Keep:
    # One row of random numbers for each sample, its size and its order: so fewer are a prefix of more.
    uniform = generator.random((count, n_segments + 1))
    below = _kernel_of_sizes(n_segments).cumsum()[:-1]
    return _subsets(uniform[:, 1:], 1 + np.searchsorted(below, uniform[:, 0], side="right"))


def _kernel_pairs(n_segments: int, count: int, generator: np.random.Generator) -> Keep:
    return _pairs(_by_kernel(n_segments, (count + 1) // 2, generator), count)


def _by_size(n_segments: int, count: int, generator: np.random.Generator) -> Keep:
    sizes = 1 + (_spread(count, generator.random()) * (n_segments - 1)).astype(np.int64)
    return _subsets(generator.random((count, n_segments)), sizes)


#: How LIME's samples are drawn, by name.
LIME_SCHEMES: dict[str, Draw] = {
    "plain": _fair, "paired": _fair_pairs, "stratified": _stratified_pairs, "orthogonal": _orthogonal,
}  # fmt: skip
#: How KernelSHAP's samples are drawn, by name.
SHAP_SCHEMES: dict[str, Draw] = {"plain": _by_kernel, "paired": _kernel_pairs, "stratified": _by_size}
