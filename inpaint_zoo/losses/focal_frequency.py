"""Focal frequency loss: the squared difference of spectra, weighted towards what is still hard."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.losses.checks import check_same_shape
from inpaint_zoo.ops import max_over_ranks, mean_over_ranks, without_autocast
from inpaint_zoo.ops.precision import full_precision

__all__ = ["FocalFrequencyLoss", "focal_frequency"]


def focal_frequency(
    pred: Tensor,
    target: Tensor,
    *,
    alpha: float = 1.0,
    patch_factor: int = 1,
    average_spectrum: bool = False,
    log_matrix: bool = False,
    batch_matrix: bool = False,
) -> Tensor:
    """Mean over images, patches, channels and frequencies of w |F(pred) - F(target)|^2; see `FocalFrequencyLoss`.

    Example:
        >>> black, grey = torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5)
        >>> focal_frequency(grey, black).item()  # one of four frequencies differs, by 2 * 0.5, and its weight is 1
        0.25
    """
    check_same_shape(pred, target)
    H, W = pred.shape[-2:]
    if patch_factor < 1 or H % patch_factor or W % patch_factor:
        raise ZooError(f"`patch_factor` must divide both sides of {H} x {W}, got {patch_factor}.")
    spectra = []
    for image in (pred, target):
        patches = rearrange(full_precision(image), "b c (y h) (x w) -> b (y x) c h w", y=patch_factor, x=patch_factor)
        with without_autocast(image.device):
            spectrum = torch.fft.fft2(patches, norm="ortho")
        spectra.append(mean_over_ranks(spectrum.mean(0, keepdim=True)) if average_spectrum else spectrum)
    difference = spectra[0] - spectra[1]
    # from real and imaginary part: the modulus of a complex zero has no gradient
    squares = difference.real.square() + difference.imag.square()  # (B, patches, C, h, w)
    weight = squares.detach().sqrt() ** alpha
    if log_matrix:
        weight = weight.log1p()
    largest = max_over_ranks(weight.max()) if batch_matrix else weight.amax((-2, -1), keepdim=True)
    weight = (weight / largest).nan_to_num(0.0).clamp(0, 1)  # 0 / 0 where the pictures are the same
    return (weight * squares).mean()


class FocalFrequencyLoss(nn.Module):
    """Distance between the spectra of prediction and truth, with larger weights where they differ more.

    F is the orthonormal DFT of each channel, d = |F(pred) - F(target)|, w = d^alpha divided by its maximum over the
    frequencies of each image, patch and channel; no gradient flows through w.

    Source: Jiang et al., "Focal Frequency Loss for Image Reconstruction and Synthesis" (ICCV 2021), as its code
    computes it. GLaMa's Eq. 8 and 9 leave the division out; its code is unpublished.

    Args:
        alpha: Exponent of the weight.
        patch_factor: Cut both sides into so many parts, each transformed by itself.
        average_spectrum: Average the spectra over the batch of all processes before they are compared.
        log_matrix: Weigh by log(1 + w).
        batch_matrix: Divide by the maximum over the batch of all processes.

    Shape:
        pred, target (B, C, H, W) -> scalar, float32 at least.

    Raises:
        ZooError: The sides cannot be cut into ``patch_factor`` parts.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        patch_factor: int = 1,
        average_spectrum: bool = False,
        log_matrix: bool = False,
        batch_matrix: bool = False,
    ) -> None:
        super().__init__()
        if patch_factor < 1:
            raise ZooError(f"`patch_factor` must be 1 or more, got {patch_factor}.")
        self.alpha = alpha
        self.patch_factor = patch_factor
        self.average_spectrum = average_spectrum
        self.log_matrix = log_matrix
        self.batch_matrix = batch_matrix

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """The distance."""
        return focal_frequency(
            pred,
            target,
            alpha=self.alpha,
            patch_factor=self.patch_factor,
            average_spectrum=self.average_spectrum,
            log_matrix=self.log_matrix,
            batch_matrix=self.batch_matrix,
        )

    def extra_repr(self) -> str:
        """All of its arguments."""
        return (
            f"alpha={self.alpha:g}, patch_factor={self.patch_factor}, average_spectrum={self.average_spectrum}, "
            f"log_matrix={self.log_matrix}, batch_matrix={self.batch_matrix}"
        )
