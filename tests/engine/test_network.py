"""What a network tells about itself."""

from __future__ import annotations

import torch
from torch import nn

from xai_layermask.engine.network import sample


def test_the_first_floating_point_parameter_is_the_sample():
    model = nn.Sequential(nn.Linear(2, 2).half(), nn.Linear(2, 2))
    model[0].register_parameter("count", nn.Parameter(torch.tensor(3), requires_grad=False))
    assert sample(model) is model[0].weight
    only_counts = nn.Module()
    only_counts.register_parameter("count", nn.Parameter(torch.tensor(3), requires_grad=False))
    image = torch.zeros(1, dtype=torch.float64)
    assert sample(only_counts, image) is image
    assert sample(only_counts).dtype == torch.float32
