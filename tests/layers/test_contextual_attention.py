"""Test contextual attention: the authors' recorded outputs, the formula of each option, blockwise computation."""

import pytest
import torch
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.fusion import fuse
from inpaint_zoo.layers import contextual_attention as module
from inpaint_zoo.layers.contextual_attention import ContextualAttention
from tests.helpers.attention_cases import CASES, features, normals, vector_masks
from tests.helpers.fill import read_vector
from tests.helpers.recorded import close_sample_std as close


@pytest.mark.parametrize("case", CASES)
def test_recorded_outputs(case):
    foreground, background, mask, options = CASES[case]
    recorded = read_vector("ca_attention")["cases"][case]
    attention = ContextualAttention(**options)
    inputs = (features()[foreground], features()[background], vector_masks(mask))
    close(attention(*inputs), recorded, 1e-5)
    if "offsets" in recorded:
        offsets = attention.offsets(*inputs)
        wanted = recorded["offsets"]
        assert list(offsets.shape) == wanted["shape"]
        assert offsets.flatten()[torch.tensor(wanted["indices"])].tolist() == wanted["values"]
        assert offsets.abs().sum() == wanted["sum_abs"]


def test_recorded_borders():
    recorded = read_vector("ca_attention")["cases"]["constant ones (2,4,16,24), fuse, mask none"]
    ones = torch.ones(2, 4, 16, 24)
    out = ContextualAttention()(ones, ones)
    close(out, recorded, 1e-5)
    factors = torch.ones(16, 24)
    factors[[0, -1]] *= 0.5
    factors[:, [0, -1]] *= 0.5
    torch.testing.assert_close(out, factors.expand_as(out), atol=1e-6, rtol=0)


def test_recorded_gradient():
    recorded = read_vector("ca_attention")["cases"]["gradient of sum(y*g) w.r.t. f (f,f fuse mask same)"]
    f = features()["f"].requires_grad_()
    (ContextualAttention()(f, f, vector_masks("same")) * normals("g")).sum().backward()
    close(f.grad, recorded, 1e-5)


def plain_patches(x, k, before, step):
    """Return the k x k patches (rows, columns, C, k, k) of one sample (C, H, W), starting ``before`` pixels earlier."""
    padded = F.pad(x, (before, k, before, k))
    rows, columns = range(0, x.shape[1], step), range(0, x.shape[2], step)
    return torch.stack([torch.stack([padded[:, i : i + k, j : j + k] for j in columns]) for i in rows])


def plain_fuse(scores, reach):
    """Compute the fused scores (h, w, h, w) pair by pair."""
    h, w = scores.shape[:2]
    for column_major in (False, True):
        lines = scores.permute(1, 0, 3, 2) if column_major else scores
        flat = lines.reshape(h * w, h * w)
        total = torch.zeros_like(flat)
        for n in range(h * w):
            for patch in range(h * w):
                for d in range(-reach, reach + 1):
                    if 0 <= n + d < h * w and 0 <= patch + d < h * w:
                        total[n, patch] += flat[n + d, patch + d]
        total = total.reshape(lines.shape)
        scores = total.permute(1, 0, 3, 2) if column_major else total
    return scores


def plain(
    foreground,
    background,
    mask,
    ksize=3,
    stride=1,
    rate=2,
    fuse=True,
    fuse_k=3,
    softmax_scale=10.0,
    norm="torch",
    mask_reduce="nearest",
):
    """Compute the attention as specified, sample by sample and patch by patch."""
    out = []
    for f, b, m in zip(foreground, background, mask, strict=True):
        _, H, W = f.shape
        h, w = H // rate, W // rate
        factor = m.shape[-1] // w
        cells = m[0].reshape(h, factor, w, factor)
        small = cells.amax((1, 3)) if mask_reduce == "max" else cells[:, 0, :, 0]
        queries = plain_patches(f[:, ::rate, ::rate], ksize, ksize // 2, 1)
        keys = plain_patches(b[:, ::rate, ::rate], ksize, ksize // 2, stride)
        squares = keys.square()
        if norm == "torch":
            lengths = (squares + 1e-4).sum((2, 3, 4)).sqrt()
        else:
            lengths = squares.sum((2, 3, 4)).sqrt().clamp(min=1e-4)
        scores = torch.einsum("ijcab,klcab->ijkl", queries, keys / lengths[..., None, None, None])
        if fuse:
            scores = plain_fuse(scores, fuse_k // 2)
        valid = (plain_patches(small[None], ksize, ksize // 2, stride).sum((2, 3, 4)) == 0).to(f.dtype)
        weights = (softmax_scale * scores * valid).flatten(2).softmax(-1).unflatten(2, valid.shape) * valid
        patches = plain_patches(b, 2 * rate, rate // 2, rate * stride)
        canvas = f.new_zeros(f.shape[0], H + 3 * rate, W + 3 * rate)
        for i in range(h):
            for j in range(w):
                mixed = torch.einsum("kl,klcab->cab", weights[i, j], patches)
                canvas[:, i * rate : (i + 2) * rate, j * rate : (j + 2) * rate] += mixed / 4
        out.append(canvas[:, rate // 2 : rate // 2 + H, rate // 2 : rate // 2 + W])
    return torch.stack(out)


def random_inputs(h, w, rate=2, channels=3):
    generator = torch.Generator().manual_seed(h + w)
    f, b = (torch.randn(2, channels, h * rate, w * rate, dtype=torch.float64, generator=generator) for _ in "fb")
    mask = (torch.rand(2, 1, h * rate * 4, w * rate * 4, generator=generator) > 0.97).double()
    mask[0, :, : h * rate, : 2 * w * rate] = 1
    return f, b, mask


OPTIONS = [
    {},
    {"fuse": False},
    {"fuse": False, "stride": 2},
    {"ksize": 5},
    {"ksize": 1, "fuse_k": 1},
    {"fuse_k": 5},
    {"rate": 1},
    {"rate": 3},
    {"rate": 4, "fuse": False},
    {"norm": "tf"},
    {"mask_reduce": "max"},
    {"softmax_scale": 0.5},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_each_option_is_the_plain_formula(options):
    inputs = random_inputs(5, 4, options.get("rate", 2))
    torch.testing.assert_close(ContextualAttention(**options)(*inputs), plain(*inputs, **options), atol=1e-11, rtol=0)


@pytest.mark.parametrize(("h", "w", "fuse_k"), [(2, 2, 3), (1, 5, 3), (2, 3, 7), (6, 1, 5), (3, 5, 9)])
def test_fused_neighbours_wrap_on_small_maps(h, w, fuse_k):
    inputs = random_inputs(h, w)
    got = ContextualAttention(fuse_k=fuse_k)(*inputs)
    torch.testing.assert_close(got, plain(*inputs, fuse_k=fuse_k), atol=1e-11, rtol=0)


@pytest.mark.parametrize("options", [{}, {"fuse": False}, {"fuse_k": 5}, {"fuse_k": 7}], ids=str)
@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_blocks_give_the_same(monkeypatch, options, rows):
    f, b, mask = random_inputs(12, 7)
    attention = ContextualAttention(**options)
    expected, offsets = attention(f, b, mask), attention.offsets(f, b, mask)
    monkeypatch.setattr(module, "BLOCK_BYTES", rows * f.element_size() * 2 * 7 * (12 * 7))
    torch.testing.assert_close(attention(f, b, mask), expected, atol=1e-12, rtol=0)
    assert torch.equal(attention.offsets(f, b, mask), offsets)


def test_gradients_of_every_operand():
    f, b, mask = random_inputs(2, 3, channels=2)
    attention = ContextualAttention()
    assert torch.autograd.gradcheck(
        lambda f, b: attention(f, b, mask), (f.requires_grad_(), b.requires_grad_()), fast_mode=True
    )


def test_tensorflow_takes_nearest_between_aligned_corners():
    x = torch.arange(64.0).expand(1, 1, 64, 64)
    rows = ContextualAttention(tf_resize=True)._shrunk(x, 2)[0, 0, 0]
    assert rows.tolist() == [*range(0, 32, 2), *range(33, 64, 2)]
    f, b, mask = random_inputs(6, 6)
    assert not torch.equal(ContextualAttention(tf_resize=True)(f, b, mask), ContextualAttention()(f, b, mask))


def test_samples_do_not_share_masks():
    f, b, mask = random_inputs(4, 5)
    attention = ContextualAttention()
    singles = torch.cat([attention(*(x[k : k + 1] for x in (f, b, mask))) for k in range(2)])
    torch.testing.assert_close(attention(f, b, mask), singles, atol=1e-12, rtol=0)
    first = ContextualAttention(first_mask_only=True)(f, b, mask)
    torch.testing.assert_close(first, attention(f, b, mask[:1].expand_as(mask)), atol=1e-12, rtol=0)


def test_float32_under_autocast():
    f, b, mask = (x.float() for x in random_inputs(4, 4))
    expected = ContextualAttention()(f, b, mask)
    with torch.autocast("cpu", torch.bfloat16):
        out = ContextualAttention()(f, b, mask)
    assert out.dtype == torch.float32
    assert torch.equal(out, expected)


def test_what_does_not_fit_is_refused():
    f, b, mask = random_inputs(4, 4)
    for options, message in (
        ({"norm": "l2"}, "Unknown patch norm 'l2'"),
        ({"mask_reduce": "mean"}, "Unknown mask reduction 'mean'"),
        ({"ksize": 2}, "`ksize` must be odd"),
        ({"fuse_k": 0}, "`fuse_k` must be odd"),
        ({"rate": 0}, "`rate` must be at least 1"),
        ({"stride": 2}, "`stride` must be 1 with `fuse`"),
    ):
        with pytest.raises(ZooError, match=message):
            ContextualAttention(**options)
    attention = ContextualAttention()
    with pytest.raises(ZooError, match=r"`background` must be \(2, 3, 8, 8\)"):
        attention(f, b[..., :4], mask)
    with pytest.raises(ZooError, match=r"`mask` must be \(2, 1, n 8, n 8\) for some n, got \(2, 1, 31, 32\)"):
        attention(f, b, mask[..., 1:, :])
    with pytest.raises(ZooError, match="multiples of 2, got"):
        attention(f[..., 1:], b[..., 1:], mask)


@pytest.mark.parametrize("options", [{}, {"fuse": False}], ids=str)
def test_fast_form_gives_the_same(options):
    f, b, mask = (x.float() for x in random_inputs(9, 6, channels=8))
    attention = ContextualAttention(**options)
    expected, offsets = attention(f, b, mask), attention.offsets(f, b, mask)
    fast = fuse(attention)
    with torch.no_grad():
        torch.testing.assert_close(fast(f, b, mask), expected, atol=1e-5, rtol=0)
        assert (fast.offsets(f, b, mask) == offsets).float().mean() > 0.99
