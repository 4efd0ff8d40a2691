"""Penalties on a discriminator's gradient with respect to its images: WGAN-GP and R1. For the discriminator's step."""

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
    """||dD(x)/dx||_2 of each image at x = alpha real + (1 - alpha) fake; WGAN-GP wants 1.

    One alpha ~ U(0, 1) for each image; the norm runs over all channels and pixels of an image. The pass through the
    critic is in full precision under autocast too. The critic must treat images alone: no BatchNorm.

    Args:
        critic: Images (B, C, H, W) to scores, of any shape.
        real: (B, C, H, W).
        fake: As ``real``.
        mask: (B, 1, H, W), 1 = hole, binary: only gradients in the hole count (TensorFlow's DeepFillv1, a crop of the
            mask for the local critic). An image without a hole then has norm 0, without a gradient.
        alpha: (B,); drawn when None.
        generator: Draws alpha, on the generator's own device; by default torch's own. Processes that seed it alike draw
            what a single process does (`ops.own_samples`).

    Returns:
        (B,) with a graph, for a second backward pass.
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
        # vector_norm: a zero gradient is not differentiated into NaN, as the root of a sum would be
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
    """Mean over images of (||dD(x)/dx||_2 - 1)^2, a scalar; arguments as `critic_gradient_norms`.

    Source: Contextual Attention (weight 10, local and global critic each with its own alpha).
    """
    return distance_from_one(critic_gradient_norms(critic, real, fake, mask=mask, alpha=alpha, generator=generator))


def distance_from_one(norms: Tensor) -> Tensor:
    """WGAN-GP's penalty for norms (B,) that are there already: the mean of (norm - 1)^2."""
    return (norms - 1).square().mean()


def r1_penalty(real_logits: Tensor, real: Tensor) -> Tensor:
    """Mean over images of ||d(sum D(x))/dx||_2^2 on the truth.

    It takes the logits of the pass that the discriminator's loss needs anyway: a second pass would move BatchNorm's
    and spectral norm's statistics once more.

    Source: LaMa (weight 0.001, at every step).

    Args:
        real_logits: The discriminator's output for ``real``, of any shape.
        real: (B, C, H, W), whose `requires_grad_()` was called before that pass.

    Returns:
        A scalar with a graph, for a second backward pass.

    Raises:
        ZooError: ``real`` is not part of the graph of ``real_logits``.
    """
    if not real.requires_grad or real_logits.grad_fn is None:
        raise ZooError("R1 needs the gradient at the real images: real.requires_grad_() before the discriminator.")
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    return full_precision(gradient).square().flatten(1).sum(1).mean()
