"""Transformers by token dropping: absent tokens leave no trace, as if they had been removed by hand."""

from __future__ import annotations

import pytest
import torch

from xai_layermask import LayerMask, maskings
from xai_layermask.engine.dense import neighbor_padding

torchvision = pytest.importorskip("torchvision")
timm = pytest.importorskip("timm")

SIDE, PATCH = 64, 16
PRESENT = [0, 3, 5, 6, 10, 15]


@pytest.fixture(scope="module")
def image():
    return torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def presence_of(tokens):
    grid = torch.zeros((SIDE // PATCH) ** 2, dtype=torch.bool)
    grid[tokens] = True
    grid = grid.view(1, 1, SIDE // PATCH, SIDE // PATCH)
    return grid.repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3)


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    model = torchvision.models.VisionTransformer(SIDE, PATCH, 3, 2, 32, 64, num_classes=7).eval()
    torch.nn.init.normal_(model.heads.head.weight)
    return model


def without_tokens(vit, image, tokens):
    """The forward pass of torchvision's transformer with all other tokens cut out of the sequence."""
    x = vit._process_input(image)
    x = torch.cat([vit.class_token, x], dim=1) + vit.encoder.pos_embedding
    x = x[:, [0, *(1 + token for token in tokens)]]
    return vit.heads(vit.encoder.ln(vit.encoder.layers(x))[:, 0])


def test_dropping_equals_removing_tokens(vit, image):
    masked = LayerMask(vit)
    with torch.no_grad():
        for tokens in (PRESENT, [7], list(range(16)), []):
            expected = without_tokens(vit, image, tokens)
            assert torch.allclose(masked(image, presence_of(tokens)), expected, atol=1e-5)
        assert not torch.allclose(without_tokens(vit, image, PRESENT), vit(image), atol=1e-2)


def test_partly_absent_patches_are_padded_like_any_window(vit, image):
    presence = presence_of(PRESENT)
    presence[..., 8:12, :] = False
    padded = neighbor_padding(image, presence)
    with torch.no_grad():
        expected = without_tokens(vit, padded, PRESENT)
        assert torch.allclose(LayerMask(vit)(image, presence), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"])
@pytest.mark.parametrize("fused", [True, False])
def test_class_and_distillation_tokens_stay(name, fused, image):
    torch.manual_seed(0)
    model = timm.create_model(name, img_size=SIDE, num_classes=5, depth=2).eval()
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = fused
    with torch.no_grad():
        kept = model.patch_embed(image)
        kept = model._pos_embed(kept)
        kept = kept[:, [*range(model.num_prefix_tokens), *(model.num_prefix_tokens + token for token in PRESENT)]]
        expected = model.forward_head(model.norm(model.blocks(kept)))
        assert torch.allclose(LayerMask(model)(image, presence_of(PRESENT)), expected, atol=1e-5)


def test_tokens_is_a_masking_by_name(vit, image):
    with torch.no_grad():
        answer = maskings.make("tokens", vit)(image, presence_of(PRESENT))
        assert torch.allclose(answer, without_tokens(vit, image, PRESENT), atol=1e-5)
