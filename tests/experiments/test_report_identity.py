"""Names of setups say what differs, and nothing else."""

from __future__ import annotations

from xai_layermask.experiments.report.identity import Identity, setup_names

ONE = Identity("lite0", '{"k":1}', "float32", 0, "0.1.0", "abcdef012345")


def other(**changes):
    return Identity(**(vars(ONE) | changes))


def test_a_model_alone_has_its_name():
    assert setup_names([]) == []
    assert setup_names([ONE, other(model="resnet", seed=3, settings='{"k":2}')]) == ["lite0", "resnet"]


def test_what_differs_stands_in_the_name():
    changes = [{"settings": '{"k":2}'}, {"precision": "bfloat16"}, {"seed": 1}, {"model_digest": "012345678"}]
    every = [ONE, *(other(**change) for change in changes)]
    assert setup_names(every[:2]) == ["lite0 (k 1)", "lite0 (k 2)"]
    assert setup_names([every[0], *every[2:4]]) == [
        "lite0 (precision float32, seed 0)", "lite0 (precision bfloat16, seed 0)", "lite0 (precision float32, seed 1)"
    ]
    assert setup_names([every[0], every[4]]) == ["lite0 (weights abcdef01)", "lite0 (weights 01234567)"]
    assert len(set(setup_names(every))) == len(every)


def test_a_setting_that_only_one_has_differs():
    assert setup_names([ONE, other(settings='{"k":1,"new":"x"}')]) == ["lite0", "lite0 (new x)"]


def test_long_settings_have_numbers():
    every = [other(settings=f'{{"fractions":[0.0,0.1,0.2,{last}]}}') for last in (0.4, 0.3)]
    assert setup_names(every) == ["lite0 (fractions #2)", "lite0 (fractions #1)"]
