from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xai_layermask.errors import InputError
from xai_layermask.images import sample_photograph
from xai_layermask.segments import (
    check_segments,
    felzenszwalb,
    patches,
    presence_of,
    quickshift,
    segment,
    slic,
)

METHODS = [patches, slic, quickshift, felzenszwalb]


@pytest.fixture(scope="module")
def photograph():
    return np.ascontiguousarray(sample_photograph()[60:156, 120:232])  # 96 x 112: height is not width


def assert_contiguous(segments, shape):
    assert segments.dtype == np.int64
    assert segments.shape == shape
    assert np.array_equal(np.unique(segments), np.arange(segments.max() + 1))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_numbers_its_segments_without_gaps_and_repeats_itself(method, photograph):
    before = photograph.copy()
    first = method(photograph)
    assert_contiguous(first, (96, 112))
    assert first.max() > 4
    assert np.array_equal(first, method(photograph))
    assert np.array_equal(photograph, before)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_a_picture_of_one_colour_and_of_one_pixel(method):
    assert_contiguous(method(np.full((20, 30, 3), 77, np.uint8)), (20, 30))
    assert method(np.zeros((1, 1, 3), np.uint8)).tolist() == [[0]]


@pytest.mark.parametrize("method", METHODS)
def test_no_method_touches_the_global_random_state(method, photograph):
    def state():
        return np.random.get_state()[1].tolist()  # noqa: NPY002 - the global state is what is watched

    before = state()
    method(photograph)
    assert state() == before


@settings(max_examples=50)
@given(height=st.integers(1, 20), width=st.integers(1, 20), size=st.integers(1, 25))
def test_patches_equal_a_loop_over_pixels(height, width, size):
    segments = patches(np.zeros((height, width, 3), np.uint8), size)
    ids: dict[tuple[int, int], int] = {}
    for y in range(height):
        for x in range(width):
            assert segments[y, x] == ids.setdefault((y // size, x // size), len(ids) if x % size == 0 else -1)


def test_slic_finds_about_196_segments_on_a_photograph_of_224():
    picture = np.ascontiguousarray(sample_photograph()[40:264, 110:334])
    assert 150 <= slic(picture).max() + 1 <= 220
    assert slic(picture, n_segments=50).max() < slic(picture).max()


def test_quickshift_has_the_papers_settings(photograph):
    from skimage.segmentation import quickshift as reference

    expected = reference(photograph, kernel_size=2, max_dist=200, ratio=0.2, rng=0)
    assert len(np.unique(expected)) == expected.max() + 1
    assert np.array_equal(quickshift(photograph), expected)


def test_gaps_left_by_skimage_are_closed(monkeypatch, photograph):
    import skimage.segmentation

    gappy = np.where(np.arange(96)[:, None] < 40, 5, 9) + np.zeros((1, 112), int)
    monkeypatch.setattr(skimage.segmentation, "slic", lambda image, **options: gappy)
    assert np.array_equal(slic(photograph), gappy == 9)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("patches", patches),
        ("patches:8", lambda image: patches(image, 8)),
        ("slic", slic),
        ("slic:30", lambda image: slic(image, 30)),
        ("quickshift", quickshift),
        ("felzenszwalb", felzenszwalb),
    ],
)
def test_segment_by_name(how, expected, photograph):
    assert np.array_equal(segment(photograph, how), expected(photograph))


@pytest.mark.parametrize("wrap", [np.asarray, torch.tensor, list, lambda ids: np.asarray(ids, np.uint8)])
def test_segment_takes_a_map_or_a_function_that_returns_one(wrap):
    image = np.zeros((2, 3, 3), np.uint8)
    ids = [[4, 4, 2], [9, 9, 2]]
    assert segment(image, wrap(ids)).tolist() == [[1, 1, 0], [2, 2, 0]]
    assert segment(image, lambda picture: wrap(ids)).tolist() == [[1, 1, 0], [2, 2, 0]]


def test_a_function_cannot_draw_on_the_callers_picture():
    image = np.zeros((2, 2, 3), np.uint8)

    def scribble(picture):
        picture[:] = 255
        return [[0, 1], [0, 1]]

    segment(image, scribble)
    assert not image.any()


@settings(max_examples=50)
@given(hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 2**31 - 1)))
def test_check_segments_keeps_the_partition_and_the_order(ids):
    if len(np.unique(ids)) == 1:
        with pytest.raises(InputError, match="expected at least two segments, got one"):
            check_segments(ids, ids.shape)
        return
    segments = check_segments(ids, ids.shape)
    assert_contiguous(segments, ids.shape)
    flat, old = segments.ravel(), ids.ravel()
    assert np.array_equal(np.sign(flat[:, None] - flat), np.sign(old[:, None].astype(np.int64) - old))


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (np.zeros((4, 5), int), r"shape of the cropped picture, \(4, 6\), for segments, got \(4, 5\)"),
        (np.zeros((1, 4, 6), int), r"for segments, got \(1, 4, 6\)"),
        (np.zeros((4, 6)), "expected integers for segments, got float64"),
        (np.full((4, 6), "a"), "expected integers for segments, got <U1"),
        ([[1, 2], [3]], r"expected an integer array \(4, 6\) for segments, got list"),
        (None, "expected integers for segments, got object"),
        (torch.eye(4, 6), "expected integers for segments, got float32"),
        (np.arange(24).reshape(4, 6) - 3, "expected ids of at least 0 in segments, got a negative id for 3 pixels"),
        (np.full((4, 6), 3), "expected at least two segments, got one"),
    ],
)
def test_bad_maps_are_named(segments, message):
    with pytest.raises(InputError, match=message):
        check_segments(segments, (4, 6))
    with pytest.raises(InputError, match=message):
        segment(np.zeros((4, 6, 3), np.uint8), segments)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("slick", "got 'slick': did you mean 'slic'"),
        ("", "expected one of .* for segments, got ''"),
        ("slic:", "expected .* with an integer N of at least 1 for segments, got 'slic:'"),
        ("slic:" + "9" * 5000, "an integer N of at least 1 and at most 999999 for segments, got 'slic:999"),
        ("slic:0", "expected .* with an integer N of at least 1 for segments, got 'slic:0'"),
        ("patches:-8", "expected .* with an integer N of at least 1 for segments, got 'patches:-8'"),
        ("patches:8.5", "expected .* with an integer N of at least 1 for segments, got 'patches:8.5'"),
        ("patches:64", "expected at least two segments, got one"),
        ("quickshift:3", "expected quickshift without a number for segments, got 'quickshift:3'"),
    ],
)
def test_bad_names_are_named(how, message):
    with pytest.raises(InputError, match=message):
        segment(np.zeros((32, 32, 3), np.uint8), how)


@pytest.mark.parametrize("method", [*METHODS, lambda image: segment(image, "slic")])
@pytest.mark.parametrize(
    ("image", "got"),
    [
        (np.zeros((4, 4), np.uint8), r"uint8 \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 \(4, 4, 4\)"),
        (np.zeros((4, 4, 3)), r"float64 \(4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 \(0, 4, 3\)"),
        (torch.zeros(3, 4, 4), "Tensor"),
    ],
)
def test_bad_pictures_are_named(method, image, got):
    with pytest.raises(InputError, match=rf"expected a uint8 array \(H, W, 3\) for image, got {got}"):
        method(image)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda image: patches(image, 0), "expected an integer of at least 1 for size, got 0"),
        (lambda image: patches(image, 2.0), "expected an integer .* for size, got 2.0"),
        (lambda image: patches(image, True), "for size, got True"),
        (lambda image: slic(image, -1), "expected an integer of at least 1 for n_segments, got -1"),
        (lambda image: slic(image, compactness=0), "expected a number above 0 for compactness, got 0"),
        (lambda image: slic(image, compactness=float("nan")), "expected a number above 0 for compactness, got nan"),
        (lambda image: quickshift(image, kernel_size=0.5), "expected a number of at least 1 for kernel_size, got 0.5"),
        (lambda image: quickshift(image, max_dist=float("inf")), "expected a number above 0 for max_dist, got inf"),
        (lambda image: quickshift(image, ratio=1.5), "expected a number from 0 to 1 for ratio, got 1.5"),
        (lambda image: quickshift(image, ratio=-0.5), "expected a number from 0 to 1 for ratio, got -0.5"),
        (lambda image: felzenszwalb(image, scale=0), "expected a number above 0 for scale, got 0"),
        (lambda image: felzenszwalb(image, sigma=-1), "expected a number of at least 0 for sigma, got -1"),
        (lambda image: felzenszwalb(image, min_size=0), "expected an integer of at least 1 for min_size"),
    ],
)
def test_bad_parameters_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call(np.zeros((8, 8, 3), np.uint8))


@settings(max_examples=50)
@given(data=st.data())
def test_presence_equals_a_loop_over_pixels(data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6))
    ids = hnp.arrays(np.int64, shape, elements=st.integers(0, 5)).filter(lambda a: a.min() < a.max())
    segments = check_segments(data.draw(ids), shape)
    coalitions = data.draw(hnp.arrays(bool, (data.draw(st.integers(0, 4)), int(segments.max()) + 1)))
    presence = presence_of(segments, coalitions)
    assert presence.dtype == torch.bool
    assert presence.shape == (len(coalitions), 1, *shape)
    for mask in range(len(coalitions)):
        for y in range(shape[0]):
            for x in range(shape[1]):
                assert presence[mask, 0, y, x] == coalitions[mask, segments[y, x]]


@pytest.mark.parametrize(
    "coalitions", [[[1, 0]], [[1.0, 0.0]], np.array([[1, 0]], np.uint8), torch.tensor([[True, False]])]
)
def test_presence_takes_zeros_and_ones_of_any_type(coalitions):
    assert presence_of(np.array([[0, 1]]), coalitions).flatten().tolist() == [True, False]


@pytest.mark.parametrize(
    ("coalitions", "message"),
    [
        ([[1, 0, 1]], r"expected the shape \(M, 2\) for coalitions, got \(1, 3\)"),
        ([1, 0], r"expected the shape \(M, 2\) for coalitions, got \(2,\)"),
        ([[0.5, 1]], "expected only 0 and 1 in coalitions, got other numbers"),
        ([[float("nan"), 1]], "expected only 0 and 1 in coalitions, got other numbers"),
    ],
)
def test_bad_choices_are_named(coalitions, message):
    with pytest.raises(InputError, match=message):
        presence_of(np.array([[0, 1]]), coalitions)


def test_no_choice_is_no_presence():
    assert presence_of(np.array([[0, 0, 1]]), np.ones((0, 2), bool)).shape == (0, 1, 1, 3)


def test_coalitions_may_be_a_view():
    rows = np.random.default_rng(0).random((3, 4)) < 0.5
    rows.setflags(write=False)
    segments = np.arange(4).reshape(2, 2)
    assert torch.equal(presence_of(segments, rows[::-1]), presence_of(segments, rows.tolist()).flip(0))
