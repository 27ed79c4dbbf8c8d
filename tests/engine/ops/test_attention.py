"""Attention and linear layers against physically removing the absent tokens."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from by_hand import Function, maps
from torch import nn

from xai_layermask.maskings import LayerMask


def tokens_of(x):
    return x.flatten(2).transpose(1, 2)


def fused(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def by_softmax(q, k, v):
    return (q @ k.transpose(-2, -1) / 2).softmax(-1) @ v


def by_bmm(q, k, v):
    return torch.bmm(torch.bmm(q, k.transpose(1, 2)).div(2).softmax(2), v)


def in_heads(q, k, v):
    heads = [one.unflatten(-1, (2, 2)).transpose(1, 2) for one in (q, k, v)]
    return F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)


def with_bias(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=torch.ones(1, 1, dtype=q.dtype).expand(48, 48) * 0.3)


def with_rough_bias(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=torch.ones(1, 1).expand(48, 48) * 0.3)


def with_mask(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=torch.ones(48, 48, dtype=torch.bool), scale=0.7)


@pytest.mark.parametrize("attend", [fused, by_softmax, by_bmm, in_heads, with_bias, with_rough_bias, with_mask])
def test_absent_tokens_are_never_keys(attend):
    layers = [nn.Linear(4, 4).double() for _ in range(3)]

    def model(x, *layers):
        return attend(*[layer(tokens_of(x)) for layer in layers])

    x, _ = maps(0, n=3)
    presence = torch.cat([maps(0, n=1, fraction=fraction)[1] for fraction in (0.05, 0.5, 1.0)])
    y = LayerMask(Function(model, *layers))(x, presence)
    scale = {"with_mask": 0.7}.get(attend.__name__, 0.5)
    for b in range(3):
        kept = presence[b].flatten()
        q, k, v = (layer(tokens_of(x[b : b + 1])[:, kept]) for layer in layers)
        if attend is in_heads:
            parts = zip(*[one.split(2, -1) for one in (q, k, v)], strict=True)
            expected = torch.cat([(a @ b.mT / 2**0.5).softmax(-1) @ c for a, b, c in parts], -1)
        else:
            expected = (q @ k.mT * scale).softmax(-1) @ v
        torch.testing.assert_close(y[b, kept], expected[0])
        assert y[b, ~kept].eq(0).all()


class Transformer(nn.Module):
    """A small vision transformer: patches, a class token, places, one layer, a head."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.places = nn.Parameter(torch.randn(1, 7, 8))
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x, kept=None):
        tokens = tokens_of(self.patches(x)) + self.places[:, 1:]
        tokens = torch.cat([(self.token + self.places[:, :1]).expand(len(x), -1, -1), tokens], 1)
        if kept is not None:
            tokens = tokens[:, kept]
        h = tokens
        for block in (self.attend, self.think):
            h = h + block(h)
        return self.head(h[:, 0])

    def attend(self, x):
        layer = self.layer
        q, k, v = F.linear(layer.norm1(x), layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias).chunk(3, -1)
        heads = [one.unflatten(-1, (2, 4)).transpose(1, 2) for one in (q, k, v)]
        return layer.self_attn.out_proj(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))

    def think(self, x):
        return self.layer.linear2(F.relu(self.layer.linear1(self.layer.norm2(x))))


def test_a_transformer_answers_as_if_absent_patches_had_been_removed():
    torch.manual_seed(0)
    model = Transformer().eval()
    masked = LayerMask(model)
    x = torch.randn(1, 3, 8, 12)
    for absent in ([], [0], [2, 5], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5]):
        shown = torch.ones(6, dtype=torch.bool)
        shown[absent] = False
        presence = shown.view(1, 1, 2, 3).repeat_interleave(4, 2).repeat_interleave(4, 3)
        kept = torch.cat([torch.ones(1, dtype=torch.bool), shown])
        torch.testing.assert_close(masked(x, presence), model(x, kept), atol=1e-5, rtol=1e-5)


def test_attention_that_returns_its_weights_puts_tokens_and_images_into_the_rows_of_a_matrix():
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(4, 2, batch_first=True).double().eval()

    def mean(tokens):
        return layer(tokens, tokens, tokens)[0].mean(1)  # with weights: products of matrices (tokens * images, 4)

    x, presence = maps(0, n=3)
    y = LayerMask(Function(lambda x, layer: mean(tokens_of(x)), layer))(x, presence)
    for b in range(3):
        kept = tokens_of(x[b : b + 1])[:, presence[b].flatten()]
        torch.testing.assert_close(y[b : b + 1], mean(kept))


def test_rows_without_any_key_are_finite():
    x, presence = maps(1)
    for attend in (fused, by_softmax):
        model = Function(lambda x: attend(*[tokens_of(x)] * 3).mean(1))  # noqa: B023
        y = LayerMask(model)(x, torch.zeros_like(presence))
        assert y.eq(0).all()


def test_a_query_that_is_ordinary_attends_to_present_tokens():
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.query = nn.Parameter(torch.randn(1, 1, 4, dtype=torch.float64))

        def forward(self, x):
            return F.scaled_dot_product_attention(self.query.expand(len(x), -1, -1), tokens_of(x), tokens_of(x))

    model, (x, presence) = Pooled(), maps(2)
    y = LayerMask(model)(x, presence)
    for b in range(2):
        kept = tokens_of(x[b : b + 1])[:, presence[b].flatten()]
        expected = F.scaled_dot_product_attention(model.query, kept, kept)
        torch.testing.assert_close(y[b], expected[0])


def test_causal_attention_sees_present_tokens_before_it():
    x, presence = maps(7)
    y = LayerMask(Function(lambda x: F.scaled_dot_product_attention(*[tokens_of(x)] * 3, is_causal=True)))(x, presence)
    for b in range(2):
        kept = presence[b].flatten()
        tokens = tokens_of(x[b : b + 1])[:, kept]
        expected = F.scaled_dot_product_attention(tokens, tokens, tokens, is_causal=True)
        torch.testing.assert_close(y[b][kept], expected[0])


def test_attention_with_fewer_keys_than_queries():
    class Grouped(nn.Module):
        def forward(self, x):
            tokens = tokens_of(x)[:, None]
            keys = torch.cat([tokens, tokens.cos()], 1)
            return F.scaled_dot_product_attention(keys.repeat(1, 2, 1, 1), keys, keys, enable_gqa=True)

    x, presence = maps(8)
    masked = LayerMask(Grouped())
    torch.testing.assert_close(masked(x, torch.ones_like(presence)), Grouped()(x))
    y = masked(x, presence)
    for b in range(2):
        kept = presence[b].flatten()
        tokens = tokens_of(x[b : b + 1])[:, kept][:, None]
        keys = torch.cat([tokens, tokens.cos()], 1)
        expected = F.scaled_dot_product_attention(keys.repeat(1, 2, 1, 1), keys, keys, enable_gqa=True)
        torch.testing.assert_close(y[b][:, kept], expected[0])


def test_softmax_over_channels_is_untouched_and_over_space_leaves_absent_cells_out():
    x, presence = maps(3)
    y = LayerMask(nn.Softmax(1))(x, presence)
    torch.testing.assert_close(y, torch.where(presence, x.softmax(1), 0.0))
    y = LayerMask(Function(lambda x: x.flatten(2).softmax(-1)))(x, presence)
    for b in range(2):
        kept = presence[b].flatten()
        torch.testing.assert_close(y[b][:, kept], x[b].flatten(1)[:, kept].softmax(-1))
        assert y[b][:, ~kept].eq(0).all()
    z = LayerMask(Function(lambda x: x.flatten(2).log_softmax(-1)))(x, presence)
    shown = presence.flatten(2).expand_as(z)
    torch.testing.assert_close(z[shown], y[shown].log())


def test_a_linear_layer_over_tokens_and_over_a_flattened_map():
    x, presence = maps(4)
    dense, flat = nn.Linear(4, 3).double(), nn.Linear(4 * 48, 3).double()
    y = LayerMask(Function(lambda x, dense: dense(tokens_of(x)), dense))(x, presence)
    expected = dense(tokens_of(x))
    torch.testing.assert_close(y, torch.where(tokens_of(presence), expected, 0.0))
    masked = LayerMask(Function(lambda x, flat: flat(x.flatten(1)), flat))
    torch.testing.assert_close(masked(x, presence), flat((x * presence).flatten(1)))
    torch.testing.assert_close(masked(x, presence & False)[0], flat.bias)


def test_a_matrix_that_mixes_cells_mixes_present_ones():
    mixer = nn.Linear(48, 5).double()
    x, presence = maps(5)
    y = LayerMask(Function(lambda x, mixer: x.flatten(2) @ mixer.weight.T, mixer))(x, presence)
    torch.testing.assert_close(y, (x * presence).flatten(2) @ mixer.weight.T)
    y = LayerMask(Function(lambda x, mixer: mixer.weight @ tokens_of(x), mixer))(x, presence)
    torch.testing.assert_close(y, mixer.weight @ tokens_of(x * presence))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_attention_keeps_the_type(dtype):
    x, presence = maps(6)
    for attend in (fused, by_softmax):
        y = LayerMask(Function(lambda x: attend(*[tokens_of(x)] * 3)))(x.to(dtype), presence)  # noqa: B023
        assert y.dtype == dtype
        assert torch.isfinite(y).all()
