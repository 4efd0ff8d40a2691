"""Fill one image, given in any form, with any model. The Python API, the command line and the demo page use this."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeGuard, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.batch import Filler, Levels, as_tensor, fill_batch, to_levels, to_tensors
from inpaint_zoo.inference.edits import NO_EDITS, NO_EXPANSION, Edits, checked_edits
from inpaint_zoo.inference.strategy import AnySize, Strategy
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.io.images import IMAGE_SUFFIXES, DecodedImage, ImageError, convert_image, read_image
from inpaint_zoo.io.listing import refuse_own_masks
from inpaint_zoo.masks import MaskWarning, binary_mask, create_generator, create_mask, list_masks, read_mask
from inpaint_zoo.masks.read import doubts_about
from inpaint_zoo.ops import to_uint8
from inpaint_zoo.registry import create_model, ready_weights

__all__ = ["ALPHA", "alpha_hole", "check_finite", "fill_bytes", "inpaint", "is_mask_name", "keep_gray", "ready_model"]

ALPHA = "alpha"
"""Mask argument that stands for the alpha channel of the image: transparent pixels are hole."""
ImageRow = str | Path | Image.Image | NDArray[Any] | Tensor


def ready_model(name: str, weights: str | Path | None = None, **overrides: Any) -> InpaintingNetwork:
    """Build a model with the given weights or with shipped weights, never with random weights.

    Args:
        name: Model name, as in `create_model`.
        weights: Weights, as in `create_model`; None loads the shipped weights.
        overrides: Network arguments, as in `create_model`.

    Raises:
        ZooError: If there is no such model, or if it needs training and no weights are given or shipped.
    """
    return create_model(name, weights=ready_weights(name) if weights is None else weights, **overrides)


@overload
def inpaint(
    net: Filler | str,
    image: str | Path | Image.Image,
    mask: ImageRow | None = None,
    *,
    mask_threshold: int = 127,
    invert_mask: bool = False,
    seed: int = 0,
    dilate: int = 0,
    feather: int = 0,
    expand: Sequence[int] = NO_EXPANSION,
    strategy: Strategy = "auto",
    max_memory: str | int | None = None,
    refine: bool = False,
    fast: bool = True,
    **options: Any,
) -> Image.Image: ...


@overload
def inpaint(
    net: Filler | str,
    image: NDArray[Any],
    mask: ImageRow | None = None,
    *,
    mask_threshold: int = 127,
    invert_mask: bool = False,
    seed: int = 0,
    dilate: int = 0,
    feather: int = 0,
    expand: Sequence[int] = NO_EXPANSION,
    strategy: Strategy = "auto",
    max_memory: str | int | None = None,
    refine: bool = False,
    fast: bool = True,
    **options: Any,
) -> NDArray[Any]: ...


@overload
def inpaint(
    net: Filler | str,
    image: Tensor,
    mask: ImageRow | None = None,
    *,
    mask_threshold: int = 127,
    invert_mask: bool = False,
    seed: int = 0,
    dilate: int = 0,
    feather: int = 0,
    expand: Sequence[int] = NO_EXPANSION,
    strategy: Strategy = "auto",
    max_memory: str | int | None = None,
    refine: bool = False,
    fast: bool = True,
    **options: Any,
) -> Tensor: ...


def inpaint(
    net: Filler | str,
    image: ImageRow,
    mask: ImageRow | None = None,
    *,
    mask_threshold: int = 127,
    invert_mask: bool = False,
    seed: int = 0,
    dilate: int = 0,
    feather: int = 0,
    expand: Sequence[int] = NO_EXPANSION,
    strategy: Strategy = "auto",
    max_memory: str | int | None = None,
    refine: bool = False,
    fast: bool = True,
    **options: Any,
) -> Image.Image | NDArray[Any] | Tensor:
    """Fill the hole of an image. The result has the type of ``image``.

    Known pixels are bit-identical unless ``feather`` is given.

    The first call for a network in eval mode makes a fast copy, `optimize(net)`, which further calls use as long as the
    weights of ``net`` do not change. The copy needs as much memory as ``net``, and its results equal those of ``net``
    up to rounding. To choose its precision or to compile it, pass your own: ``inpaint(optimize(net, "bf16"), ...)``.

    Args:
        net: A network, or the name of a model that needs no training or has shipped weights, or a function as in
            `inference.batch.Filler`. A network runs on the device of its parameters. An `AnySize` is used with its own
            strategy; its `choices` tell what was done.
        image: A path or PIL image (any mode; the EXIF orientation is applied; the result is a PIL image in mode RGB or
            RGBA, or L, LA or I;16 for gray ones; Pillow has no mode for color with 16 bits, which therefore becomes 8
            bits), an array (H, W, 3) or (H, W, 4), or a tensor (3, H, W) or (B, 3, H, W). Arrays and tensors are uint8,
            uint16, or float in [0, 1]. H, W >= 1. An alpha channel is kept unchanged. If all known pixels are gray, the
            filled pixels are gray too.
        mask: A path, PIL image or uint8 array where white is the hole; a boolean or 0/1 array or tensor (H, W) where
            True or 1 is the hole (also with leading dimensions of 1, or one per image); or a mask generator's name; or
            "alpha" for the transparent pixels of a path or PIL image, which are opaque in the result. With ``expand``,
            None for no other hole.
        mask_threshold: In uint8 masks, values above it are hole.
        invert_mask: Use black, False or 0 as hole.
        seed: Seed of a mask generator.
        dilate: Distance in pixels by which the hole grows.
        feather: Width in pixels of the band of known pixels around the hole in which the filling fades out.
        expand: For outpainting, pixels to add at the top, right, bottom and left, which are hole; added pixels of an
            alpha channel are opaque.
        strategy: How large images are divided: "full", "crop", "tile" or "coarse_to_fine"; "auto" chooses by model,
            hole and memory. See `inference.strategy.AnySize`. Images of up to twice the training size are not divided.
        max_memory: Maximum memory such as "4GiB"; None for 80 % of the free memory.
        refine: With "coarse_to_fine", optimize LaMa's features at each resolution, as in its feature refinement.
        fast: Make and use the fast copy. With False, ``net`` itself runs and nothing is cached.
        options: Model-specific keyword arguments, such as ``steps``.

    Raises:
        ZooError: If an argument is invalid; the message names it, what it is, and what was expected.

    Example:
        >>> gray = np.full((5, 7, 3), 90, np.uint8)
        >>> hole = np.zeros((5, 7), bool)
        >>> hole[2, 3] = True
        >>> inpaint("telea", gray, hole)[2, 3]
        array([90, 90, 90], dtype=uint8)
    """
    edits = checked_edits(dilate, feather, expand)
    if mask is None and not any(edits.expand):
        raise ZooError("Give the hole by `mask`, or add pixels by `expand`.")
    model = ready_model(net) if isinstance(net, str) else net
    if not isinstance(model, AnySize):
        model = AnySize(model, strategy, max_memory=max_memory, refine=refine, fast=fast)
    if isinstance(mask, str) and mask == ALPHA:
        if not isinstance(image, str | Path | Image.Image):
            raise ZooError("The mask 'alpha' needs a path or PIL image. From an array: `mask=image[..., 3] == 0`.")
        decoded = _decoded(image)
        hole = alpha_hole(decoded, mask_threshold, invert_mask)
        return _inpaint_image(model, decoded, lambda H, W: hole[None], edits, options, opaque=True)

    if isinstance(image, str | Path) and isinstance(mask, str | Path) and not is_mask_name(mask):
        refuse_own_masks([Path(image)], [Path(mask)])

    def hole_of(H: int, W: int) -> NDArray[np.bool_]:
        return np.zeros((1, H, W), np.bool_) if mask is None else _hole(mask, (H, W), mask_threshold, invert_mask, seed)

    if isinstance(image, Tensor):
        return _inpaint_tensor(model, image, hole_of, edits, options)
    if isinstance(image, np.ndarray):
        return _inpaint_array(model, image, hole_of, edits, options)
    if isinstance(image, str | Path | Image.Image):
        return _inpaint_image(model, _decoded(image), hole_of, edits, options)
    raise ZooError(f"`image` must be a path, PIL image, numpy array or tensor, got {type(image).__name__}.")


def fill_bytes(net: Filler, images: Levels, holes: NDArray[np.bool_], **options: Any) -> Levels:
    """Fill a batch of uint8 or uint16 images: pixels in the hole are rounded, all other pixels are unchanged.

    See `inpaint` for images whose known pixels are gray.

    Args:
        net: The model, which runs as it is, without a fast copy; see `fill_batch`.
        images: (B, H, W, 3) uint8 or uint16.
        holes: (B, H, W) bool, True = hole.
        options: Keyword arguments of ``net``.

    Returns:
        (B, H, W, 3) of the dtype of ``images``.
    """
    return to_levels(_run(net, *to_tensors(images, holes), options), images)


def alpha_hole(image: DecodedImage, threshold: int = 127, invert: bool = False) -> NDArray[np.bool_]:
    """Return the hole (H, W) that the transparent pixels of an image make.

    Args:
        image: The image.
        threshold: Pixels whose alpha is not above it are hole.
        invert: Use the opaque pixels as hole instead.

    Raises:
        ImageError: The image has no alpha channel.
    """
    if image.alpha is None:
        raise ImageError(f"{image.path}: has no alpha channel, so the mask 'alpha' finds no hole in it")
    return image.alpha > threshold if invert else image.alpha <= threshold


def keep_gray(filled: Tensor, image: Tensor, hole: Tensor) -> Tensor:
    """Convert ``filled`` to gray for those images whose known pixels are all gray, so that no color is introduced.

    Args:
        filled: (B, 3, H, W).
        image: (B, 3, H, W); in gray images, all channels are equal.
        hole: (B, 1, H, W) bool. For a fully masked image, the pixels under the hole decide.
    """
    color = (image != image[:, :1]).any(1, keepdim=True)
    seen = ~hole | hole.flatten(1).all(1)[:, None, None, None]
    gray = ~(color & seen).flatten(1).any(1)[:, None, None, None]
    if not bool(gray.any()):
        return filled
    weights = filled.new_tensor([0.299, 0.587, 0.114])[:, None, None]  # ITU-R BT.601, as Pillow's mode L
    brightness = (filled * weights).sum(1, keepdim=True)
    return torch.where(gray & (filled != filled[:, :1]).any(1, keepdim=True), brightness, filled)


_Hole = Callable[[int, int], NDArray[np.bool_]]


def _decoded(image: str | Path | Image.Image) -> DecodedImage:
    return convert_image(image, deep=True) if isinstance(image, Image.Image) else read_image(image, deep=True)


def _inpaint_image(
    net: Filler,
    image: DecodedImage,
    hole_of: _Hole,
    edits: Edits,
    options: dict[str, Any],
    opaque: bool = False,
) -> Image.Image:
    """Fill a decoded image; ``opaque`` makes the filled pixels opaque."""
    deep = image.gray and image.alpha is None  # the only images with 16 bits that Pillow has a mode for
    hole = _single(hole_of(*image.size))
    filled = _edited(net, (image.pixels if deep else image.rgb)[None], hole[None], edits, options)[0]
    channels = [filled[..., :1] if image.gray else filled]
    if image.alpha is not None:
        channels.append(edits.alpha(image.alpha, edits.hole(hole) if opaque else None)[..., None])
    values = np.concatenate(channels, axis=2)
    result = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    if image.icc_profile is not None:
        result.info["icc_profile"] = image.icc_profile  # Image.save writes it to the file
    return result


def _inpaint_array(
    net: Filler, image: NDArray[Any], hole_of: _Hole, edits: Edits, options: dict[str, Any]
) -> NDArray[Any]:
    if image.ndim != 3 or image.shape[2] not in {3, 4} or image.size == 0:
        hint = " For gray images: `np.repeat(image[..., None], 3, axis=2)`." if image.ndim == 2 else ""
        raise ZooError(f"`image` as an array must be (H, W, 3) or (H, W, 4), got {image.shape}.{hint}")
    if image.dtype not in (np.uint8, np.uint16) and not np.issubdtype(image.dtype, np.floating):
        raise ZooError(f"`image` as an array must be uint8, uint16, or float in [0, 1], got {image.dtype}.")
    hole = _single(hole_of(image.shape[0], image.shape[1]))
    filled = _edited(net, image[None, ..., :3], hole[None], edits, options)[0]
    if image.shape[2] == 3:
        return filled
    return np.concatenate([filled, edits.alpha(image[..., 3])[..., None]], axis=2)


def _inpaint_tensor(net: Filler, image: Tensor, hole_of: _Hole, edits: Edits, options: dict[str, Any]) -> Tensor:
    batch = image[None] if image.ndim == 3 else image
    if batch.ndim != 4 or batch.shape[1] != 3 or batch.numel() == 0:
        raise ZooError(f"`image` as a tensor must be (3, H, W) or (B, 3, H, W), got {tuple(image.shape)}.")
    if not (image.is_floating_point() or image.dtype in (torch.uint8, torch.uint16)):
        raise ZooError(f"`image` as a tensor must be uint8, uint16, or float in [0, 1], got {image.dtype}.")
    B, _, H, W = batch.shape
    found = hole_of(H, W)  # (N, H, W)
    if len(found) not in {1, B}:
        raise ZooError(f"`mask` must hold one mask, or {B} for the {B} images, got {len(found)}.")
    if edits == NO_EDITS and image.dtype != torch.uint16:
        out = _filled_on_device(net, batch, as_tensor(found).to(image.device)[:, None].expand(B, 1, H, W), options)
    else:
        values = (batch.float() if image.dtype == torch.bfloat16 else batch).permute(0, 2, 3, 1).cpu().numpy()
        filled = _edited(net, values, np.broadcast_to(found, (B, H, W)), edits, options)
        out = as_tensor(filled).permute(0, 3, 1, 2).to(image.device, image.dtype)
    return out[0] if image.ndim == 3 else out


def _filled_on_device(net: Filler, batch: Tensor, hole: Tensor, options: dict[str, Any]) -> Tensor:
    """Fill a uint8 or float batch (B, 3, H, W) where ``hole`` (B, 1, H, W) is True, without a copy to the CPU."""
    bytewise = batch.dtype == torch.uint8
    filled = _run(net, batch.float() / 255 if bytewise else batch.float(), hole, options)
    # float32 cannot hold the known values of all other dtypes
    return to_uint8(filled) if bytewise else torch.where(hole, filled.to(batch.dtype), batch)


def _edited(
    net: Filler, images: NDArray[Any], holes: NDArray[np.bool_], edits: Edits, options: dict[str, Any]
) -> NDArray[Any]:
    """Fill a batch of images (B, H, W, 3), uint8, uint16 or float in [0, 1], in holes (B, H, W), with the edits."""
    wide, own, seen = images, holes, holes
    if edits != NO_EDITS:
        wide = np.stack([edits.pixels(image) for image in images])
        own = np.stack([edits.hole(hole) for hole in holes])
        seen = np.stack([edits.seen(hole) for hole in own])
    if np.issubdtype(wide.dtype, np.integer):
        filled: NDArray[Any] = fill_bytes(net, wide, seen, **options)
    else:
        x = as_tensor(wide.astype(np.float32)).permute(0, 3, 1, 2)
        completed = _run(net, x, as_tensor(seen)[:, None], options).permute(0, 2, 3, 1).numpy()
        filled = np.where(seen[..., None], completed.astype(wide.dtype), wide)  # float32 cannot hold all known values
    if not edits.feather:
        return filled
    return np.stack([edits.blended(*each) for each in zip(filled, wide, own, strict=True)])


def _run(net: Filler, image: Tensor, hole: Tensor, options: dict[str, Any]) -> Tensor:
    """Return the completed images, float32 on the device of ``image``."""
    filled = fill_batch(net, image, hole, **options)
    check_finite(filled, hole)
    return keep_gray(filled, image, hole)


def check_finite(filled: Tensor, hole: Tensor) -> None:
    """Check that the filled pixels are finite.

    Raises:
        ZooError: If there is NaN or infinity in the hole.
    """
    if not bool(torch.isfinite(filled[hole.expand_as(filled)]).all()):
        raise ZooError("the model put NaN or infinity into the hole")


def _single(holes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if len(holes) != 1:
        raise ZooError(f"`mask` must hold one mask for one image, got {len(holes)}.")
    return holes[0]


def _hole(mask: ImageRow, size: tuple[int, int], threshold: int, invert: bool, seed: int) -> NDArray[np.bool_]:
    """Return the masks as (N, H, W) bool, True = hole."""
    if is_mask_name(mask):
        values: NDArray[Any] = create_mask(mask, size=size, seed=seed)
        values = 1 - values if invert else values
    elif isinstance(mask, str | Path):
        values = read_mask(mask, threshold=threshold, invert=invert)
    elif isinstance(mask, Image.Image):
        values = binary_mask(convert_image(mask, "mask"), threshold=threshold, invert=invert)
    else:
        values = _array_mask(mask, threshold, invert)
    holes = values.reshape(-1, *values.shape[-2:]).astype(bool)
    if holes.shape[1:] != size:
        if isinstance(mask, np.ndarray) and mask.ndim == 3 and mask.shape[:2] == size:
            raise ZooError(f"`mask` must have one channel, got {mask.shape}. Keep one: `mask[..., 0]`.")
        raise ZooError(
            f"`mask` is {holes.shape[2]} x {holes.shape[1]}, but `image` is {size[1]} x {size[0]} (width x height)."
        )
    return holes


def is_mask_name(mask: object) -> TypeGuard[str]:
    """Return whether ``mask`` names a generator; if a file has the same name, `./name` denotes the file.

    Raises:
        UnknownNameError: If a single word is the name of neither a generator nor a file; the message suggests names.
    """
    if not isinstance(mask, str) or mask in list_masks():
        return isinstance(mask, str)
    path = Path(mask)
    if not path.exists() and len(path.parts) == 1 and path.suffix.lower() not in IMAGE_SUFFIXES:
        create_generator(mask)
    return False


def _array_mask(mask: NDArray[Any] | Tensor, threshold: int, invert: bool) -> NDArray[np.bool_]:
    """Return (..., H, W), True = hole; several masks are checked together for probable mistakes."""
    if isinstance(mask, Tensor):
        held = mask.detach().cpu()
        values = (held.float() if held.dtype == torch.bfloat16 else held).numpy()  # NumPy has no bfloat16
    else:
        values = mask
    if not isinstance(values, np.ndarray):
        raise ZooError(f"`mask` must be a path, name, PIL image, array or tensor, got {type(mask).__name__}.")
    if isinstance(mask, np.ndarray) and values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim < 2 or values.size == 0 or (values.ndim == 4 and values.shape[1] != 1) or values.ndim > 4:
        raise ZooError(f"`mask` must be (H, W), (1, H, W) or (B, 1, H, W), got {values.shape}.")
    if values.dtype == np.uint8 and values.max() > 1:
        hole, gray = values > threshold, values
    else:
        binary = (values == 0) | (values == 1)
        if not binary.all():
            worst = values[~binary].flat[0]
            raise ZooError(f"`mask` must hold only 0 (known) and 1 (hole), got {worst:g}. Gray masks: `mask > 0.5`.")
        hole, gray = values.astype(bool), None
    hole = ~hole if invert else hole
    for text in doubts_about(hole, gray, threshold=threshold, invert=invert).values():
        warnings.warn(f"`mask`: {text}", MaskWarning, stacklevel=5)
    return hole
