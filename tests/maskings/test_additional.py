"""Further inputs of a model, such as a table or a second image: what comes out is what the parts say by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xai_layermask.errors import InputError
from xai_layermask.images import Preprocess
from xai_layermask.maskings import Fill, LayerMask, Reference, as_extras
from xai_layermask.trace import trace

HALF = torch.ones(1, 1, 8, 8)
HALF[..., 4:] = 0


class Tower(nn.Module):
    """An image to features."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, x):
        return torch.relu(self.norm(self.conv(x))).mean((2, 3))


class Clinic(nn.Module):
    """An image and a table of numbers; the table in place is what some networks do."""

    def __init__(self):
        super().__init__()
        self.tower, self.head = Tower(), nn.Linear(4 + 2, 3)

    def forward(self, image, table, factor=1.0):
        table = table.mul_(factor)
        return self.head(torch.cat([self.tower(image), table], dim=1))


class Siamese(nn.Module):
    """The distance of two images in feature space."""

    def __init__(self):
        super().__init__()
        self.tower = Tower()

    def forward(self, image, other):
        return (self.tower(image) - self.tower(other)).abs()


class Scaled(nn.Module):
    """A gate of the features, the same for all images."""

    def __init__(self):
        super().__init__()
        self.tower = Tower()

    def forward(self, image, options):
        return self.tower(image) * options["gate"] + options["shift"][0]


def images(count=1, seed=1):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def presences(count):
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(2)) > 0.4


MASKINGS = [LayerMask, Reference, *(lambda model, fill=fill: Fill(model, fill) for fill in ("black", "grey", "mean"))]


@pytest.mark.parametrize("masking", MASKINGS)
@pytest.mark.parametrize("count", [1, 5])
def test_an_image_and_a_table(masking, count):
    model, presence, table = Clinic().eval(), presences(count), torch.tensor([[0.3, -2.0]])
    masked, kept = masking(model), table.clone()
    features = masking(model.tower)(images(), presence)
    expected = model.head(torch.cat([features, kept.expand(count, 2)], dim=1))
    torch.testing.assert_close(masked(images(), presence, table), expected)
    assert torch.equal(table, kept)


@pytest.mark.parametrize("masking", MASKINGS)
@pytest.mark.parametrize("count", [1, 5])
def test_the_second_of_two_images_is_present_whole(masking, count):
    model, presence, other = Siamese().eval(), presences(count), images(seed=3)
    expected = (masking(model.tower)(images(), presence) - model.tower(other)).abs()
    torch.testing.assert_close(masking(model)(images(), presence, other), expected)


@pytest.mark.parametrize("masking", MASKINGS)
def test_a_row_for_each_image(masking):
    model, presence, tables = Clinic().eval(), presences(4), torch.randn(4, 2)
    together = masking(model)(images(4), presence, tables)
    for i in range(4):
        alone = masking(model)(images(4)[i : i + 1], presence[i : i + 1], tables[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)


def test_without_presence_it_is_the_model():
    model, table = Clinic().eval(), torch.randn(1, 2)
    assert torch.equal(LayerMask(model)(images(), None, table), model(images(), table.clone()))
    training = LayerMask(Clinic().train())
    assert torch.equal(training(images(), None, table), training.model.eval()(images(), table.clone()))


def test_numbers_and_what_is_nested_and_without_a_batch_dimension():
    model, presence = Scaled().eval(), presences(3)
    options = {"gate": torch.tensor([1.0, 0.0, 2.0, 3.0]), "shift": [0.5, None, "unused"]}
    expected = LayerMask(model.tower)(images(), presence) * options["gate"] + 0.5
    masked = LayerMask(model)
    torch.testing.assert_close(masked(images(), presence, options), expected)
    torch.testing.assert_close(masked(images(), presence, options | {"shift": [2.5]}), expected + 2)
    clinic, table = Clinic().eval(), torch.ones(1, 2)
    doubled = LayerMask(clinic)(images(), HALF, table, 2.0)
    torch.testing.assert_close(doubled, LayerMask(clinic)(images(), HALF, 2 * table))


def test_one_capture_serves_all_batch_sizes_and_values():
    masked = LayerMask(Clinic().eval())
    for count in (1, 3, 7):
        masked(images(), presences(count), torch.randn(1, 2))
        masked(images(count), presences(count), torch.randn(count, 2))
    assert len(masked._graphs) == 1


def test_gradients_reach_further_inputs():
    model, table = Clinic().eval().requires_grad_(False), torch.ones(1, 2, requires_grad=True)
    LayerMask(model)(images(), presences(3), table)[:, 0].sum().backward()
    torch.testing.assert_close(table.grad, 3 * model.head.weight[:1, 4:])


def test_bound_with_further_inputs():
    masked, table = LayerMask(Clinic().eval()), torch.tensor([[0.3, -2.0]])
    presence, tables = presences(4), torch.randn(4, 2)
    expected = masked(images(), presence, table)
    torch.testing.assert_close(masked.bind(images(), table)(presence), expected)
    torch.testing.assert_close(masked.bind(images(), additional_forward_args=(table, 1.0))(presence), expected)
    pair, index = masked.bind(images(2), tables[:2]), torch.tensor([1, 0, 1, 1])
    torch.testing.assert_close(pair(presence, index), masked(images(2)[index], presence, tables[index]))
    both = presence[:2].repeat_interleave(2, 0)
    torch.testing.assert_close(pair(both), masked(images(2).repeat(2, 1, 1, 1), both, tables[:2].repeat(2, 1)))
    single = masked.bind(images())
    torch.testing.assert_close(single(presence, single.index[0], tables), masked(images(), presence, tables))


def test_a_table_in_the_place_of_the_index():
    bound = LayerMask(Clinic().eval()).bind(images())
    message = r"for index, got torch.float32 \(1, 2\): pass bound.index, and further inputs of the model to bind, or"
    with pytest.raises(InputError, match=message):
        bound(HALF, torch.zeros(1, 2))


MISSING = (
    r"expected the further input table of the model, got only an image: pass masked\(image, presence, table\), or "
    "additional_forward_args=table"
)


def test_a_missing_input_is_named():
    for masked in (LayerMask(Clinic().eval()), Fill(Clinic().eval(), "grey"), LayerMask(Clinic().train())):
        for presence in (None, HALF):
            with pytest.raises(InputError, match=MISSING):
                masked(images(), presence)


def test_one_input_too_many():
    message = r"expected 2 further inputs of the model, got 3"
    with pytest.raises(InputError, match=message):
        LayerMask(Clinic().eval())(images(), None, torch.zeros(1, 2), 1.0, 2)
    with pytest.raises(InputError, match="expected no further inputs of the model, got 1"):
        LayerMask(Tower().eval())(images(), None, torch.zeros(1, 2))


def test_an_input_that_is_no_tensor():
    message = r"expected tensors, numbers, .* for the further inputs of the model, got ndarray: convert arrays with"
    with pytest.raises(InputError, match=message):
        LayerMask(Clinic().eval())(images(), HALF, torch.zeros(1, 2).numpy())


def test_unsupported_takes_further_inputs():
    assert LayerMask(Clinic()).unsupported((2, 3, 8, 8), torch.zeros(2, 2)) == []


def test_a_trace_takes_further_inputs():
    model, table = Clinic().eval(), torch.ones(1, 2)
    found = trace(LayerMask(model), images(), HALF, ["tower.conv"], additional_forward_args=table)
    torch.testing.assert_close(found.answer, LayerMask(model)(images(), HALF, table))


def test_predict_proba_with_further_inputs():
    model, table = Clinic().eval(), torch.randn(1, 2)
    pictures = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    masked = LayerMask(model)
    for count, tables in ((1, table), (2, torch.randn(2, 2))):
        found = masked.predict_proba(pictures[:count], presences(2), additional_forward_args=tables)
        image = torch.cat([Preprocess().normalize(one.numpy()) for one in pictures[:count]])
        expected = masked(image, presences(2), tables).softmax(1)
        torch.testing.assert_close(torch.from_numpy(found), expected.detach())


def test_extras_as_captum_takes_them():
    assert as_extras(None) == ()
    assert as_extras(3) == (3,)
    assert as_extras((3, None)) == (3, None)
