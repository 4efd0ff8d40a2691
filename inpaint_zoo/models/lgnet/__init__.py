"""LGNet and its variants: a coarse stage, followed by local and global refinement.

Paper: Image Inpainting With Local and Global Refinement (Quan et al., TIP 2022). Notes on the paper:
docs/papers/lgnet.md. The authors released code for the full network only. Where the paper differs from this code, this
implementation follows the code (README.md in this folder lists each case).

| | parameters | MACs at 256x256 | as the paper counts |
| --- | ---: | ---: | ---: |
| `lgnet` | 115,002,185 | 43.03 G | 69.62 G |
| `lgnet_light` | 67,095,337 | 36.38 G | 53.73 G |
| `lgnet_share` | 60,587,206 | 43.03 G | |
"""

from inpaint_zoo.interfaces import predict_difference
from inpaint_zoo.layers.attention import AttentionVariant
from inpaint_zoo.models.lgnet import convert
from inpaint_zoo.models.lgnet.discriminator import LGNetDiscriminator
from inpaint_zoo.models.lgnet.network import LGNetGenerator
from inpaint_zoo.registry import Paper, register_discriminator, register_model

__all__ = [
    "LGNetDiscriminator",
    "LGNetGenerator",
    "convert",
    "lgnet",
    "lgnet_cg_att",
    "lgnet_cgg_att",
    "lgnet_cl",
    "lgnet_clg",
    "lgnet_coarse",
    "lgnet_light",
    "lgnet_share",
    "lgnet_tiny",
]

LGNET = Paper(
    title="Image Inpainting With Local and Global Refinement",
    authors="Weize Quan, Ruisong Zhang, Yong Zhang, Zhifeng Li, Jue Wang, Dong-Ming Yan",
    venue="IEEE Transactions on Image Processing",
    year=2022,
    url="https://doi.org/10.1109/TIP.2022.3152624",
)
CODE = "docs/papers/lgnet.md; weizequan/LGNet at 3b82390"
TEXT = "docs/papers/lgnet.md (the paper's text; no code was released)"


@register_model(source=CODE, paper=LGNET)
def lgnet(blocks: int = 4, attention_variant: AttentionVariant = "code") -> LGNetGenerator:
    """LGNet: a coarse U-Net, a network with a small receptive field, then a U-Net with attention over the image."""
    return LGNetGenerator(
        {"coarse": "unet", "local": "local", "global": "unet_att"}, blocks=blocks, attention_variant=attention_variant
    )


@register_model(source=TEXT, paper=LGNET)
def lgnet_light() -> LGNetGenerator:
    """LGNet_light: LGNet whose U-Nets have three quarters of the channels."""
    return LGNetGenerator({"coarse": "unet", "local": "local", "global": "unet_att"}, width=48)


@register_model(source=TEXT, paper=LGNET)
def lgnet_share() -> LGNetGenerator:
    """LGNet_share: LGNet whose coarse stage reuses the global stage's U-Net without its attention."""
    return LGNetGenerator({"coarse": "unet", "local": "local", "global": "unet_att"}, share=True)


@register_model(source=TEXT, paper=LGNET)
def lgnet_coarse() -> LGNetGenerator:
    """LGNet, ablation C of Table VI: the coarse stage only."""
    return LGNetGenerator({"coarse": "unet"})


@register_model(source=TEXT, paper=LGNET)
def lgnet_cl() -> LGNetGenerator:
    """LGNet, ablation C+L of Table VI: without the global stage."""
    return LGNetGenerator({"coarse": "unet", "local": "local"})


@register_model(source=TEXT, paper=LGNET)
def lgnet_cg_att() -> LGNetGenerator:
    """LGNet, ablation C+G_att of Table VI: without the local stage."""
    return LGNetGenerator({"coarse": "unet", "global": "unet_att"})


@register_model(source=TEXT, paper=LGNET)
def lgnet_cgg_att() -> LGNetGenerator:
    """LGNet, ablation C+G+G_att of Table VI: a second U-Net in place of the local stage."""
    return LGNetGenerator({"coarse": "unet", "middle": "unet", "global": "unet_att"})


@register_model(source=TEXT, paper=LGNET)
def lgnet_clg() -> LGNetGenerator:
    """LGNet, ablation C+L+G of Table VI: the global stage has no attention."""
    return LGNetGenerator({"coarse": "unet", "local": "local", "global": "unet"})


@register_model(source=TEXT, paper=LGNET)
def lgnet_tiny(difference: bool = False) -> LGNetGenerator:
    """Small LGNet for tests and the quickstart: U-Nets with an eighth of the channels and six downsamplings."""
    return predict_difference(
        LGNetGenerator({"coarse": "unet", "local": "local", "global": "unet_att"}, width=8, levels=6, local_width=16),
        difference,
    )


@register_discriminator("lgnet")
def lgnet_discriminator(width: int = 64) -> LGNetDiscriminator:
    """LGNet's patch discriminator with spectral norm; takes images in [-1, 1]."""
    return LGNetDiscriminator(width)
