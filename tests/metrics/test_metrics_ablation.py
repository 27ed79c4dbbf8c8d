"""Top-k ablation removes what it should, by the masking it names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xai_layermask.errors import InputError
from xai_layermask.maskings import Fill
from xai_layermask.metrics import removal, topk_ablation

STRIPES = np.repeat(np.arange(4)[None], 2, axis=0)  # (2, 4): four columns


class Brightest:
    """The class is the brightest column that is still there; remembers what it was shown."""

    name = "blackout"

    def __init__(self):
        self.presences = []

    def __call__(self, image, presence):
        self.presences.append(presence)
        return (image * presence).sum((1, 2))


def picture(*columns):
    return torch.tensor(columns, dtype=torch.float32).expand(1, 3, 2, len(columns)).clone()


def test_the_highest_scoring_segments_go():
    masking = Brightest()
    result = topk_ablation(masking, picture(9, 5, 7, 1), [0.9, 0.1, 0.8, 0.0], STRIPES, k=2)
    assert masking.presences[0].dtype == torch.bool
    assert masking.presences[0].tolist() == [[[[False, True, False, True]] * 2]]
    assert masking.presences[1].all()  # the default target: what is predicted for the whole
    assert (result.masking, result.k) == ("blackout", 2)
    assert (result.targets, result.predictions, result.unchanged) == ((0,), (1,), (False,))
    assert result.accuracy == float(result) == 0


def test_a_given_target_needs_no_second_pass():
    masking = Brightest()
    result = topk_ablation(masking, picture(9, 5, 7, 1), [0.9, 0.1, 0.8, 0.0], STRIPES, k=2, targets=1)
    assert len(masking.presences) == 1
    assert result.targets == (1,) and result.unchanged == (True,) and result.accuracy == 1


def test_accuracy_over_a_set_with_segments_of_different_numbers():
    images = torch.cat([picture(9, 5, 7, 1), picture(1, 2, 3, 4), picture(4, 3, 2, 1)])
    halves = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    scores = [np.array([1.0, 0, 0, 0]), torch.tensor([0.2, 0.1]), [0.0, 0.0, 1.0, 0.0]]
    for size in (1, 2, 32):
        result = topk_ablation(Brightest(), images, scores, [STRIPES, halves, STRIPES], k=1, batch_size=size)
        assert result.targets == (0, 3, 0)
        assert result.predictions == (2, 3, 0)
        assert result.accuracy == pytest.approx(2 / 3)


def test_each_picture_of_a_set_as_if_alone():
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(5, 3, 2, 4, generator=generator)
    scores = torch.rand(5, 4, generator=generator)
    together = topk_ablation(Brightest(), images, scores, STRIPES, k=2)
    alone = [topk_ablation(Brightest(), images[n : n + 1], scores[n], STRIPES, k=2) for n in range(5)]
    assert together.predictions == tuple(one.predictions[0] for one in alone)
    for n, predicted in enumerate(together.predictions):
        left = sorted(range(4), key=lambda column: -scores[n, column])[2:]
        brightness = {column: images[n, :, :, column].sum().item() for column in left}
        assert predicted == max(brightness, key=brightness.get)


def test_ties_and_k_beyond_the_segments():
    tied = topk_ablation(Brightest(), picture(1, 9, 8, 7), [0.5, 0.5, 0.5, 0.5], STRIPES, k=2)
    assert tied.predictions == (2,)  # segments 0 and 1 went
    masking = Brightest()
    topk_ablation(masking, picture(1, 9, 8, 7), [4, 3, 2, 1], STRIPES)
    assert not masking.presences[0].any()  # the paper's 20 are more than there are


def test_no_gradients():
    image = picture(9, 5, 7, 1).requires_grad_()
    seen = []

    class Watching(Brightest):
        def __call__(self, image, presence):
            seen.append(torch.is_grad_enabled())
            return super().__call__(image, presence)

    topk_ablation(Watching(), image, [4, 3, 2, 1], STRIPES, k=1)
    assert seen == [False, False]


def call(**changed):
    arguments = {
        "masking": Brightest(),
        "image": picture(9, 5, 7, 1),
        "scores": [4, 3, 2, 1],
        "segments": STRIPES,
    }
    return topk_ablation(**(arguments | changed))


def nameless(image, presence):
    return presence


class Wrong:
    name = "wrong"

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, image, presence):
        return self.answer


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"masking": "grey"},
            r"^expected a callable of image and presence with a name for masking, got str: pass",
        ),
        ({"masking": nameless}, r"^expected a callable .* for masking, got function"),
        (
            {"masking": Wrong({})},
            r"^expected a floating-point tensor \(1, ...\) from the model for 1 images, got dict: choose select",
        ),
        (
            {"masking": Wrong(torch.zeros(1, 3, 2, 2))},
            r"^expected logits .* from masking, got 1x3x2x2",
        ),
        (
            {"masking": Wrong(torch.zeros(2, 3))},
            r"^expected a floating-point tensor \(1, ...\) from the model for 1 images, got torch.float32 \(2, 3\)",
        ),
        (
            {"image": picture(1, 2, 3)},
            r"^expected segments of the image's size 2x3, got 2x4: segment the picture",
        ),
        ({"image": np.zeros((1, 3, 2, 4))}, r"^expected a tensor \(N, C, H, W\) for image, got ndarray"),
        ({"image": picture(9, 5, 7, 1)[0]}, r"^expected a tensor \(N, C, H, W\) for image, .* add a batch dimension"),
        (
            {"image": picture(9, 5, 7, 1).repeat(2, 1, 1, 1)},
            r"^expected scores of each of 2 pictures, got 1",
        ),
        (
            {"scores": [[4, 3, 2, 1]] * 2},
            r"^expected scores of each of 1 pictures, got 2",
        ),
        ({"scores": np.zeros((0, 4))}, r"^expected scores of each of 1 pictures, got 0"),
        ({"scores": [3, 2, 1]}, r"^expected all ids from 0 to 2"),
        ({"scores": []}, r"^expected a vector \(D,\) with D >= 1 for scores"),
        (
            {"segments": [STRIPES] * 2},
            r"^expected scores and segments of the same pictures, got 1 and 2: pass",
        ),
        ({"segments": STRIPES[0]}, r"^expected an array \(H, W\) for segments, got 4"),
        ({"k": 0}, r"^expected an integer of at least 1 for k, got 0"),
        ({"batch_size": 0}, r"^expected an integer of at least 1 for batch_size"),
        ({"targets": 4}, r"^expected class indices from 0 to 3 for targets, got 4"),
        (
            {"targets": [0, 1]},
            r"^expected one class for each of 1 pictures for targets, got 2",
        ),
    ],
)
def test_malformed_input(changed, message):
    with pytest.raises(InputError, match=message):
        call(**changed)


def test_one_output_has_no_other_class():
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 1))
    arguments = Fill(model, "black"), picture(9, 5, 7, 1), [0.9, 0.1, 0.8, 0.0], STRIPES
    with pytest.raises(InputError, match="expected a model of at least two classes, got one output"):
        topk_ablation(*arguments, k=2)
    found = removal(*arguments, target=0)
    assert found.ablation is None and found.deletion.target == 0


def test_a_model_that_returns_nan_predicts_no_class():
    def masking(image, presence):
        return torch.where(presence.all(), 1.0, torch.nan) * torch.tensor([[1.0, 2.0]]).expand(len(presence), -1)

    masking.name = "mine"
    with pytest.raises(InputError, match="expected probabilities from masking, got NaN"):
        topk_ablation(masking, picture(9, 5, 7, 1), [0.9, 0.1, 0.8, 0.0], STRIPES, k=2)
