"""Convert DeepFillv2 weights from the layout of the PyTorch port nipponjo/deepfillv2-pytorch, `networks.py`.

The authors released TensorFlow checkpoints only. The port holds them in two layouts: `networks_tf.py` pads as
TensorFlow does, which this package's network does not; `networks.py` pads as here, with weights that were fine-tuned
for it. Its files hold the generator under ``G``.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.registry import register_converter
from inpaint_zoo.weights import match_state, unwrapped

__all__ = ["convert_gated_conv"]

GENERATOR = "G"
MARK = "stage1.conv1.conv.weight"  # present in this layout only

_ENCODER = (
    "conv1",
    *("down_block1.conv1_downsample", "down_block1.conv2"),
    *("down_block2.conv1_downsample", "down_block2.conv2"),
    "conv_bn1",
)
_DILATED = ("conv_bn2", "conv_bn3", "conv_bn4", "conv_bn5")
_DECODER = {
    0: "conv_bn6",
    1: "conv_bn7",
    3: "up_block1.conv1_upsample.conv",
    4: "up_block1.conv2",
    6: "up_block2.conv1_upsample.conv",
    7: "up_block2.conv2",
    8: "conv_to_rgb",
}


def _names() -> dict[str, str]:
    """Return the port's name of each convolution by our name."""
    names = {f"coarse.0.{k}": f"stage1.{name}" for k, name in enumerate(_ENCODER)}
    names |= {f"coarse.1.{k}": f"stage1.{name}" for k, name in enumerate(_DILATED)}
    names |= {f"coarse.2.{k}": f"stage1.{name}" for k, name in _DECODER.items()}
    names |= {f"hallucinating.0.{k}": f"stage2.b1_{name}" for k, name in enumerate(_ENCODER)}
    names |= {f"hallucinating.1.{k}": f"stage2.b1_{name}" for k, name in enumerate(_DILATED)}
    names |= {f"attending.{k}": f"stage2.b2_{name}" for k, name in enumerate(_ENCODER)}
    names |= {f"attended.{k}": f"stage2.b2_{name}" for k, name in enumerate(("conv_bn4", "conv_bn5"))}
    names |= {f"merged.{k}": f"stage2.{name}" for k, name in _DECODER.items()}
    # the last convolution of a decoder has no gate
    return {ours if theirs.endswith("conv_to_rgb") else f"{ours}.convolution": theirs for ours, theirs in names.items()}


@register_converter("gated_conv", files="states_pt_*.pth")
def convert_gated_conv(state: Mapping[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Convert the generator.

    Raises:
        ZooError: If the file has another layout, such as that of `networks_tf.py`.
    """
    prefix = f"{GENERATOR}."
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)} or state
    own = unwrapped(own)
    if MARK not in own:
        raise ZooError(
            f"The checkpoint does not fit 'gated_conv': it has no '{MARK}'. Only files for `networks.py` of "
            "nipponjo/deepfillv2-pytorch (states_pt_*.pth) can be converted; those for `networks_tf.py` "
            "(states_tf_*.pth) need TensorFlow's padding."
        )
    ours = {f"{theirs}.conv": name for name, theirs in _names().items()}
    renamed = {}
    for key, value in own.items():
        layer, _, kind = key.rpartition(".")
        renamed[f"{ours[layer]}.{kind}" if layer in ours else key] = value
    return match_state(renamed, net.state_dict(), "'gated_conv'")
