"""Contextual attention: features inside the hole are reconstructed from patches of known features."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.ops import crop_to, without_autocast
from inpaint_zoo.ops.precision import full_precision

__all__ = ["AttendingNetwork", "ContextualAttention", "MaskReduce", "PatchNorm"]

PatchNorm = Literal["torch", "tf"]
MaskReduce = Literal["nearest", "max"]
NORMS: tuple[PatchNorm, ...] = ("torch", "tf")
REDUCTIONS: tuple[MaskReduce, ...] = ("nearest", "max")

EPSILON = 1e-4
OVERLAP = 4  # number of pasted patches that cover an interior pixel: their size is twice their distance
BLOCK_BYTES = 2**27  # memory for the scores of one block

Product = Callable[[Tensor, Tensor], Tensor]


class ContextualAttention(nn.Module):
    """Contextual attention: each position becomes a weighted mean of background patches similar to it. No parameters.

    The scores are inner products of small patches; background patches are divided by their length. "Fuse" adds the
    scores of neighboring pairs of positions, first along flattened rows, then along flattened columns. As in the
    released code, neighbors wrap around at line ends. Patches that touch the hole get the logit 0: they contribute to
    the softmax's denominator, but are never pasted. At borders fewer pasted patches overlap; there the result is half
    as large, at corners a quarter.

    Source: Yu et al., CVPR 2018, section 4.1, as released for PyTorch; docs/papers/glcic_ca.md, "Attention layer". The
    paper normalizes both patches and propagates after the softmax; neither released code does.

    Args:
        ksize: Size of the compared patches, odd, in positions of the downsampled feature map.
        stride: Distance between the positions that provide a background patch. It must be 1 with ``fuse``, whose
            neighbors are one position apart.
        rate: Features are downsampled by this factor before they are compared. The pasted patches have the size
            2 * ``rate`` in the original feature map.
        fuse: Whether the scores of neighbors are added.
        fuse_k: Number of added neighbors, odd, including the position itself.
        softmax_scale: Factor of the logits.
        norm: Length of a patch w. "torch": sqrt(sum(w^2 + 1e-4)); "tf": max(sqrt(sum(w^2)), 1e-4).
        mask_reduce: How the mask is downsampled. "nearest", as released, takes one pixel of each 8x8 block and can miss
            thin strokes; "max" marks a block as hole if it contains any hole pixel.
        tf_resize: Downsample by nearest neighbor with aligned corners, as TensorFlow does, instead of taking every
            ``rate``-th position.
        first_mask_only: Use the first sample's mask for the whole batch, as the released code does.

    Shape:
        foreground and background (B, C, H, W), H and W multiples of ``rate``; mask (B, 1, n H, n W) with 1 = hole, or
        None if everything is background -> (B, C, H, W). Computed in float32 even under autocast, because the logits
        can reach several hundred.

    Attributes:
        product: Function that computes batched matrix products, (B, N, K) times (B, K, M).

    Raises:
        ZooError: If an option is unknown or invalid, or shapes do not fit.
    """

    full_precision = True

    def __init__(
        self,
        ksize: int = 3,
        stride: int = 1,
        rate: int = 2,
        fuse: bool = True,
        fuse_k: int = 3,
        softmax_scale: float = 10.0,
        norm: PatchNorm = "torch",
        mask_reduce: MaskReduce = "nearest",
        tf_resize: bool = False,
        first_mask_only: bool = False,
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise unknown_name("patch norm", norm, NORMS)
        if mask_reduce not in REDUCTIONS:
            raise unknown_name("mask reduction", mask_reduce, REDUCTIONS)
        for name, value in (("ksize", ksize), ("fuse_k", fuse_k)):
            if value < 1 or value % 2 == 0:
                raise ZooError(f"`{name}` must be odd and positive, got {value}.")
        for name, value in (("stride", stride), ("rate", rate)):
            if value < 1:
                raise ZooError(f"`{name}` must be at least 1, got {value}.")
        if fuse and stride != 1:
            raise ZooError(f"`stride` must be 1 with `fuse`, got {stride}: set fuse=False for other strides.")
        self.ksize, self.stride, self.rate = ksize, stride, rate
        self.reach = fuse_k // 2 if fuse else 0  # neighbors on each side
        self.softmax_scale = softmax_scale
        self.norm, self.mask_reduce = norm, mask_reduce
        self.tf_resize, self.first_mask_only = tf_resize, first_mask_only
        self.product: Product = torch.bmm

    def forward(self, foreground: Tensor, background: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the weighted means of background patches, (B, C, H, W)."""
        self._check(foreground, background, mask)
        with without_autocast(foreground.device):
            foreground, background = full_precision(foreground), full_precision(background)
            r = self.rate
            before, after = r // 2, r - r // 2
            padded = F.pad(background, (before, after, before, after))
            patches = F.unfold(padded, 2 * r, stride=r * self.stride)  # (B, C (2r)^2, L)
            valid = self._valid(mask, background)
            if valid is not None:
                patches = patches * valid
            mixed = [self.product(patches, weights.mT) for weights in self._weights(foreground, background, valid)]
            H, W = foreground.shape[-2:]
            pasted = F.fold(torch.cat(mixed, dim=-1), (H + r, W + r), 2 * r, stride=r)
            return pasted[..., before : before + H, before : before + W] / OVERLAP

    def offsets(self, foreground: Tensor, background: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the offset from each position to the patch with the largest weight, in positions.

        The result has shape (B, 2, H/rate, W/rate), rows and columns, int64. If there is no background, all offsets
        point to the first position. For the arguments see `forward`.
        """
        self._check(foreground, background, mask)
        with without_autocast(foreground.device):
            foreground, background = full_precision(foreground), full_precision(background)
            valid = self._valid(mask, background)
            heaviest = [
                (weights if valid is None else weights * valid).argmax(-1)
                for weights in self._weights(foreground, background, valid)
            ]
        B, _, H, W = foreground.shape
        h, w = H // self.rate, W // self.rate
        index = torch.cat(heaviest, dim=1).view(B, h, w)
        columns = -(-w // self.stride)
        rows = self.stride * (index // columns) - torch.arange(h, device=index.device)[:, None]
        return torch.stack([rows, self.stride * (index % columns) - torch.arange(w, device=index.device)], dim=1)

    def _check(self, foreground: Tensor, background: Tensor, mask: Tensor | None) -> None:
        shape = tuple(foreground.shape)
        if len(shape) != 4 or shape[2] % self.rate or shape[3] % self.rate:
            raise ZooError(f"`foreground` must be (B, C, H, W), H and W multiples of {self.rate}, got {shape}.")
        if background.shape != foreground.shape:
            raise ZooError(f"`background` must be {shape} like `foreground`, got {tuple(background.shape)}.")
        if mask is None:
            return
        B, _, H, W = shape
        factor = mask.shape[-2] // H
        if mask.shape != (B, 1, factor * H, factor * W) or factor < 1:
            raise ZooError(f"`mask` must be ({B}, 1, n {H}, n {W}) for some n, got {tuple(mask.shape)}.")

    def _valid(self, mask: Tensor | None, background: Tensor) -> Tensor | None:
        """Return (B, 1, L): 1 for each background patch that touches no hole, else 0."""
        if mask is None:
            return None
        if self.first_mask_only:
            mask = mask[:1].expand_as(mask)
        mask = mask.to(background.dtype)
        for factor in (mask.shape[-1] // background.shape[-1], self.rate):
            mask = F.max_pool2d(mask, factor) if self.mask_reduce == "max" else self._shrunk(mask, factor)
        hole = F.max_pool2d(mask, self.ksize, self.stride, self.ksize // 2)
        return (hole == 0).to(background.dtype).flatten(2)

    def _shrunk(self, x: Tensor, factor: int) -> Tensor:
        if not self.tf_resize:
            return x[..., ::factor, ::factor]
        for axis in (-2, -1):
            source = x.shape[axis]
            target = source // factor
            places = torch.arange(target, device=x.device) * ((source - 1) / max(target - 1, 1))
            x = x.index_select(axis, (places + 0.5).long())
        return x

    def _weights(self, foreground: Tensor, background: Tensor, valid: Tensor | None) -> Iterator[Tensor]:
        """Yield the softmax over all patches, (B, N, L), in blocks of N, so that only one block is in memory."""
        queries, keys = self._shrunk(foreground, self.rate), self._shrunk(background, self.rate)
        B, _, h, w = queries.shape
        query = F.unfold(queries, self.ksize, padding=self.ksize // 2)  # (B, C k k, N)
        key = F.unfold(keys, self.ksize, padding=self.ksize // 2, stride=self.stride)  # (B, C k k, L)
        key = key * (self.softmax_scale / self._length(key))
        rows = max(1, BLOCK_BYTES // (B * w * key.shape[-1] * key.element_size()))
        rows = h if rows + 2 * self.reach >= h else rows
        for first in range(0, h, rows):
            logits = _fused(self.product, query, key, (h, w), (first, min(first + rows, h)), self.reach)
            if valid is not None:
                logits *= valid
            yield logits.softmax(-1)

    def _length(self, key: Tensor) -> Tensor:
        if self.norm == "tf":
            return key.square().sum(1, keepdim=True).sqrt().clamp_min(EPSILON)
        return (key.square() + EPSILON).sum(1, keepdim=True).sqrt()


def _fused(
    product: Product, query: Tensor, key: Tensor, grid: tuple[int, int], block: tuple[int, int], reach: int
) -> Tensor:
    """Return the scores of the positions in rows [first, last) of the grid, plus their neighbors' scores.

    The result has shape (B, (last - first) w, L). A block also needs ``reach`` rows on each side and, because each
    flattened column continues in the next one, rows from the opposite end of the grid.
    """
    (h, w), (first, last) = grid, block
    if not reach:
        return product(query[..., first * w : last * w].mT, key)
    if last - first == h:
        inside, parts = first, [(first, last)]
    else:
        inside = first - reach
        whole = [row % h for row in range(inside, last + reach)]
        cut = whole.index(0) if 0 in whole[1:] else len(whole)
        parts = [(run[0], run[-1] + 1) for run in (whole[:cut], whole[cut:]) if run]
    rows = [_along_rows(product, query, key, a * w, b * w, reach) for a, b in parts]
    # (B, rows, w, h, w): rows and columns of positions, rows and columns of patches
    scores = (rows[0] if len(rows) == 1 else torch.cat(rows, 1)).view(key.shape[0], -1, w, h, w)
    total = scores[:, first - inside : last - inside].clone()
    for shift in (*range(-reach, 0), *range(1, reach + 1)):
        for (to, at, turn), (patches_to, patches_at, patches_turn) in itertools.product(
            _shifted(first, last, h, shift), _shifted(0, h, h, shift)
        ):
            columns_to, columns_at = _turned(w, turn)
            patch_columns_to, patch_columns_at = _turned(w, patches_turn)
            start = (at.start - inside) % h
            source = scores[:, start : start + at.stop - at.start, columns_at, patches_at, patch_columns_at]
            total[:, to.start - first : to.stop - first, columns_to, patches_to, patch_columns_to] += source
    return total.flatten(3).flatten(1, 2)


def _along_rows(product: Product, query: Tensor, key: Tensor, first: int, last: int, reach: int) -> Tensor:
    """Return the scores of positions [first, last) plus their neighbors' in row-major order: (B, last - first, L)."""
    N, L = query.shape[-1], key.shape[-1]
    start, stop = max(first - reach, 0), min(last + reach, N)
    scores = product(query[..., start:stop].mT, key)
    total = scores[:, first - start : last - start].clone()
    for shift in (*range(-reach, 0), *range(1, reach + 1)):
        a, b = max(first, -shift), min(last, N - shift)
        low, high = max(0, -shift), min(L, L - shift)
        if a < b and low < high:
            total[:, a - first : b - first, low:high] += scores[
                :, a + shift - start : b + shift - start, low + shift : high + shift
            ]
    return total


def _shifted(first: int, last: int, height: int, shift: int) -> Iterator[tuple[slice, slice, int]]:
    """Shift rows [first, last) along flattened columns, each of which continues in the next one.

    Yield slices of rows, the same rows after the shift, and the number of columns by which they moved.
    """
    for turn in range((first + shift) // height, (last - 1 + shift) // height + 1):
        start, stop = max(first, turn * height - shift), min(last, (turn + 1) * height - shift)
        yield slice(start, stop), slice(start + shift - turn * height, stop + shift - turn * height), turn


def _turned(width: int, turn: int) -> tuple[slice, slice]:
    """Return slices of the columns and of the columns ``turn`` further on, without those beyond the last one."""
    kept = max(width - abs(turn), 0)
    start = max(-turn, 0)
    return slice(start, start + kept), slice(start + turn, start + turn + kept)


class AttendingNetwork(InpaintingNetwork):
    """A network with contextual attention that can report which patches the attention used."""

    @property
    def attention_place(self) -> int:
        """Height and width in image pixels of one position of the attention."""
        return self.divisor

    def attention_offsets(self, image: Tensor, mask: Tensor, *, hole_fill: Tensor | None = None) -> Tensor:
        """Return the offset from each position of the attention to the patch with the largest weight.

        Args:
            image: (B, 3, H, W), RGB, known pixels in [0, 1].
            mask: (B, 1, H, W), 1 = hole.
            hole_fill: See `stages`.

        Returns:
            (B, 2, H / place, W / place), rows and columns, int64, where place is ``attention_place`` and sizes are
            rounded up. The unit is positions of ``attention_place`` pixels. Known positions have an offset too.

        Raises:
            ZooError: For invalid input, see `stages`.
        """
        self.check(image, mask, hole_fill)
        offsets = self.offsets(*self.preprocess(image, mask, hole_fill))
        place = self.attention_place
        return crop_to(offsets, (-(-image.shape[-2] // place), -(-image.shape[-1] // place)))

    @abstractmethod
    def offsets(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return the offsets for `attention_offsets`; ``image`` and ``mask`` are padded and scaled as in `predict`."""
