"""Training loops of LaMa, LGNet, ISNet and GRIG, written as in the released code, for comparison with the package's.

The loss terms are the package's, and so are the networks except for the layers of `plain_networks.py`. What differs is
what the loops compute: how often they run the pretrained networks, and whose gradients they compute and discard
(docs/papers says what the released code does). The optimizers are those of the released code without further options.
"""

from collections.abc import Iterable

import torch
from plain_networks import PlainVGGFeatures
from torch import Tensor, nn
from watch import Watch

from inpaint_zoo.losses import PERCEPTUAL_TAPS, STYLE_TAPS, mask_to_logits, masked_l1, r1_penalty
from inpaint_zoo.training import AdversarialModule, Batch, Terms, completed

__all__ = ["LOOPS", "Loop"]


class Loop:
    """A training loop on the networks and loss terms of a module that is not trained otherwise.

    Args:
        module: The module, with its losses built.
        watch: Stopwatch for the parts of a step.

    Attributes:
        losses: Weighted loss of each phase in the latest step, by the names of the module's logs.
    """

    def __init__(self, module: AdversarialModule, watch: Watch) -> None:
        self.module, self.watch = module, watch
        self.losses: dict[str, Tensor] = {}
        self.generator = module.network
        self.optimizers = {
            name: phase.optimizer(module._trainable(trains))
            for phase in module.plan.phases
            for name, trains in phase.groups.items()
        }

    def step(self, batch: Batch) -> None:
        """Train on one batch."""
        raise NotImplementedError

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return the generator's stages in the range of the losses."""
        with self.watch.stage("forward"):
            return self.module.predict_stages(batch)

    def total(self, phase: str, terms: Terms) -> Tensor:
        """Return the weighted sum of loss terms, and store it in `losses`."""
        weights = next(each for each in self.module.plan.phases if each.name == phase).weights
        loss = torch.stack([term * weights.get(name, 1.0) for name, term in terms.items()]).sum()
        self.losses[f"{phase}/loss"] = loss.detach()
        return loss

    def backward(self, phase: str, loss: Tensor) -> None:
        """Compute the gradients of all parameters that are not frozen."""
        with self.watch.stage(f"{phase}: backward"):
            loss.backward()

    def update(self, phase: str, clip: float | None = None) -> None:
        """Step the optimizers of a phase and clear its gradients."""
        with self.watch.stage(f"{phase}: update"):
            for name, optimizer in self.optimizers.items():
                if name.split("/")[0] == phase:
                    if clip is not None:
                        nn.utils.clip_grad_norm_((p for group in optimizer.param_groups for p in group["params"]), clip)
                    optimizer.step()
                    optimizer.zero_grad()


def freeze(modules: Iterable[nn.Module], frozen: bool) -> None:
    """Freeze or unfreeze modules."""
    for module in modules:
        module.requires_grad_(not frozen)


class LaMaLoop(Loop):
    """LaMa: the generator's step, then the discriminator's on a new prediction."""

    def step(self, batch: Batch) -> None:
        """Train on one batch."""
        image, mask, losses, discriminator = (
            batch["image"],
            batch["mask"],
            self.module.losses,
            self.module.discriminator,
        )
        freeze([discriminator], True)
        pred = self.forward(batch)["prediction"]
        with self.watch.stage("generator: losses"):
            _, real_maps = discriminator.forward_features(image)
            logits, maps = discriminator.forward_features(pred)
            terms = {
                "l1": masked_l1(pred, image, mask, known=1.0, hole=0.0),
                "adversarial": losses.gan_loss.generator(logits),
                "feature_matching": losses.matching(maps, real_maps),
                "perceptual": losses.perceptual(losses.features(pred), losses.features(image)),
            }
            loss = self.total("generator", terms)
        self.backward("generator", loss)
        self.update("generator", 1.0)
        freeze([discriminator], False)
        freeze([self.generator], True)
        pred = self.forward(batch)["prediction"]
        with self.watch.stage("discriminator: losses"):
            real = image.detach().clone().requires_grad_()
            real_logits, fake_logits = discriminator(real), discriminator(pred)
            label = mask_to_logits(mask, fake_logits, self.module.mask_mode, discriminator)
            terms = {
                "real": losses.gan_loss.real(real_logits),
                "fake": losses.gan_loss.fake(fake_logits, label),
                "r1": r1_penalty(real_logits, real),
            }
            loss = self.total("discriminator", terms)
        self.backward("discriminator", loss)
        self.update("discriminator", 1.0)
        freeze([self.generator], False)


class LGNetLoop(Loop):
    """LGNet: discriminator first; VGG runs once on the ground truth and once on each refined image."""

    def step(self, batch: Batch) -> None:
        """Train on one batch."""
        module, losses, discriminator = self.module, self.module.losses, self.module.discriminator
        stages = self.forward(batch)
        batch = module.in_loss_range(batch)
        image, mask, first = batch["image"], batch["mask"], stages[module.network.first]
        merged = {name: completed(pred, batch) for name, pred in stages.items()}
        with self.watch.stage("discriminator: losses"):
            fake = losses.gan_loss.fake(discriminator(merged[module.network.first].detach()))
            loss = self.total("discriminator", {"fake": fake, "real": losses.gan_loss.real(discriminator(image))})
        self.backward("discriminator", loss)
        self.update("discriminator")
        freeze([discriminator], True)
        with self.watch.stage("generator: losses"):
            terms = {"adversarial": losses.gan_loss.generator(discriminator(completed(first, batch)))}
            for name, pred in stages.items():
                terms[f"{name}_valid"] = losses.valid(pred, image, mask)
                terms[f"{name}_hole"] = losses.hole(pred, image, mask)
            target = losses.features(image)
            for name in module.network.stage_names[1:]:
                raw, whole = losses.features(stages[name]), losses.features(merged[name])
                terms[f"{name}_tv"] = losses.variation(merged[name], mask)
                terms[f"{name}_perceptual"] = losses.perceptual(raw, target) + losses.perceptual(whole, target)
                terms[f"{name}_style"] = losses.style(raw, target) + losses.style(whole, target)
            loss = self.total("generator", terms)
        self.backward("generator", loss)
        self.update("generator")
        freeze([discriminator], False)


class ISNetLoop(Loop):
    """ISNet: two VGG-19 with all their layers, four passes; the discriminator is not frozen in the generator's step."""

    def __init__(self, module: AdversarialModule, watch: Watch) -> None:
        super().__init__(module, watch)
        taps = ("relu5_4",)
        self.for_perceptual, self.for_style = (
            PlainVGGFeatures("vgg19", (*own, *taps), input_norm="zero_one", weights="random").to(
                next(module.network.parameters())
            )
            for own in (PERCEPTUAL_TAPS, STYLE_TAPS)
        )

    def step(self, batch: Batch) -> None:
        """Train on one batch."""
        module, losses, discriminator = self.module, self.module.losses, self.module.discriminator
        image, pred = batch["image"], self.forward(batch)["prediction"]
        with self.watch.stage("discriminator: losses"):
            real, real_maps = discriminator.forward_features(image)
            fake = discriminator(pred.detach())
            terms = {"real": losses.gan_loss.real(real), "fake": losses.gan_loss.fake(fake)}
            of_discriminator = self.total("discriminator", terms)
        with self.watch.stage("generator: losses"):
            logits, maps = discriminator.forward_features(pred)
            perceived, wanted = self.for_perceptual(pred), self.for_perceptual(image)
            styled, style = self.for_style(pred), self.for_style(image)
            terms = {
                "l1": losses.l1(pred, image, batch["mask"]),
                "adversarial": losses.gan_loss.generator(logits),
                "feature_matching": losses.matching(maps, real_maps),
                "perceptual": losses.perceptual(perceived, wanted),
                "style": losses.style(styled, style),
            }
            weights = {name: weight for name, weight in module.weights.items() if weight}
            loss = self.total("generator", {name: term for name, term in terms.items() if name in weights})
        self.backward("discriminator", of_discriminator)
        own, others = (list(part.parameters()) for part in (self.generator, discriminator))
        with self.watch.stage("generator: backward"):  # the gradients of the discriminator are discarded
            gradients = torch.autograd.grad(loss, own + others)
        for parameter, gradient in zip(own, gradients, strict=False):
            parameter.grad = gradient
        self.update("discriminator")
        self.update("generator")


class GRIGLoop(Loop):
    """GRIG: in each round both discriminators and the generator; LPIPS computes the features of both images again."""

    def step(self, batch: Batch) -> None:
        """Train on one batch."""
        module, losses = self.module, self.module.losses
        for number in range(module.plan.repeats):
            stages = self.forward(batch)
            seen, pred = module.in_loss_range(batch), stages["step_1"]
            for name in ("projected", "patch"):
                discriminator = getattr(module, name)
                with self.watch.stage(f"{name}: losses"):
                    terms = getattr(losses, name)(discriminator, pred.detach(), seen)
                    loss = self.total(name, terms)
                self.backward(name, loss)
                self.update(name)
            with self.watch.stage("generator: losses"):
                terms = losses.generator(module.projected, module.patch, pred, seen)
                terms |= losses.reconstruction(pred, seen, losses.lpips_features(seen["image"]))
                loss = self.total("generator", {name: term for name, term in terms.items() if module.weights[name]})
            self.backward("generator", loss)  # also of the discriminators, which are not frozen
            for name in ("projected", "patch"):
                self.optimizers[name].zero_grad()
            self.update("generator")
            if number < module.plan.repeats - 1:
                batch = module.carry(batch, {"step_1": pred.detach()})


LOOPS: dict[str, type[Loop]] = {"lama": LaMaLoop, "lgnet": LGNetLoop, "isnet": ISNetLoop, "grig": GRIGLoop}
