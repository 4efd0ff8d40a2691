"""Contextual Attention (DeepFillv1), and the stabilized GLCIC, which is the same network without the attention.

Paper: Generative Image Inpainting with Contextual Attention (Yu et al., CVPR 2018), as studied in Deep Learning for
Image Inpainting. Notes on the papers: docs/papers/glcic_ca.md. Where paper and code disagree, this implementation
follows the PyTorch port's code (README.md in this folder lists each case).

| | parameters | MACs at 256x256 |
| --- | ---: | ---: |
| `contextual_attention` | 3,601,542 | 25.79 G |
| `glcic` | 2,758,118 | 18.40 G |
"""

from inpaint_zoo.interfaces import predict_difference
from inpaint_zoo.layers.contextual_attention import ContextualAttention, MaskReduce, PatchNorm
from inpaint_zoo.models.contextual_attention import convert, fused
from inpaint_zoo.models.contextual_attention.critics import ContextualAttentionCritic
from inpaint_zoo.models.contextual_attention.network import ContextualAttentionGenerator, GLCICGenerator
from inpaint_zoo.registry import Paper, register_discriminator, register_model

__all__ = [
    "ContextualAttentionCritic",
    "ContextualAttentionGenerator",
    "GLCICGenerator",
    "contextual_attention",
    "contextual_attention_tiny",
    "convert",
    "fused",
    "glcic",
    "glcic_tiny",
]

DEEPFILL = Paper(
    title="Generative Image Inpainting with Contextual Attention",
    authors="Jiahui Yu, Zhe Lin, Jimei Yang, Xiaohui Shen, Xin Lu, Thomas S. Huang",
    venue="CVPR",
    year=2018,
    url="https://arxiv.org/abs/1801.07892",
)
GLCIC = Paper(
    title="Globally and Locally Consistent Image Completion",
    authors="Satoshi Iizuka, Edgar Simo-Serra, Hiroshi Ishikawa",
    venue="SIGGRAPH",
    year=2017,
    url="https://doi.org/10.1145/3072959.3073659",
)
CODE = "docs/papers/glcic_ca.md; daa233/generative-inpainting-pytorch at c6cdaea"
TINY_WIDTH = 16


@register_model(source=CODE, paper=DEEPFILL)
def contextual_attention(
    width: int = 32,
    fuse: bool = True,
    fuse_k: int = 3,
    softmax_scale: float = 10.0,
    norm: PatchNorm = "torch",
    mask_reduce: MaskReduce = "nearest",
    tf_resize: bool = False,
    first_mask_only: bool = False,
    tf_same: bool = False,
) -> ContextualAttentionGenerator:
    """Contextual Attention (DeepFillv1): a coarse network, and a refinement network that copies known patches."""
    attention = ContextualAttention(
        fuse=fuse,
        fuse_k=fuse_k,
        softmax_scale=softmax_scale,
        norm=norm,
        mask_reduce=mask_reduce,
        tf_resize=tf_resize,
        first_mask_only=first_mask_only,
    )
    return ContextualAttentionGenerator(width, attention, tf_same)


@register_model(source=CODE, paper=DEEPFILL)
def contextual_attention_tiny(difference: bool = False) -> ContextualAttentionGenerator:
    """Small Contextual Attention for tests and the quickstart: half the channels."""
    return predict_difference(ContextualAttentionGenerator(TINY_WIDTH), difference)


@register_model(source="docs/papers/glcic_ca.md (the study's text; no code was released)", paper=GLCIC)
def glcic(width: int = 32) -> GLCICGenerator:
    """Stabilized GLCIC: Contextual Attention's coarse and refinement network without the attention."""
    return GLCICGenerator(width)


@register_model(source="docs/papers/glcic_ca.md (the study's text; no code was released)", paper=GLCIC)
def glcic_tiny(difference: bool = False) -> GLCICGenerator:
    """Small stabilized GLCIC for tests and the quickstart: half the channels."""
    return predict_difference(GLCICGenerator(TINY_WIDTH), difference)


@register_discriminator("ca_local")
def ca_local(
    size: int = 128, width: int = 64, local_conv4: int | None = None, tf_same: bool = False
) -> ContextualAttentionCritic:
    """Contextual Attention's local critic, for a crop around the hole; takes images in [-1, 1]."""
    return ContextualAttentionCritic(size, width, local_conv4, tf_same)


@register_discriminator("ca_global")
def ca_global(size: int = 256, width: int = 64, tf_same: bool = False) -> ContextualAttentionCritic:
    """Contextual Attention's global critic, for the whole image; takes images in [-1, 1]."""
    return ContextualAttentionCritic(size, width, tf_same=tf_same)
