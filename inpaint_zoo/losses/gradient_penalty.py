"""Gradient penalties for the discriminator's update: WGAN-GP and R1."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from inpaint_zoo.errors import ZooError
from inpaint_zoo.losses.checks import check_mask, check_same_shape
from inpaint_zoo.ops import own_samples, without_autocast
from inpaint_zoo.ops.precision import full_precision

__all__ = ["critic_gradient_norms", "distance_from_one", "r1_penalty", "wgan_gradient_penalty"]


def critic_gradient_norms(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    *,
    mask: Tensor | None = None,
    alpha: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return ||dD(x)/dx||_2 of each image at x = alpha real + (1 - alpha) fake, which WGAN-GP pulls towards 1.

    Each image has its own alpha ~ U(0, 1); the norm is over all channels and pixels of an image. The critic runs in
    full precision, even under autocast. It must process each image independently: no batch norm.

    Args:
        critic: Function from images (B, C, H, W) to scores of any shape.
        real: Real images (B, C, H, W).
        fake: Generated images (B, C, H, W).
        mask: Binary mask (B, 1, H, W), 1 = hole: only gradients at hole pixels count, as in the TensorFlow code of
            DeepFillv1 (with a crop of the mask for the local critic). An image without a hole then has norm 0 and no
            gradient.
        alpha: Interpolation weights (B,) in [0, 1]; None draws them.
        generator: Random generator for alpha; None uses PyTorch's global one. If all processes seed it equally, each
            sample gets the alpha that it gets in a single process (`ops.own_samples`).

    Returns:
        (B,), with a graph for a second backward pass.
    """
    check_same_shape(fake, real, "`real`")
    real, fake = full_precision(real.detach()), full_precision(fake.detach())
    if alpha is None:
        device = real.device if generator is None else generator.device
        dtype = real.dtype
        alpha = own_samples(lambda count: torch.rand(count, generator=generator, device=device, dtype=dtype), len(real))
    alpha = alpha.to(real).view(-1, *[1] * (real.ndim - 1))
    between = (alpha * real + (1 - alpha) * fake).requires_grad_()
    with without_autocast(real.device):
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        if mask is not None:
            check_mask(mask, real)
            gradient = gradient * mask.to(gradient)
        # the derivative of vector_norm at a zero gradient is 0; that of the square root of a sum would be NaN
        return torch.linalg.vector_norm(gradient.flatten(1), dim=1)


def wgan_gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    *,
    mask: Tensor | None = None,
    alpha: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the mean over images of (||dD(x)/dx||_2 - 1)^2; for the arguments see `critic_gradient_norms`.

    Source: Contextual Attention, with weight 10; local and global critic each draw their own alpha.
    """
    return distance_from_one(critic_gradient_norms(critic, real, fake, mask=mask, alpha=alpha, generator=generator))


def distance_from_one(norms: Tensor) -> Tensor:
    """Return WGAN-GP's penalty for given norms (B,): the mean of (norm - 1)^2."""
    return (norms - 1).square().mean()


def r1_penalty(real_logits: Tensor, real: Tensor) -> Tensor:
    """Return the R1 penalty: the mean over images of ||d(sum D(x))/dx||_2^2 at the ground truth.

    It takes the logits from the forward pass of the discriminator's loss, because another pass would update the
    statistics of batch norm and spectral norm a second time.

    Source: LaMa, with weight 0.001 at every step.

    Args:
        real_logits: Discriminator output for ``real``, of any shape.
        real: Real images (B, C, H, W), on which `requires_grad_()` was called before that forward pass.

    Returns:
        A scalar, with a graph for a second backward pass.

    Raises:
        ZooError: If ``real`` is not part of the graph of ``real_logits``.
    """
    if not real.requires_grad or real_logits.grad_fn is None:
        raise ZooError(
            "R1 needs gradients at the real images: call real.requires_grad_() before the discriminator's forward pass."
        )
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    return full_precision(gradient).square().flatten(1).sum(1).mean()
