"""The paper's numbers as data, what its parts need, and reports that put them beside measurements."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from report_rows import EVERY, TRIAL

from xai_layermask.catalog import parse_masking, parse_segmentation
from xai_layermask.errors import InputError
from xai_layermask.experiments.paper import PARTS, counterpart, paper_value, paper_values, parts
from xai_layermask.experiments.protocols import PROTOCOLS
from xai_layermask.experiments.protocols.removal import ORDERS
from xai_layermask.experiments.report import sections


def test_every_table_is_whole():
    counts = Counter(one.table for one in paper_values())
    assert counts == {
        "1": 54, "2": 27, "3": 20, **{str(n): 108 for n in range(4, 12)}, "12": 6 * 27, "13": 24, "appendix 2": 2
    }  # fmt: skip
    cells = Counter((one.table, one.model, *one[2:6]) for one in paper_values())
    assert set(cells.values()) == {1}
    assert all(0 <= one.value <= (6.5 if one.metric == "class entropy" else 1) for one in paper_values())


def test_table_1_is_part_of_table_4():
    for one in paper_values():
        if one.table == "1":
            assert one.value == paper_value(one.model, one.segments, one.setting, one.metric, one.masking).value


def test_table_3_is_not_the_mean_of_table_4():
    """Averages over the nine cells of table 4 differ from table 3: the paper averages over more segmentations."""
    for masking, printed, mean in (("black", 0.3881, 0.3992), ("grey", 0.4398, 0.4418), ("layer", 0.5604, 0.5413)):
        cells = [
            one.value for one in paper_values()
            if (one.table, one.metric, one.masking) == ("4", "accuracy", masking)
        ]  # fmt: skip
        assert sum(cells) / 9 == pytest.approx(mean, abs=5e-5)
        assert paper_value("ResNet-50", "mean", "mean", "accuracy", masking).value == printed


def test_cells_are_found_by_our_names():
    assert paper_value("ViT-B/16", "patches:56", "", "linearity", "layer").value == 0.1929  # token dropping
    assert paper_value("ResNet-50", "mean", "mean", "accuracy", "layer-until:layer2").value == 0.5103
    assert paper_value("ResNet-50", "patches:16", "random", "accuracy", "partial").table == "appendix 2"
    assert paper_value("ResNet-50", "patches:8", "random", "accuracy", "layer") is None


@pytest.mark.parametrize(
    ("model", "network", "same"),
    [
        ("torchvision:resnet50", "ResNet-50", True), ("timm:resnet50.a1_in1k", "ResNet-50", True),
        ("torchvision:wide_resnet50_2", "WideResNet-50", True), ("timm:wide_resnet50_2", "WideResNet-50", True),
        ("torchvision:alexnet", "AlexNet", True), ("torchvision:vit_b_16", "ViT-B/16", True),
        ("timm:vit_base_patch16_224.augreg_in1k", "ViT-B/16", True),
        ("torchvision:wide_resnet101_2", "WideResNet-50", False), ("timm:resnet50_clip.openai", "ResNet-50", False),
        ("timm:resnet50d", "ResNet-50", False), ("timm:resnet50_gn", "ResNet-50", False),
        ("timm:seresnet50", "ResNet-50", False), ("mine:resnet50", "ResNet-50", False),
        ("timm:resnet18", "ResNet-50", False), ("torchvision:densenet121", "DenseNet", False),
        ("torchvision:squeezenet1_1", "SqueezeNet", False), ("torchvision:efficientnet_b7", "EfficientNet", False),
        ("torchvision:mobilenet_v3_small", "MobileNet-v3", False), ("deit:deit_tiny", "ViT-B/16", False),
        ("timm:vit_base_patch16_clip_224.openai", "ViT-B/16", False), ("timm:vit_base_patch16_384", "ViT-B/16", False),
    ],
)  # fmt: skip
def test_only_an_exact_name_is_the_same_architecture(model, network, same):
    assert counterpart(model) == (network, same)


def test_parts_can_be_measured():
    for part in PARTS.values():
        protocol = PROTOCOLS[part.protocol]()
        assert protocol.variants(part.maskings, part.segments)
        for masking in part.maskings:
            parse_masking(masking)
        for segmentation in part.segments:
            parse_segmentation(segmentation)
    assert list(parts()) == list(PARTS) and list(parts(figures=["9"])) == ["figure 9"]
    with pytest.raises(InputError, match=r"expected one of 1, 2, .* 13 for --table, got '14'"):
        parts(tables=["14"])


def compared(rows, name):
    section = sections(rows)[0]
    tables = {table.name: table for table in section.tables}
    return tables.get(name), tables


def test_the_papers_value_stands_beside_each_cell_that_has_one():
    rows = list(EVERY["robustness"](model="torchvision:resnet50"))
    long, tables = compared(rows, "robustness-paper")
    cells = [dict(zip(long.header, row, strict=True)) for row in long.rows]
    # Two segmentations, three orders, two maskings, four metrics; no averages, since table 3 has three segmentations.
    assert len(cells) == 2 * 3 * 2 * 4
    for cell in cells:
        assert cell["paper"] == paper_value(
            "ResNet-50", cell["segments"], cell["order"], cell["metric"], cell["masking"]
        ).value
        summary = tables["robustness"]
        (ours,) = [
            line for line in (dict(zip(summary.header, row, strict=True)) for row in summary.rows)
            if all(line[key] == cell[key] for key in ("segments", "order", "masking"))
        ]  # fmt: skip
        assert cell["ours"] == ours[cell["metric"] + " ↑"]
    layout = tables["robustness-paper-1"]
    assert layout.header[:3] == ("metric", "masking", "n") and "patches:16, most salient first" in layout.header
    assert "slic:100 instead of slic:196" in layout.caption and "the same architecture" in layout.caption
    first = dict(zip(layout.header, layout.rows[0], strict=True))
    assert first["patches:16, random"].endswith(" (0.240)") and first["masking"] == "grey-out"
    averaged = "torchvision:resnet50: patches:16, slic:100; random, most salient first, least salient first."
    assert averaged in tables["robustness-average"].caption


_PAPERS = ("patches:16", "quickshift", "slic:196")


def few(protocol, segments, orders, **changes):
    return EVERY[protocol](segments=segments, orders=orders, model="torchvision:resnet50", count=2, **changes)


@pytest.mark.parametrize("protocol", ["robustness", "ablation"])
def test_table_3_stands_beside_the_same_average(protocol):
    settings = '{"k":20,"orders":["salient","random","least"]}'
    tables = compared(few(protocol, _PAPERS, ORDERS, settings=settings), "")[1]
    found = tables[f"{protocol}-paper-average-1"]
    assert found.rows[0][2].endswith(" (0.440)") and "table 3" in found.caption
    assert "instead of" not in found.caption


@pytest.mark.parametrize(
    ("segments", "orders"),
    [
        (_PAPERS[:2], ORDERS), (_PAPERS, ORDERS[:2]), ((*_PAPERS[:2], "slic:100"), ORDERS),
        ((*_PAPERS, "slic:50"), ORDERS),
    ],
)  # fmt: skip
def test_table_3_does_not_stand_beside_another_average(segments, orders):
    tables = compared(few("robustness", segments, orders), "")[1]
    assert ", ".join(sorted(segments)) in tables["robustness-average"].caption
    assert "robustness-paper-1" in tables and "robustness-paper-average-1" not in tables


def test_one_order_of_an_ablation_is_told():
    caption = compared(few("ablation", _PAPERS, ("random",), settings='{"orders":["random"]}'), "")[1][
        "ablation-paper-1"
    ].caption
    assert "orders ['random'] instead of ['random', 'salient', 'least']" in caption


@pytest.mark.parametrize(("protocol", "count"), [("lime", 2 * 2 * 3), ("linearity", 2 * 2), ("mask-shape", 0)])
def test_other_protocols_are_compared_too(protocol, count):
    long, _ = compared(EVERY[protocol](model="torchvision:resnet50"), f"{protocol}-paper")
    assert (len(long.rows) if long else 0) == count


def test_a_model_without_counterpart_is_not_compared_and_another_network_is_named():
    assert not any("paper" in name for name in compared(EVERY["lime"](model="mine:net"), "")[1])
    _, tables = compared(EVERY["lime"](settings='{"k":20,"samples":256}'), "")
    caption = tables["lime-paper-1"].caption
    assert "lite0, and in parentheses EfficientNet (the nearest of the paper's networks), table 12" in caption
    assert "samples 256 instead of 500" in caption


def test_undefined_numbers_are_not_compared():
    trial = replace(TRIAL, protocol="lime", masking="layer", segments="patches:16", model="torchvision:resnet50",
                    settings='{"k":20}')  # fmt: skip
    row = {"kept": True, "label": 1, "whole": 1, "probability": 0.5, "alignment": None, "jaccard": 0.2, "ablated": 1}
    long, _ = compared([(trial, [row])], "lime-paper")
    assert {cell[long.header.index("metric")] for cell in long.rows} <= {
        "top-20 Jaccard similarity", "top-20 ablation accuracy"
    }  # fmt: skip
