"""Focal frequency loss: the squared difference of spectra, with larger weights for frequencies that differ more."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from einops import rearrange
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.losses.checks import check_choice, check_same_shape
from inpaint_zoo.ops import max_over_ranks, mean_over_ranks, without_autocast
from inpaint_zoo.ops.precision import full_precision

__all__ = ["FocalFrequencyLoss", "FrequencyReduction", "focal_frequency"]

FrequencyReduction = Literal["mean", "sum"]


def focal_frequency(
    pred: Tensor,
    target: Tensor,
    *,
    alpha: float = 1.0,
    patch_factor: int = 1,
    average_spectrum: bool = False,
    log_matrix: bool = False,
    batch_matrix: bool = False,
    normalize: bool = True,
    reduction: FrequencyReduction = "mean",
) -> Tensor:
    """Reduce w |F(pred) - F(target)|^2 over patches, channels and frequencies; see `FocalFrequencyLoss`.

    Example:
        >>> black, gray = torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5)
        >>> focal_frequency(gray, black).item()  # one of four frequencies differs, by 2 * 0.5, and its weight is 1
        0.25
    """
    check_same_shape(pred, target)
    check_choice("reduction", reduction, get_args(FrequencyReduction))
    H, W = pred.shape[-2:]
    if patch_factor < 1 or H % patch_factor or W % patch_factor:
        raise ZooError(f"`patch_factor` must divide height and width of {H} x {W}, got {patch_factor}.")
    spectra = []
    for image in (pred, target):
        patches = rearrange(full_precision(image), "b c (y h) (x w) -> b (y x) c h w", y=patch_factor, x=patch_factor)
        with without_autocast(image.device):
            spectrum = torch.fft.fft2(patches, norm="ortho")
        spectra.append(mean_over_ranks(spectrum.mean(0, keepdim=True)) if average_spectrum else spectrum)
    difference = spectra[0] - spectra[1]
    # computed from real and imaginary part, because the modulus of a complex zero has no gradient
    squares = difference.real.square() + difference.imag.square()  # (B, patches, C, h, w)
    weight = squares.detach().sqrt() ** alpha
    if log_matrix:
        weight = weight.log1p()
    if normalize:
        largest = max_over_ranks(weight.max()) if batch_matrix else weight.amax((-2, -1), keepdim=True)
        weight = (weight / largest).nan_to_num(0.0).clamp(0, 1)  # 0 / 0 if the images are equal
    weighted = weight * squares
    return weighted.mean() if reduction == "mean" else weighted.sum() / len(weighted)


class FocalFrequencyLoss(nn.Module):
    """Focal frequency loss: distance between the spectra of prediction and ground truth.

    F is the orthonormal DFT of each channel, d = |F(pred) - F(target)|. The weight w is d^alpha divided by its maximum
    over the frequencies of each image, patch and channel; w is detached. The terms w d^2 of an image are averaged or
    summed, then averaged over the batch.

    Source: Jiang et al., "Focal Frequency Loss for Image Reconstruction and Synthesis" (ICCV 2021). The defaults are
    those of the authors' package. GLaMa's Eq. 8 and 9, taken literally, omit the division (``normalize=False``); GLaMa
    published no code. With an unnormalized DFT the loss would be (h w)^(1 + alpha / 2) times as large for patches of
    h x w; for a fixed image size this is only another loss weight.

    The loss of an image does not depend on the other images of its batch, unless ``average_spectrum`` or
    ``batch_matrix`` is set.

    Args:
        alpha: Exponent of the weight.
        patch_factor: Split height and width into this many parts; each patch is transformed separately.
        average_spectrum: Average the spectra over the batch of all processes before comparing them.
        log_matrix: Use log(1 + w) as weight.
        batch_matrix: Divide the weight by its maximum over the batch of all processes.
        normalize: Divide the weight by its maximum.
        reduction: Reduction over the patches, channels and frequencies of an image. With ``average_spectrum``, the
            batch counts as one image.

    Shape:
        pred, target (B, C, H, W) -> scalar, float32 at least.

    Raises:
        ZooError: If ``patch_factor`` does not divide height and width, or ``batch_matrix`` is set without
            ``normalize``.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        patch_factor: int = 1,
        average_spectrum: bool = False,
        log_matrix: bool = False,
        batch_matrix: bool = False,
        normalize: bool = True,
        reduction: FrequencyReduction = "mean",
    ) -> None:
        super().__init__()
        check_choice("reduction", reduction, get_args(FrequencyReduction))
        if batch_matrix and not normalize:
            raise ZooError("`batch_matrix` needs `normalize=True`: it selects the maximum that `normalize` divides by.")
        if patch_factor < 1:
            raise ZooError(f"`patch_factor` must be at least 1, got {patch_factor}.")
        self.alpha = alpha
        self.patch_factor = patch_factor
        self.average_spectrum = average_spectrum
        self.log_matrix = log_matrix
        self.batch_matrix = batch_matrix
        self.normalize = normalize
        self.reduction = reduction

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""
        return focal_frequency(
            pred,
            target,
            alpha=self.alpha,
            patch_factor=self.patch_factor,
            average_spectrum=self.average_spectrum,
            log_matrix=self.log_matrix,
            batch_matrix=self.batch_matrix,
            normalize=self.normalize,
            reduction=self.reduction,
        )

    def extra_repr(self) -> str:
        """Return the arguments as text, for `print`."""
        return (
            f"alpha={self.alpha:g}, patch_factor={self.patch_factor}, average_spectrum={self.average_spectrum}, "
            f"log_matrix={self.log_matrix}, batch_matrix={self.batch_matrix}, normalize={self.normalize}, "
            f"reduction={self.reduction}"
        )
