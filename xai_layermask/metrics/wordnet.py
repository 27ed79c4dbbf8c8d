"""Wu-Palmer similarity of ImageNet classes over the nouns of WordNet 3.0.

The package contains the part of the hypernym graph above the 1000 classes, a few kilobytes, and computes the table of
similarities on first use. `docs/wordnet_table.py` makes the file from WordNet's own. Nothing is downloaded.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .inputs import Array, Floats, as_classes

__all__ = ["wordnet_matrix", "wordnet_similarity", "wu_palmer"]

_CLASSES = 1000
_FAR = 1000  # more than the distance of any two synsets


def wordnet_similarity(predictions: Array, targets: Array) -> float:
    r"""Mean Wu-Palmer similarity of the predicted and the true ImageNet classes.

    $$\frac1N \sum_n \text{wup}(\hat y_n, y_n), \qquad
    \text{wup}(a, b) = \frac{2 d(c)}{l(a, c) + l(b, c) + 2 d(c)}$$

    with c the lowest common hypernym of a and b, d(c) the number of synsets on its longest path to the root, and l the
    length of the shortest path between two synsets. An error close to the true class costs less than a distant one:
    a tabby is closer to a tiger cat than a crossword puzzle is.

    Details follow NLTK, because the paper's numbers do: c is the common hypernym with the longest *shortest* path to
    the root (of several the class itself if it is one, else the first by name). By way of "domestic animal" a dog is
    closer to the root than the canines above it, so that for 107 classes, most of them dogs, c lies above the class,
    and their similarity to themselves is less than 1.

    Args:
        predictions: Predicted classes in torchvision's order, integers in 0..999, `(N,)`, or a single one.
        targets: True classes of the same pictures.

    Returns:
        A number in (0, 1].

    Raises:
        InputError: If they are not ImageNet classes, or differ in number.

    Example:
        >>> round(wordnet_similarity([281], [282]), 4)  # tabby, tiger cat
        0.875
        >>> round(wordnet_similarity([281], [918]), 4)  # tabby, crossword puzzle
        0.381
    """
    predicted = as_classes(predictions, "predictions", classes=_CLASSES)
    true = as_classes(targets, "targets", classes=_CLASSES)
    if predicted.size != true.size:
        raise InputError.expected(
            "predictions and targets of the same pictures", f"{predicted.size} and {true.size} classes"
        )
    return float(wordnet_matrix()[predicted, true].mean())


@lru_cache(maxsize=1)
def wordnet_matrix() -> Floats:
    """The Wu-Palmer similarity of all ImageNet classes, computed on first use in a fraction of a second.

    Returns:
        float64 `(1000, 1000)`, symmetric and read-only, classes in torchvision's order.

    Example:
        >>> wordnet_matrix().shape
        (1000, 1000)
    """
    with files("xai_layermask").joinpath("data", "wordnet.npz").open("rb") as file, np.load(file) as table:
        matrix = wu_palmer(table["hypernyms"], table["parents"], table["classes"])
    matrix.setflags(write=False)
    return matrix


def wu_palmer(
    hypernyms: npt.NDArray[np.integer], parents: npt.NDArray[np.integer], classes: npt.NDArray[np.integer]
) -> Floats:
    """Compute Wu-Palmer similarities from a hypernym graph with one root and without cycles.

    Args:
        hypernyms: Number of direct hypernyms of each of M synsets, sorted by name, `(M,)`.
        parents: Their direct hypernyms, synset after synset, `(sum of hypernyms,)`.
        classes: The synsets to compare, `(C,)`.

    Returns:
        float64 `(C, C)`.

    Example:
        >>> animal, cat, dog = 0, 1, 2
        >>> wu_palmer(np.array([0, 1, 1]), np.array([animal, animal]), np.array([cat, dog])).tolist()
        [[1.0, 0.5], [0.5, 1.0]]
    """
    count, edges = hypernyms.size, np.cumsum(hypernyms)[:-1]
    above = np.split(parents.astype(np.intp), edges)
    child = np.repeat(np.arange(count), hypernyms)
    longest = np.zeros(count, dtype=np.int64)
    for _ in range(count):
        deeper = longest.copy()
        np.maximum.at(deeper, child, longest[parents] + 1)
        if (deeper == longest).all():
            break
        longest = deeper
    shortest = np.zeros(count, dtype=np.int64)
    up = np.full((count, count), _FAR, dtype=np.int16)  # steps from a synset up to each of its hypernyms
    for node in np.argsort(longest, kind="stable"):
        if above[node].size:
            shortest[node] = shortest[above[node]].min() + 1
            up[node] = np.minimum(up[above[node]].min(axis=0) + 1, _FAR)
        up[node, node] = 0
    # The shortest path from a class to one of its hypernyms may lead through a higher one.
    way = np.full((classes.size, count), _FAR, dtype=np.int64)
    own = [np.flatnonzero(up[node] < _FAR) for node in classes]
    for row, (node, mine) in enumerate(zip(classes, own, strict=True)):
        way[row, mine] = (up[node, mine] + up[np.ix_(mine, mine)]).min(axis=1)
    every, reach = np.arange(classes.size), up[classes] < _FAR
    similarity = np.empty((classes.size, classes.size))
    for row, (node, mine) in enumerate(zip(classes, own, strict=True)):
        lowest_first = mine[np.lexsort((mine, mine != node, -shortest[mine]))]
        lowest = lowest_first[reach[:, lowest_first].argmax(axis=1)]
        depth = 2 * (longest[lowest] + 1)
        similarity[row] = depth / (depth + way[row, lowest] + way[every, lowest])
    return similarity
