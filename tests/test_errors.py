"""The checks of arguments, and how they word what is wrong."""

import pickle

import numpy as np
import pytest

from xai_layermask.errors import InputError, check_integer, check_number, choose, reason


def test_an_integer_may_be_numpys():
    assert check_integer(np.int32(3), "k", least=1) == 3
    assert type(check_integer(np.int32(3), "k", least=1)) is int
    assert check_integer(-5, "k") == -5
    assert check_integer(9, "k", most=9) == 9


@pytest.mark.parametrize("value", [0, -1, 2.0, "3", True, np.bool_(True), None, np.float64(2), [1]])
def test_no_integer_within_bounds(value):
    with pytest.raises(InputError) as caught:
        check_integer(value, "k", least=1)
    assert str(caught.value) == f"expected an integer of at least 1 for k, got {value!r}"


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        ({"least": 0, "most": 9}, "expected an integer from 0 to 9 for k, got 'x'"),
        ({"most": 9}, "expected an integer of at most 9 for k, got 'x'"),
        ({}, "expected an integer for k, got 'x'"),
        ({"least": 1, "otherwise": "'auto'"}, "expected an integer of at least 1 or 'auto' for k, got 'x'"),
    ],
)
def test_bounds_of_integers_in_words(bounds, sentence):
    with pytest.raises(InputError) as caught:
        check_integer("x", "k", **bounds)
    assert str(caught.value) == sentence


def test_a_number_may_be_numpys():
    assert check_number(np.float32(0.5), "ratio", least=0, most=1) == 0.5
    assert type(check_number(2, "ratio")) is float


@pytest.mark.parametrize(
    ("value", "bounds", "sentence"),
    [
        (0, {"above": 0}, "expected a number above 0 for ratio, got 0"),
        (1.5, {"above": 0, "most": 1}, "expected a number above 0, at most 1 for ratio, got 1.5"),
        (-0.1, {"least": 0, "most": 1}, "expected a number from 0 to 1 for ratio, got -0.1"),
        (float("nan"), {"least": 0}, "expected a number of at least 0 for ratio, got nan"),
        (float("inf"), {}, "expected a number for ratio, got inf"),
        (True, {}, "expected a number for ratio, got True"),
        ("1", {}, "expected a number for ratio, got '1'"),
    ],
)
def test_no_number_within_bounds(value, bounds, sentence):
    with pytest.raises(InputError) as caught:
        check_number(value, "ratio", **bounds)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("value", "hint"),
    [("Zero", ": did you mean 'zero'?"), ("zerro", ": did you mean 'zero'?"), ("xyz", ""), (None, ""), ("", "")],
)
def test_a_choice_suggests_what_is_close(value, hint):
    with pytest.raises(InputError) as caught:
        choose(value, ("neighbor", "zero"), "padding")
    assert str(caught.value) == f"expected one of neighbor, zero for padding, got {value!r}{hint}"


def test_a_long_list_of_options_is_cut():
    with pytest.raises(InputError, match=r"one of w0, .*, w23 and 76 more for word, got 'no'"):
        choose("no", [f"w{i}" for i in range(100)], "word")


def test_a_long_value_is_shown_by_its_type():
    with pytest.raises(InputError, match=r"for k, got ndarray$"):
        check_integer(np.arange(1000), "k")


def test_errors_cross_processes():
    error = InputError.expected("an integer for k", "'x'", "give one")
    assert str(pickle.loads(pickle.dumps(error))) == "expected an integer for k, got 'x': give one"


def test_reason_of_an_empty_error_is_its_class():
    assert reason(ValueError()) == "ValueError"


def test_control_characters_and_lone_surrogates_are_shown_as_codes_and_long_texts_are_cut():
    sentence = str(InputError.expected("a name", "a\x1b[31m\0\ud800b"))
    assert sentence == r"expected a name, got a\x1b[31m\x00\ud800b"
    assert len(str(InputError.expected("a name", "n" * 5000))) < 1300
