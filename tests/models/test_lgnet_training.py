"""Test LGNet's losses against recorded values, two training steps against the authors' values, configurations."""

import math

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch.utils.data import DataLoader

import inpaint_zoo as iz
from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import POOL_TAPS
from inpaint_zoo.models import LGNet
from inpaint_zoo.models.lgnet.loss import LGNetLoss
from tests.helpers.fill import losses_batch, read_vector, vector_image, vector_mask
from tests.helpers.recorded import official_lgnet, released_lgnet


def test_recorded_losses(filled_vgg16):
    expected = read_vector("lgnet_losses_64")["values_named"]
    target, pred, mask = losses_batch(64, 64, -1)
    batch = {"image": target, "mask": mask}
    norm = {"input_norm": "minus_one_one", "value_range": (-1, 1)}
    vgg = VGGFeatures("vgg16", POOL_TAPS, weights=filled_vgg16, **norm)
    terms = LGNetLoss(vgg).reconstruction({"local": pred}, batch, ("local",))
    assert terms.keys() == {f"local_{name}" for name in ("valid", "hole", "tv", "perceptual", "style")}
    for name, term in terms.items():
        assert term.item() == pytest.approx(expected[name.removeprefix("local_")], rel=1e-4), name


class Notes(Callback):
    """Note the values of each step.

    In the second step only the output layer has gradients, and none from VGG, which saves time: the authors' gradients
    are those of the first step, and the losses of the second step show its update.
    """

    def __init__(self):
        self.steps = []

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 1:
            module.network.requires_grad_(False)
            module.network.nets["global_net"].model15.requires_grad_(True)
            module.losses.features.register_forward_pre_hook(lambda _, args: tuple(x.detach() for x in args))

    def on_train_batch_end(self, trainer, module, *_):
        self.steps.append({name: value.item() for name, value in module.values.items()})


FIRST = {
    "discriminator/loss": 0.420029,
    "discriminator/fake": 0.009354,
    "discriminator/real": 0.830704,
    "discriminator/grad_norm": 3.78952,
    "generator/adversarial": 0.022644,
    "generator/loss": 18.05639,
    "generator/grad_norm": math.hypot(17.4585, 15.9847, 4.99684),
    "generator/coarse_valid": 0.820306,
    "generator/local_valid": 0.716532,
    "generator/global_valid": 0.823263,
    "generator/coarse_hole": 0.868433,
    "generator/local_hole": 0.759967,
    "generator/global_hole": 0.874117,
    "generator/local_tv": 0.186615,
    "generator/global_tv": 0.283094,
    "generator/local_style": 0.001026,
    "generator/global_style": 0.003767,
    "generator/local_perceptual": 0.428174,
    "generator/global_perceptual": 0.708338,
}
SECOND = {
    "discriminator/loss": 0.41980,
    "discriminator/fake": 0.81350,
    "discriminator/real": 0.026101,
    "discriminator/grad_norm": 7.220,
    "generator/adversarial": 0.48646,
    "generator/loss": 16.6538,
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
@pytest.mark.filterwarnings("ignore:You defined a `validation_step`.*")
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*")
def test_two_steps_give_the_authors_figures(filled_vgg16, tmp_path):
    """Losses and gradients equal those of the authors' code: one forward pass, discriminator first."""
    module = LGNet(vgg_weights=str(filled_vgg16), metrics=[])
    module.network.load_state_dict(iz.convert_official("lgnet", released_lgnet()))
    module.discriminator.load_state_dict(official_lgnet("disc"))
    image, mask = vector_image(256, 256), vector_mask(256, 256)
    images, masks = torch.cat([image, image.flip(3)]), torch.cat([mask, mask.roll(11, 3)])
    samples = [{"image": images[k], "mask": masks[k], "index": k, "name": str(k)} for k in range(2)]
    notes = Notes()
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        callbacks=[notes],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, DataLoader(samples, batch_size=2))
    assert trainer.global_step == 2
    assert len(trainer.optimizers) == 4
    for step, expected, tolerance in ((0, FIRST, 1e-3), (1, SECOND, 2e-3)):
        for name, value in expected.items():
            assert notes.steps[step][name] == pytest.approx(value, rel=tolerance), (step, name)
