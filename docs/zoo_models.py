"""The architectures of `zoo.py`: names, image sizes, and options that make them small."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["NO_IMAGES", "OTHERS", "TIMM", "TORCHVISION", "TRANSFORMERS", "Case"]


class Case(NamedTuple):
    """An architecture, the side of its images, and options of its constructor or configuration."""

    library: str
    module: str
    name: str
    side: int
    options: dict[str, Any]


#: Side and options where they are not 64 and none. The initialisation of two draws from scipy for minutes.
TORCHVISION: dict[str, tuple[int, dict[str, Any]]] = {
    "googlenet": (64, {"init_weights": False}),
    "inception_v3": (96, {"init_weights": False}),
    "maxvit_t": (224, {}),
    "vit_b_16": (64, {"image_size": 64}),
    "vit_b_32": (64, {"image_size": 64}),
    "vit_h_14": (56, {"image_size": 56}),
    "vit_l_16": (64, {"image_size": 64}),
    "vit_l_32": (64, {"image_size": 64}),
}

#: Module, name, side and options.
TIMM: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("beit", "beit_base_patch16_224", 64, {"img_size": 64, "depth": 2}),
    ("byoanet", "halonet_h1", 256, {}),
    ("byoanet", "eca_halonext26ts", 256, {}),
    ("byoanet", "lambda_resnet26t", 128, {"img_size": 128}),
    ("byoanet", "botnet26t_256", 128, {"img_size": 128}),
    ("byobnet", "mobileone_s0", 64, {}),
    ("byobnet", "gernet_s", 64, {}),
    ("cait", "cait_xxs24_224", 64, {"img_size": 64, "depth": 2}),
    ("coat", "coat_lite_tiny", 64, {"img_size": 64}),
    ("coat", "coat_tiny", 64, {"img_size": 64}),
    ("convit", "convit_tiny", 64, {"img_size": 64, "depth": 4, "local_up_to_layer": 2}),
    ("convmixer", "convmixer_768_32", 64, {}),
    ("convnext", "convnextv2_atto", 64, {}),
    ("convnext", "convnext_atto", 64, {}),
    ("cpubone", "cpubone_nano", 64, {}),
    ("crossvit", "crossvit_tiny_240", 240, {}),
    ("csatv2", "csatv2", 128, {}),
    ("cspnet", "cs3darknet_s", 64, {}),
    ("cspnext", "cspnext_tiny", 64, {}),
    ("davit", "davit_tiny", 64, {"depths": (1, 1, 1, 1)}),
    ("deepseek_vit", "deepseek_vit_412m", 56, {"depth": 2}),
    ("deit", "deit_tiny_distilled_patch16_224", 64, {"img_size": 64, "depth": 2}),
    ("densenet", "densenet121", 64, {}),
    ("dla", "dla46x_c", 64, {}),
    ("dpn", "dpn48b", 64, {}),
    ("edgenext", "edgenext_xx_small", 64, {}),
    ("efficientformer", "efficientformer_l1", 224, {}),
    ("efficientformer_v2", "efficientformerv2_s0", 64, {"img_size": 64}),
    ("efficientnet", "efficientnet_lite0", 64, {}),
    ("efficientnet", "tf_mixnet_s", 64, {}),
    ("efficientvim", "efficientvim_m1", 64, {}),
    ("efficientvit_mit", "efficientvit_b0", 64, {}),
    ("efficientvit_msra", "efficientvit_m0", 64, {"img_size": 64}),
    ("eva", "eva02_tiny_patch14_224", 56, {"img_size": 56, "depth": 2}),
    ("fasternet", "fasternet_t0", 64, {}),
    ("fastvit", "fastvit_t8", 64, {}),
    ("fastvit", "fastvit_sa12", 64, {}),
    ("focalnet", "focalnet_tiny_srf", 64, {}),
    ("gcvit", "gcvit_xxtiny", 64, {"img_size": 64}),
    ("gemma4_vit", "gemma4_vit_167m", 96, {"depth": 2}),
    ("ghostnet", "ghostnet_050", 64, {}),
    ("ghostnet", "ghostnetv2_100", 64, {}),
    ("hardcorenas", "hardcorenas_a", 64, {}),
    ("hgnet", "hgnetv2_b0", 64, {}),
    ("hiera", "hiera_tiny_224", 224, {}),
    ("hieradet_sam2", "hieradet_small", 64, {}),
    ("hrnet", "hrnet_w18_small", 64, {}),
    ("iformer", "iformer_t", 64, {}),
    ("inception_next", "inception_next_atto", 64, {}),
    ("inception_resnet_v2", "inception_resnet_v2", 96, {}),
    ("inception_v3", "inception_v3", 96, {}),
    ("inception_v4", "inception_v4", 96, {}),
    ("lcnetv2", "lcnetv2_small", 64, {}),
    ("levit", "levit_128s", 64, {"img_size": 64}),
    ("lowformer", "lowformer_b0", 64, {}),
    ("mambaout", "test_mambaout", 64, {}),
    ("maxxvit", "maxvit_nano_rw_256", 64, {"img_size": 64}),
    ("maxxvit", "coatnet_nano_rw_224", 64, {"img_size": 64}),
    ("metaformer", "poolformer_s12", 64, {}),
    ("metaformer", "caformer_s18", 64, {}),
    ("mlp_mixer", "mixer_s32_224", 64, {"img_size": 64}),
    ("mlp_mixer", "gmlp_ti16_224", 64, {"img_size": 64}),
    ("mlp_mixer", "resmlp_12_224", 64, {"img_size": 64}),
    ("mobilenetv3", "mobilenetv3_small_050", 64, {}),
    ("mobilenetv5", "mobilenetv5_base", 64, {}),
    ("mobilevit", "mobilevitv2_050", 64, {}),
    ("mobilevit", "mobilevit_xxs", 64, {}),
    ("mvitv2", "mvitv2_tiny", 64, {"img_size": 64}),
    ("naflexvit", "naflexvit_base_patch16_gap", 64, {"depth": 2}),
    ("nasnet", "nasnetalarge", 96, {}),
    ("nest", "nest_tiny", 64, {"img_size": 64}),
    ("nextvit", "nextvit_small", 64, {}),
    ("nfnet", "test_nfnet", 64, {}),
    ("pit", "pit_ti_224", 64, {"img_size": 64}),
    ("pnasnet", "pnasnet5large", 96, {}),
    ("pvt_v2", "pvt_v2_b0", 64, {}),
    ("qwen3_vit", "qwen3_vit_88m", 64, {"depth": 2}),
    ("rdnet", "rdnet_tiny", 64, {}),
    ("regnet", "regnety_002", 64, {}),
    ("regnet", "regnetx_002", 64, {}),
    ("repghost", "repghostnet_050", 64, {}),
    ("repvit", "repvit_m0_9", 64, {}),
    ("res2net", "res2net50_14w_8s", 64, {"layers": (1, 1, 1, 1)}),
    ("resnest", "resnest14d", 64, {}),
    ("resnet", "resnet18", 64, {}),
    ("resnet", "ecaresnet26t", 64, {}),
    ("resnetv2", "resnetv2_18", 64, {}),
    ("resnetv2", "resnetv2_50x1_bit", 64, {}),
    ("rexnet", "rexnet_100", 64, {}),
    ("selecsls", "selecsls42", 64, {}),
    ("senet", "legacy_seresnet18", 64, {}),
    ("sequencer", "sequencer2d_s", 64, {"img_size": 64}),
    ("shvit", "shvit_s1", 64, {}),
    ("sknet", "skresnet18", 64, {}),
    ("starnet", "starnet_s050", 64, {}),
    ("swiftformer", "swiftformer_xs", 64, {}),
    ("swin_transformer", "swin_tiny_patch4_window7_224", 64, {"img_size": 64, "depths": (2, 2, 2, 2)}),
    ("swin_transformer_v2", "swinv2_tiny_window8_256", 64, {"img_size": 64, "depths": (2, 2, 2, 2)}),
    ("swin_transformer_v2_cr", "swinv2_cr_tiny_224", 64, {"img_size": 64, "depths": (2, 2, 2, 2)}),
    ("tiny_vit", "tiny_vit_5m_224", 64, {}),
    ("tnt", "tnt_s_patch16_224", 64, {"img_size": 64, "depth": 2}),
    ("tresnet", "tresnet_m", 64, {}),
    ("twins", "twins_svt_small", 64, {"img_size": 64, "depths": (1, 1, 2, 1)}),
    ("twins", "twins_pcpvt_small", 64, {"img_size": 64}),
    ("vgg", "vgg11", 64, {}),
    ("visformer", "visformer_tiny", 64, {"img_size": 64}),
    ("vision_transformer", "vit_tiny_patch16_224", 64, {"img_size": 64, "depth": 2}),
    ("vision_transformer", "vit_base_patch16_siglip_gap_224", 64, {"img_size": 64, "depth": 2}),
    ("vision_transformer_hybrid", "vit_tiny_r_s16_p8_224", 64, {"img_size": 64, "depth": 2}),
    ("vision_transformer_relpos", "test_vit_relpos", 64, {"img_size": 64}),
    ("vision_transformer_sam", "samvit_base_patch16_224", 64, {"img_size": 64, "depth": 3}),
    ("vitamin", "vitamin_small_224", 64, {"img_size": 64}),
    ("volo", "volo_d1_224", 64, {"img_size": 64}),
    ("vovnet", "ese_vovnet19b_slim_dw", 64, {}),
    ("xception", "legacy_xception", 96, {}),
    ("xception_aligned", "xception41", 96, {}),
    ("xcit", "xcit_nano_12_p16_224", 64, {"img_size": 64, "depth": 2}),
)

# Weights of the usual scale, 0.02, would let the signal vanish in so narrow layers.
_WIDTHS: dict[str, Any] = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.1,
}  # fmt: skip
_VIT = _WIDTHS | {"intermediate_size": 128, "image_size": 64}
_TOWER: dict[str, Any] = {"vision_config": _VIT | {"patch_size": 16}, "initializer_range": 0.1}
_FOUR: dict[str, Any] = {"depths": [1, 1, 1, 1]}
_SWIN = _FOUR | {"image_size": 64, "patch_size": 2, "window_size": 4}

#: Type, class, side and options of the configuration.
TRANSFORMERS: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("beit", "BeitForImageClassification", 64, _VIT | {"use_relative_position_bias": True}),
    ("bit", "BitForImageClassification", 64, _FOUR),
    ("clip", "CLIPForImageClassification", 64, _TOWER),
    ("convnext", "ConvNextForImageClassification", 64, _FOUR),
    ("convnextv2", "ConvNextV2ForImageClassification", 64, _FOUR),
    ("cvt", "CvtForImageClassification", 64, {"depth": [1, 2, 3]}),
    ("data2vec-vision", "Data2VecVisionForImageClassification", 64, _VIT),
    ("deit", "DeiTForImageClassification", 64, _VIT),
    ("deit", "DeiTForImageClassificationWithTeacher", 64, _VIT),
    ("dinov2", "Dinov2ForImageClassification", 56, _WIDTHS | {"image_size": 56}),
    ("dinov2_with_registers", "Dinov2WithRegistersForImageClassification", 64, _WIDTHS | {"image_size": 64}),
    ("donut-swin", "DonutSwinForImageClassification", 64, _SWIN),
    ("efficientnet", "EfficientNetForImageClassification", 64, {
        "width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280, "initializer_range": 0.2,
    }),
    ("focalnet", "FocalNetForImageClassification", 64, _FOUR | {"image_size": 64}),
    ("hgnet_v2", "HGNetV2ForImageClassification", 64, {}),
    ("hiera", "HieraForImageClassification", 224, {"depths": [1, 1, 2, 1]}),
    ("ijepa", "IJepaForImageClassification", 64, _VIT),
    ("levit", "LevitForImageClassification", 64, {"image_size": 64}),
    ("levit", "LevitForImageClassificationWithTeacher", 64, {"image_size": 64}),
    ("metaclip_2", "MetaClip2ForImageClassification", 64, _TOWER),
    ("mobilenet_v1", "MobileNetV1ForImageClassification", 64, {}),
    ("mobilenet_v2", "MobileNetV2ForImageClassification", 64, {}),
    ("mobilevit", "MobileViTForImageClassification", 64, {"initializer_range": 0.2}),
    ("mobilevitv2", "MobileViTV2ForImageClassification", 64, {"initializer_range": 0.2}),
    ("perceiver", "PerceiverForImageClassificationLearned", 32, {
        "image_size": 32, "num_latents": 32, "num_self_attends_per_block": 2, "initializer_range": 0.1,
    }),
    ("poolformer", "PoolFormerForImageClassification", 64, _FOUR),
    ("pp_lcnet", "PPLCNetForImageClassification", 64, {}),
    ("pvt", "PvtForImageClassification", 64, _FOUR | {"image_size": 64}),
    ("pvt_v2", "PvtV2ForImageClassification", 64, _FOUR),
    ("regnet", "RegNetForImageClassification", 64, {"depths": [1, 1, 2, 1]}),
    ("resnet", "ResNetForImageClassification", 64, _FOUR),
    ("segformer", "SegformerForImageClassification", 64, _FOUR),
    ("siglip", "SiglipForImageClassification", 64, _TOWER),
    ("swiftformer", "SwiftFormerForImageClassification", 64, {"depths": [1, 1, 2, 1]}),
    ("swin", "SwinForImageClassification", 64, _SWIN),
    ("swinv2", "Swinv2ForImageClassification", 64, _SWIN),
    ("textnet", "TextNetForImageClassification", 64, {}),
    ("vit", "ViTForImageClassification", 64, _VIT),
    ("vit_msn", "ViTMSNForImageClassification", 64, _VIT),
)  # fmt: skip

_STAGES = _VIT | {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4]}

#: Models that are no classifiers: library, type, name, side and options.
OTHERS: tuple[tuple[str, str, str, int, dict[str, Any]], ...] = (
    ("torchvision", "segmentation", "deeplabv3_mobilenet_v3_large", 64, {"weights_backbone": None}),
    ("torchvision", "segmentation", "fcn_resnet50", 64, {"weights_backbone": None}),
    ("torchvision", "segmentation", "lraspp_mobilenet_v3_large", 64, {"weights_backbone": None}),
    ("transformers", "beit", "BeitBackbone", 64, _STAGES),
    ("transformers", "dinov2", "Dinov2Backbone", 56, _WIDTHS | {"image_size": 56, "out_indices": [1, 2]}),
    ("transformers", "dinov3_convnext", "DINOv3ConvNextBackbone", 64, _FOUR),
    ("transformers", "dinov3_vit", "DINOv3ViTBackbone", 64, _VIT),
    ("transformers", "resnet", "ResNetBackbone", 64, _FOUR | {"out_indices": [2, 3, 4]}),
    ("transformers", "swin", "SwinBackbone", 64, _SWIN),
    ("transformers", "beit", "BeitForSemanticSegmentation", 64, _STAGES),
    ("transformers", "segformer", "SegformerForSemanticSegmentation", 64, _FOUR),
    ("transformers", "upernet", "UperNetForSemanticSegmentation", 64, {}),
    ("transformers", "depth_anything", "DepthAnythingForDepthEstimation", 56, {}),
    ("transformers", "glpn", "GLPNForDepthEstimation", 64, _FOUR),
    ("transformers", "yolos", "YolosForObjectDetection", 64, _VIT | {"image_size": [64, 64]}),
    ("transformers", "swin2sr", "Swin2SRForImageSuperResolution", 64, {
        "image_size": 64, "depths": [1, 1], "num_heads": [2, 2], "embed_dim": 16, "window_size": 4,
    }),
)  # fmt: skip

#: Types of transformers' image classifiers that are left out, and why.
NO_IMAGES = {
    "dinat": "needs the package natten",
    "imagegpt": "takes indices of colours",
    "shieldgemma2": "takes text too",
    "siglip2": "takes patches that its processor cuts",
    "timm_wrapper": "is a model of timm",
}
