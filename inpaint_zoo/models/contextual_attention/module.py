"""Training of GLCIC and Contextual Attention (specs/glcic_ca.md, section 8)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from inpaint_zoo.layers.init import init_scaled
from inpaint_zoo.models.contextual_attention.loss import GRADIENT_NORMS, ContextualAttentionLoss, Discount
from inpaint_zoo.registry import create_discriminator
from inpaint_zoo.training import AdversarialModule, Batch, Penalty, Phase, Recipe, Stages, Terms
from inpaint_zoo.weights import load_state, match_state

__all__ = ["ContextualAttention"]

CRITICS = ("local_critic", "global_critic")
_ADAM: OptimizerCallable = partial(torch.optim.Adam, lr=1e-4, betas=(0.5, 0.9))


class ContextualAttention(AdversarialModule):
    """WGAN-GP with two critics, updated on every batch; the generator on each fifth, against the updated critics.

    The local critic sees a window around the hole. The reference's "iterations" are batches: five make a step. The
    weights are called as in the study's Table I, whose values they have.

    Args:
        network: Registry name.
        generator_optimizer: Built over the generator's parameters; the rate is constant.
        critic_optimizer: Built over both critics'.
        generator_scheduler: Learning-rate schedule of the generator, by steps.
        critic_scheduler: ... of the critics.
        size: Side of the training pictures, which the global critic is built for.
        window: Side of the local critic's window.
        critic_width: Channels of the critics' first maps.
        local_conv4: Channels of the local critic's fourth map; by default those of the third (TensorFlow: 512).
        coarse_l1_alpha: Share of the coarse stage in both L1 terms, beside 1 of the fine one.
        l1_loss_alpha: Weight of the discounted L1.
        ae_loss_alpha: Weight of the L1 of known pixels.
        global_wgan_loss_alpha: Share of the global critic, beside 1 of the local one.
        gan_loss_alpha: Weight of the adversarial term.
        wgan_gp_lambda: Weight of the gradient penalties.
        num_critics: Batches of a step.
        spatial_discounting_gamma: Of the discount.
        discount: "box" for holes that are boxes; "distance" or "none" for holes of any form.
        gp_mask: Penalise gradients in the hole alone, as TensorFlow's code.
        init_critics: Checkpoint of such a training, whose critics this one starts from; by default random ones.
        base: Arguments of `TrainingModule`.

    Raises:
        UnknownNameError: Another discount.
        WeightsError: As `load_state`, of the critics.
        ZooError: The critics of the checkpoint have another size.
    """

    start_arguments = AdversarialModule.start_arguments | {"init_critics"}

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
        init_gain: float | None = None,
        **base: Any,
    ) -> None:
        super().__init__(network, **base)
        if init_gain is not None and base.get("init_weights") is None:
            init_scaled(self.network, init_gain)
        self.local_critic = create_discriminator("ca_local", size=window, width=critic_width, local_conv4=local_conv4)
        self.global_critic = create_discriminator("ca_global", size=size, width=critic_width)
        if init_critics is not None:
            for name in CRITICS:
                critic = self.get_submodule(name)
                state = load_state(init_critics, name)
                critic.load_state_dict(match_state(state, critic.state_dict(), f"'{name}': {init_critics}"))
        self.optimizers_of = {"generator": generator_optimizer, "critics": critic_optimizer}
        self.schedulers = {"generator": generator_scheduler, "critics": critic_scheduler}
        self.weights = {"l1": l1_loss_alpha, "ae": ae_loss_alpha, "wgan_g": gan_loss_alpha}
        self.wgan_gp_lambda = wgan_gp_lambda
        self.num_critics = num_critics
        self.losses = ContextualAttentionLoss(
            window, spatial_discounting_gamma, coarse_l1_alpha, global_wgan_loss_alpha, discount, gp_mask
        )

    def recipe(self) -> Recipe:
        """The critics on each batch; behind them, on the last of a step, the generator on the same forward pass."""
        return Recipe(
            (
                Phase(
                    "critics",
                    CRITICS,
                    self.critics_loss,
                    self.optimizers_of["critics"],
                    weights={"wgan_gp": self.wgan_gp_lambda} | dict.fromkeys(GRADIENT_NORMS, 0.0),
                    penalty=Penalty(self.critics_penalty),
                    scheduler=self.schedulers["critics"],
                ),
                Phase(
                    "generator",
                    ("network",),
                    self.generator_loss,
                    self.optimizers_of["generator"],
                    weights=self.weights,
                    scheduler=self.schedulers["generator"],
                ),
            ),
            forward="shared",
            critics_per_step=self.num_critics,
        )

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The terms of both stages, and the adversarial one of the fine one."""
        adversarial = self.losses.generator(self.local_critic, self.global_critic, stages["fine"], batch)
        return self.losses.reconstruction(stages, batch) | {"wgan_g": adversarial}

    def critics_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The critics' adversarial term."""
        return self.losses.critics(self.local_critic, self.global_critic, stages["fine"], batch)

    def critics_penalty(self, batch: Batch, stages: Stages) -> Terms:
        """Their gradient penalties."""
        return self.losses.penalty(
            self.local_critic, self.global_critic, stages["fine"], batch, generator=self.loss_generator
        )
