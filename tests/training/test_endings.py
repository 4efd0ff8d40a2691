"""The last complete step of a run is saved however the run ends, and resuming from it equals an uninterrupted run."""

import pytest
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, Timer

from inpaint_zoo.training import NetworkEMA
from inpaint_zoo.training.resume import list_checkpoints
from tests.helpers.runs import assert_same, load, steps
from tests.helpers.toys import ImageData, Reconstruction, ToyGAN, build, fit

STEPS = 13  # of six batches an epoch
NEVER = 1000


class Fails(Callback):
    """Callback that raises an error in the given hook, after the given number of batches."""

    def __init__(self, hook, batch):
        def fail(trainer, module, *args):
            if not trainer.sanity_checking and module.batches == batch:
                raise RuntimeError("broken")

        setattr(self, hook, fail)


class Stops(Callback):
    """Callback that sets ``should_stop`` after the given number of batches, as a time limit does."""

    def __init__(self, batch):
        self.batch = batch

    def on_train_batch_end(self, trainer, pl_module, *args):
        trainer.should_stop = pl_module.batches >= self.batch


class FailsInLoss(ToyGAN):
    """Module that raises an error in the given call of a phase's loss."""

    fails = None

    def _count(self, phase):
        if self.fails is not None and (phase, self.log_of_calls.count(phase)) == self.fails:
            raise RuntimeError("broken")

    def generator_loss(self, batch, stages):
        terms = super().generator_loss(batch, stages)
        self._count("generator")
        return terms

    def critic_loss(self, batch, stages):
        terms = super().critic_loss(batch, stages)
        self._count("critic")
        return terms


class StopsInHook(Reconstruction):
    """Module that sets ``should_stop`` in its hook, which runs after those of all callbacks."""

    at = None

    def on_train_batch_end(self, *args):
        self.trainer.should_stop = self.step == self.at


def ema(**options):
    return NetworkEMA(decay=0.9, **options)


def train(folder, kind, options, callbacks=(), ckpt_path=None, **trainer_options):
    module = build(kind, **options)
    module.__dict__.update(trainer_options.pop("attributes", {}))
    trainer_options = {"every": NEVER, "max_steps": STEPS} | trainer_options
    fit(folder, module, ImageData(), ckpt_path, callbacks=callbacks, **trainer_options)
    return module


def assert_goes_on(tmp_path, step, kind, options, callbacks=list, lost=(), added=(), **trainer_options):
    """Check that the failed run saved ``step`` as its newest checkpoint and, once resumed, equals an uninterrupted run.

    Its metrics.csv may lack the rows ``lost`` and have additional rows ``added``, each a pair (step, whether the row is
    of a validation).
    """
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    newest = list_checkpoints(broken / "checkpoints")[0]
    assert newest.name == f"step_{step:08d}.ckpt"
    assert load(newest)["global_step"] == step
    assert (broken / "checkpoints" / "last.ckpt").resolve() == newest
    resumed = train(broken, kind, options, callbacks(), newest, **trainer_options)
    unbroken = train(whole, kind, options, callbacks(), **trainer_options)
    assert_same(resumed.state_dict(), unbroken.state_dict())
    ours, theirs = (load(list_checkpoints(folder / "checkpoints")[0]) for folder in (broken, whole))
    rows, expected = ((folder / "metrics.csv").read_text().splitlines()[1:] for folder in (broken, whole))
    assert [labelled(row) for row in expected if row not in rows] == list(lost)
    assert [labelled(row) for row in rows if row not in expected] == list(added)
    if lost or added:
        for checkpoint in (ours, theirs):
            del checkpoint["callbacks"]["MetricsLog"], checkpoint["callbacks"]["Checkpoints"]
            del checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
    assert_same(ours, theirs)


def labelled(row):
    return int(row.split(",")[0]), bool(row.split(",")[-1])


GAME = {"form": {"forward": "shared"}, "scheduler": steps}
EPOCHS = {"scheduler": steps, "interval": "epoch"}
FAILURES = {
    # kind, its options, its attributes, options of the trainer and the average, (hook that fails, after which batch),
    # last complete step, rows that metrics.csv lacks afterwards
    "first update's loss": (FailsInLoss, GAME, {"fails": ("critic", 9)}, {}, None, 8, ()),
    "generator's loss, discriminator updated": (FailsInLoss, GAME, {"fails": ("generator", 9)}, {}, None, 8, ()),
    "discriminator's loss, generator updated": (
        FailsInLoss,
        {"critic_first": False, "scheduler": steps},
        {"fails": ("critic", 9)},
        {"ema": {}},
        None,
        8,
        (),
    ),
    "first update of an optimizer": (FailsInLoss, {}, {"fails": ("generator", 2)}, {}, None, 1, ()),
    "mid-cycle": (
        FailsInLoss,
        {"form": {"batches_per_step": 3}},
        {"fails": ("critic", 14)},
        {"max_steps": 5, "check_val_every_n_epoch": None},
        None,
        4,
        (),
    ),
    "second round": (
        FailsInLoss,
        {"form": {"repeats": 3}},
        {"fails": ("critic", 8)},
        {"ema": {"each_update": True}, "max_steps": 4},
        None,
        2,
        (),
    ),
    "before the batch": (Reconstruction, {"scheduler": steps}, {}, {}, ("on_train_batch_start", 8), 8, ()),
    "in the step, one optimizer": (Reconstruction, {}, {}, {"ema": {}}, ("on_after_backward", 9), 8, ()),
    # the callback fails before the log has had its turn
    "after the step": (ToyGAN, GAME, {}, {"ema": {}}, ("on_train_batch_end", 9), 9, [(9, False)]),
    "validation": (ToyGAN, GAME, {}, {"ema": {}}, ("on_validation_batch_end", 6), 6, ()),
    "end of a validation": (ToyGAN, {}, {}, {"ema": {}}, ("on_validation_end", 6), 6, ()),
    "end of an epoch": (ToyGAN, EPOCHS, {}, {}, ("on_train_epoch_end", 6), 6, ()),
    "start of an epoch": (Reconstruction, EPOCHS, {}, {}, ("on_train_epoch_start", 6), 6, ()),
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_saves_the_last_complete_step(name, tmp_path):
    kind, options, attributes, trainer_options, hook, step, lost = FAILURES[name]
    trainer_options = dict(trainer_options)
    average = trainer_options.pop("ema", None)
    callbacks = [] if average is None else [ema(**average)]
    fails = [Fails(*hook)] if hook else []
    with pytest.raises(RuntimeError, match="broken") as caught:
        train(
            tmp_path / "broken",
            kind,
            options,
            [*callbacks, *fails],
            attributes=attributes,
            **trainer_options,
        )
    (note,) = caught.value.__notes__
    assert note == f"Saved after step {step}: {tmp_path / 'broken' / 'checkpoints'}/step_{step:08d}.ckpt"
    assert_goes_on(
        tmp_path,
        step,
        kind,
        options,
        callbacks=lambda: [] if average is None else [ema(**average)],
        lost=lost,
        **trainer_options,
    )


@pytest.mark.parametrize(
    ("kind", "options", "trainer_options", "batch", "step", "validates"),
    [
        (Reconstruction, {"scheduler": steps}, {}, 8, 8, True),
        (Reconstruction, EPOCHS, {"limit_val_batches": 0}, 8, 8, False),
        (Reconstruction, {}, {"val_check_interval": 2}, 8, 8, False),
        (ToyGAN, GAME, {}, 6, 6, False),
        (ToyGAN, EPOCHS, {}, 9, 9, True),
        (ToyGAN, {"form": {"batches_per_step": 3}}, {"max_steps": 5, "check_val_every_n_epoch": None}, 8, 2, False),
    ],
    ids=["by step", "no validation", "validation within the epoch", "end of an epoch", "by epoch", "mid-cycle"],
)
def test_a_stop_saves_the_last_complete_step(kind, options, trainer_options, batch, step, validates, tmp_path):
    """``should_stop`` is set after a batch, as `max_time` and early stopping do.

    Lightning then validates once more. The row of this validation stays, unless the stop was within a step.
    """
    train(tmp_path / "broken", kind, options, [ema(), Stops(batch)], **trainer_options)
    added = [(step, True)] if validates else []
    assert_goes_on(tmp_path, step, kind, options, callbacks=lambda: [ema()], added=added, **trainer_options)


def test_a_stop_that_only_the_module_knows_of(tmp_path):
    train(tmp_path / "broken", StopsInHook, {}, [ema()], attributes={"at": 8}, limit_val_batches=0)
    assert_goes_on(tmp_path, 8, StopsInHook, {}, callbacks=lambda: [ema()], limit_val_batches=0)


@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided.*")
@pytest.mark.parametrize("on_train_epoch_end", [True, False])
def test_early_stopping_saves_the_last_step(on_train_epoch_end, tmp_path):
    stopping = EarlyStopping(
        "val/psnr", min_delta=100, patience=0, mode="max", check_on_train_epoch_end=on_train_epoch_end
    )
    train(tmp_path / "broken", Reconstruction, {"scheduler": steps}, [stopping], max_steps=50)
    newest = list_checkpoints(tmp_path / "broken" / "checkpoints")[0]
    assert newest.name == "step_00000012.ckpt"
    resumed = train(tmp_path / "broken", Reconstruction, {"scheduler": steps}, [], newest)
    whole = train(tmp_path / "whole", Reconstruction, {"scheduler": steps})
    assert_same(resumed.state_dict(), whole.state_dict())
    metrics = [(tmp_path / name / "metrics.csv").read_bytes() for name in ("broken", "whole")]
    assert metrics[0] == metrics[1]


def test_a_time_limit_saves_the_last_step(tmp_path):
    module = train(tmp_path, Reconstruction, {}, [Timer({"milliseconds": 300})], max_steps=100_000, min_epochs=0)
    newest = list_checkpoints(tmp_path / "checkpoints")[0]
    assert load(newest)["batches"] == module.batches > 0
