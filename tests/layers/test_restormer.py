"""Test Restormer's blocks: sizes, and their formulas written out per head and per pixel."""

import pytest
import torch
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers.restormer import GDFN, MDTA, ChannelNorm, TransformerBlock


def image(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("channels", "heads", "parameters"),
    [(48, 1, 31_279), (96, 2, 117_872), (96, 1, 117_871), (192, 4, 456_352), (384, 8, 1_796_306)],
)
def test_sizes(channels, heads, parameters):
    with torch.device("meta"):
        block = TransformerBlock(channels, heads)
    assert sum(value.numel() for value in block.parameters()) == parameters
    assert block.ffn.project_out.in_channels == {48: 127, 96: 255, 192: 510, 384: 1021}[channels]


def test_norm_is_over_the_channels_of_a_pixel():
    norm = ChannelNorm(6)
    with torch.no_grad():
        norm.weight.copy_(torch.arange(6.0))
        norm.bias.copy_(torch.arange(6.0) / 10)
        x = image(2, 6, 3, 4)
        out = norm(x)
        pixel = x[1, :, 2, 3]
        by_hand = (pixel - pixel.mean()) / (pixel.var(correction=0) + 1e-5).sqrt() * norm.weight + norm.bias
    torch.testing.assert_close(out[1, :, 2, 3], by_hand)
    torch.testing.assert_close(norm(x.contiguous(memory_format=torch.channels_last)), out)


def test_attention_head_by_head():
    torch.manual_seed(0)
    layer = MDTA(8, 2).eval()
    x = image(2, 8, 3, 5)
    with torch.no_grad():
        layer.temperature.copy_(torch.tensor([0.5, 3.0]).view(2, 1, 1))
        mixed = F.conv2d(F.conv2d(x, layer.qkv.weight), layer.qkv_dwconv.weight, padding=1, groups=24)
        attended = torch.empty_like(x)
        for k in range(2):
            for head, channels in enumerate((slice(0, 4), slice(4, 8))):
                q, key, value = (part[channels].flatten(1) for part in mixed[k].split(8))
                scores = torch.empty(4, 4)
                for i in range(4):
                    for j in range(4):
                        scores[i, j] = q[i] @ key[j] / (q[i].norm() * key[j].norm()) * layer.temperature[head]
                attended[k, channels] = (scores.softmax(1) @ value).view(4, 3, 5)
        torch.testing.assert_close(layer(x), F.conv2d(attended, layer.project_out.weight), atol=1e-6, rtol=1e-5)


def test_feed_forward_network():
    torch.manual_seed(0)
    layer = GDFN(4, expansion=2.0).eval()
    x = image(1, 4, 5, 3)
    with torch.no_grad():
        hidden = F.conv2d(F.conv2d(x, layer.project_in.weight), layer.dwconv.weight, padding=1, groups=16)
        first, second = hidden[:, :8], hidden[:, 8:]
        gelu = first * (1 + torch.erf(first / 2**0.5)) / 2  # exact, not by tanh
        torch.testing.assert_close(layer(x), F.conv2d(gelu * second, layer.project_out.weight), atol=1e-6, rtol=1e-5)


def test_block_adds_both_in_turn_and_has_true_gradients():
    torch.manual_seed(0)
    block = TransformerBlock(4, 2).double()
    x = image(1, 4, 3, 3).double().requires_grad_()
    with torch.no_grad():
        middle = x + block.attn(block.norm1(x))
        torch.testing.assert_close(block(x), middle + block.ffn(block.norm2(middle)))
    assert torch.autograd.gradcheck(block, (x,), atol=1e-6)


def test_attention_stays_in_float32_under_autocast():
    torch.manual_seed(0)
    block = TransformerBlock(8, 2).eval()
    x = image(1, 8, 8, 8)
    with torch.no_grad():
        expected = block(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = block(x)
    torch.testing.assert_close(half.float(), expected, atol=0.05, rtol=0)


def test_heads_share_out_the_channels():
    with pytest.raises(ZooError, match=r"`channels` must be a multiple of `heads` \(3\), got 8"):
        MDTA(8, 3)
