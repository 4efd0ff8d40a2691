"""Training of GLCIC and Contextual Attention (docs/papers/glcic_ca.md, "Losses and training")."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from inpaint_zoo.models.contextual_attention.loss import GRADIENT_NORMS, ContextualAttentionLoss, Discount
from inpaint_zoo.registry import create_discriminator
from inpaint_zoo.training import AdversarialModule, Batch, Phase, Stages, Terms
from inpaint_zoo.weights import load_state, match_state

__all__ = ["ContextualAttention"]

CRITICS = ("local_critic", "global_critic")
_ADAM: OptimizerCallable = partial(torch.optim.Adam, lr=1e-4, betas=(0.5, 0.9))


class ContextualAttention(AdversarialModule):
    """Training module of GLCIC and Contextual Attention: WGAN-GP with a local and a global critic.

    Every batch updates the critics. Every fifth batch also updates the generator, after the critics. The local critic
    sees a window around the hole. An "iteration" of the reference code is one batch; here, one training step is five
    batches. Names and values of the loss weights are those of the study's Table I.

    Args:
        network: Registry name of the generator.
        generator_optimizer: Optimizer of the generator; the default learning rate is constant.
        critic_optimizer: Optimizer of both critics.
        generator_scheduler: Learning-rate schedule of the generator, stepped per training step.
        critic_scheduler: Learning-rate schedule of the critics.
        size: Height and width in pixels of the training images; the global critic takes only this size.
        window: Height and width in pixels of the local critic's window.
        critic_width: Channels of the critics' first feature maps.
        local_conv4: Channels of the local critic's fourth feature map; None means as many as in the third (the
            TensorFlow code has 512).
        coarse_l1_alpha: Weight of the coarse stage in both L1 terms; the fine stage has weight 1.
        l1_loss_alpha: Weight of the discounted L1 loss.
        ae_loss_alpha: Weight of the L1 loss on known pixels.
        global_wgan_loss_alpha: Weight of the global critic; the local critic has weight 1.
        gan_loss_alpha: Weight of the generator's GAN loss.
        wgan_gp_lambda: Weight of the gradient penalties.
        num_critics: Number of batches (critic updates) per generator update.
        spatial_discounting_gamma: Base of the discount, see `ContextualAttentionLoss`.
        discount: "box" for rectangular holes; "distance" or "none" for holes of any shape.
        gp_mask: Penalize gradients at hole pixels only, as the TensorFlow code does.
        init_critics: Checkpoint of another training of this kind, whose critics this training starts from; None starts
            from random weights.
        base: Arguments of `AdversarialModule`.

    Raises:
        UnknownNameError: If ``discount`` is unknown.
        WeightsError: If the critics' checkpoint cannot be loaded, see `load_state`.
        ZooError: If the critics in the checkpoint have another size.
    """

    start_arguments = AdversarialModule.start_arguments | {"init_critics"}
    loss_range = (-1.0, 1.0)

    def __init__(
        self,
        network: str = "contextual_attention",
        generator_optimizer: OptimizerCallable = _ADAM,
        critic_optimizer: OptimizerCallable = _ADAM,
        generator_scheduler: LRSchedulerCallable | None = None,
        critic_scheduler: LRSchedulerCallable | None = None,
        size: int = 256,
        window: int = 128,
        critic_width: int = 64,
        local_conv4: int | None = None,
        coarse_l1_alpha: float = 1.2,
        l1_loss_alpha: float = 1.2,
        ae_loss_alpha: float = 1.2,
        global_wgan_loss_alpha: float = 1.0,
        gan_loss_alpha: float = 0.001,
        wgan_gp_lambda: float = 10.0,
        num_critics: int = 5,
        spatial_discounting_gamma: float = 0.9,
        discount: Discount = "box",
        gp_mask: bool = False,
        init_critics: str | None = None,
        **base: Any,
    ) -> None:
        super().__init__(network, generator_optimizer, critic_optimizer, generator_scheduler, critic_scheduler, **base)
        self.local_critic = create_discriminator("ca_local", size=window, width=critic_width, local_conv4=local_conv4)
        self.global_critic = create_discriminator("ca_global", size=size, width=critic_width)
        if init_critics is not None:
            for name in CRITICS:
                critic = self.get_submodule(name)
                state = load_state(init_critics, name)
                critic.load_state_dict(match_state(state, critic.state_dict(), f"'{name}': {init_critics}"))
        self.weights = {"l1": l1_loss_alpha, "ae": ae_loss_alpha, "wgan_g": gan_loss_alpha}
        self.discriminator_weights = {"wgan_gp": wgan_gp_lambda} | dict.fromkeys(GRADIENT_NORMS, 0.0)
        self.step_batches = num_critics
        self.losses = ContextualAttentionLoss(
            window, spatial_discounting_gamma, coarse_l1_alpha, global_wgan_loss_alpha, discount, gp_mask
        )

    def discriminator_phase(self, **changes: Any) -> Phase:
        """Return the phase of both critics, with their gradient penalties."""
        return super().discriminator_phase(name="critics", trains=CRITICS, penalty=self.critics_penalty, **changes)

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the L1 terms of both stages and the GAN loss of the fine stage."""
        adversarial = self.losses.generator(self.local_critic, self.global_critic, stages["fine"], batch)
        return self.losses.reconstruction(stages, batch) | {"wgan_g": adversarial}

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the critics' WGAN loss, without the gradient penalty."""
        return self.losses.critics(self.local_critic, self.global_critic, stages["fine"], batch)

    def critics_penalty(self, batch: Batch, stages: Stages) -> Terms:
        """Return the critics' gradient penalties."""
        return self.losses.penalty(
            self.local_critic, self.global_critic, stages["fine"], batch, generator=self.loss_generator
        )
