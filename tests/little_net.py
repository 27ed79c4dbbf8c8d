"""A small network with a little of everything, and random input for it."""

from __future__ import annotations

import torch
from torch import nn


class Net(nn.Module):
    """A little of everything: stem, pool, residual block, gate, normalised head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.one, self.two = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.gate, self.norm, self.head = nn.Conv2d(4, 4, 1), nn.GroupNorm(2, 4), nn.Linear(4, 5)

    def forward(self, x):
        x = self.pool(self.stem(x))
        y = self.two(torch.nn.functional.silu(self.one(x))) + x
        y = self.norm(y * self.gate(y.mean((2, 3), keepdim=True)).sigmoid())
        return self.head(y.mean((2, 3)))


def net(dtype=torch.float32):
    torch.manual_seed(0)
    model = Net().eval().to(dtype)
    model.stem[1].running_mean.normal_()
    return model


def draw(seed=0, n=2, size=(12, 17), fraction=0.5, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, *size, generator=generator, dtype=torch.float64).to(dtype)
    return x, torch.rand(n, 1, *size, generator=generator) < fraction
