"""Common behavior of all training modules: learning, logging, metrics, and stopping at losses that are not finite."""

import csv
import math
import re

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from inpaint_zoo.data import InpaintingDataModule
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import read_image
from inpaint_zoo.layers.features import VGGFeatures
from inpaint_zoo.losses import MissingWeightsWarning
from inpaint_zoo.metrics import create_stand_in
from inpaint_zoo.models.autoencoder.module import Autoencoder
from inpaint_zoo.ops import composite, diff_augment, from_range, to_range
from inpaint_zoo.training import CSVLog, ImageGrid, LossGuard, NetworkEMA, NonFiniteLossError, ProgressLines
from inpaint_zoo.training.logs import seconds_left
from inpaint_zoo.training.scoring import without_padding
from inpaint_zoo.training.time_limit import TimeLimit
from inpaint_zoo.weights import WeightsNotFoundError, load_state
from tests.helpers.toys import ImageData, Reconstruction, ToyGAN, build, fit, make_trainer


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* images are .* images too")  # by heart
def test_autoencoder_learns_a_few_images(tmp_path):
    """The PSNR on five images with a central hole rises from 20 dB (after 20 steps) to more than 25 dB."""
    images = {"name": "sample", "split": "train", "size": 32, "crop": "center", "keep_mib": 64}
    data = InpaintingDataModule(
        train=images,
        val=images,
        masks={"name": "center", "size": 16},
        batch_size=5,
        workers=0,
        augment=[],
        epoch_samples=100,
    )
    module = build(Autoencoder, network="autoencoder_tiny", optimizer=lambda p: torch.optim.Adam(p, lr=1e-3))
    fit(tmp_path, module, data, max_steps=100, every=1000, log_every_n_steps=20)
    rows = [line.split(",") for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    scores = [float(row[-1]) for row in rows[1:] if row[-1]]
    assert scores[0] < 21
    assert scores[-1] > 25


def test_toy_learns(tmp_path):
    module = build(Reconstruction)
    fit(tmp_path, module, ImageData(batches=20), max_steps=80, every=100, val_check_interval=20)
    rows = [line.split(",") for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    scores = [float(row[-1]) for row in rows[1:] if row[-1]]
    assert len(scores) == 4
    assert scores[0] + 3 < scores[-1]


class Breaks(Reconstruction):
    """Module whose loss is not finite in one step."""

    def __init__(self, value=math.nan, at=3, **base):
        super().__init__(**base)
        self.value, self.at = value, at

    def loss(self, batch, stages):
        terms = super().loss(batch, stages)
        return terms | {"fine": terms["fine"] * self.value} if self.step == self.at else terms


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run(value, tmp_path):
    module = build(Breaks, value=value)
    with pytest.raises(NonFiniteLossError, match=rf"train/fine = {value}.*item\d, item\d") as caught:
        fit(tmp_path, module, max_steps=8)
    assert "after step 3" in str(caught.value)
    assert str(tmp_path / "checkpoints" / "step_00000002.ckpt") in str(caught.value)
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 4


def test_on_a_gpu_losses_are_looked_at_together_and_before_each_checkpoint():
    guard = LossGuard(every=3)
    on_device = torch.empty(2, device="meta")[0]  # any device but the CPU
    guard.add(0, {"a": on_device}, ["x"])
    assert len(guard.records) == 1
    guard.records[:] = [record._replace(terms={"a": torch.tensor(math.nan)}) for record in guard.records]
    with pytest.raises(NonFiniteLossError, match=r"after step 0: a = nan\. Images of the batch: x"):
        guard.check()
    guard.check()  # what was seen is forgotten


class Perceptual(Reconstruction):
    """Module whose loss needs VGG."""

    vgg_weights = None

    def build_losses(self):
        self.vgg = self.unless_missing(
            lambda: VGGFeatures("vgg16", ("pool1",), input_norm="zero_one", weights=self.vgg_weights), "perceptual"
        )

    def loss(self, batch, stages):
        terms = super().loss(batch, stages)
        if self.vgg is None:
            return terms
        pred, target = self.vgg.each(stages["fine"], batch["image"])
        return terms | {"perceptual": (pred["pool1"] - target["pool1"]).abs().mean()}


@pytest.fixture
def no_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path / "empty"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))


@pytest.mark.usefixtures("no_weights")
def test_missing_loss_weights_are_refused_before_the_first_step(tmp_path):
    module = build(Perceptual)
    with pytest.raises(WeightsNotFoundError, match="vgg16"):
        fit(tmp_path / "run", module)
    assert module.batches == 0
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.usefixtures("no_weights")
def test_metrics_whose_weights_are_missing_are_found_before_the_first_step(tmp_path):
    module = Reconstruction(metrics=["psnr", "lpips_alex"])
    with pytest.raises(WeightsNotFoundError, match="alexnet"):
        fit(tmp_path / "refused", module, max_steps=1)
    assert module.batches == 0
    module = Reconstruction(metrics=["psnr", "lpips_alex"], on_missing="drop")
    with pytest.warns(MissingWeightsWarning, match="Without the metric lpips_alex"):
        fit(tmp_path / "dropped", module, max_steps=6)
    assert set(module.results) == {"val/psnr", "val/coarse/psnr"}


@pytest.mark.usefixtures("no_weights")
def test_missing_loss_weights_can_be_dropped(tmp_path):
    module = build(Perceptual, on_missing="drop")
    with pytest.warns(MissingWeightsWarning, match="perceptual"):
        fit(tmp_path / "run", module, max_steps=1, limit_val_batches=0)
    assert module.dropped == {"perceptual"}


def test_frozen_networks_stay_out_of_checkpoints_and_averages(tmp_path):
    module = build(Perceptual)
    module.vgg_weights = "random"
    fit(tmp_path, module, callbacks=[NetworkEMA()], max_steps=2, limit_val_batches=0)
    saved = torch.load(tmp_path / "checkpoints" / "step_00000002.ckpt", weights_only=True)
    assert {key.split(".")[0] for key in saved["state_dict"]} == {"network"}
    assert float(module.values["train/perceptual"]) > 0


def test_weight_zero_takes_no_gradient_but_is_logged(tmp_path):
    module = build(Reconstruction)
    module.weights = {"coarse": 0.0}
    fit(tmp_path, module, max_steps=1, limit_val_batches=0)
    assert float(module.values["train/coarse"]) > 0
    assert float(module.values["train/loss"]) == float(module.values["train/fine"])
    module.weights = {"coarse": 0.0, "fine": 0.0}
    with pytest.raises(ZooError, match="'train' has no loss term with a weight other than 0"):
        fit(tmp_path / "none", module, max_steps=1, limit_val_batches=0)


def test_padding_of_ranks_is_not_scored():
    batch = {"image": torch.rand(3, 3, 16, 16), "index": torch.tensor([4, -1, 5]), "name": ["a", "", "b"]}
    kept = without_padding(batch)
    assert kept["name"] == ["a", "b"]
    assert torch.equal(kept["image"], batch["image"][[0, 2]])
    assert without_padding({**batch, "index": torch.full((3,), -1)}) is None


def test_every_stage_is_scored_as_its_own_composite(tmp_path):
    module = build(Reconstruction)
    data = ImageData()
    fit(tmp_path, module, data, max_steps=6)
    network = module.network.eval()
    for prefix, stage in (("val/", "fine"), ("val/coarse/", "coarse")):
        scores = []
        for batch in data.val_dataloader():
            with torch.no_grad():
                raw = network.stages(batch["image"], batch["mask"])[stage]
            levels = (composite(raw.clamp(0, 1), batch["image"], batch["mask"]) * 255).round()
            scores += (-10 * ((levels / 255 - batch["image"]) ** 2).mean((1, 2, 3)).log10()).tolist()
        assert module.results[f"{prefix}psnr"] == pytest.approx(sum(scores) / len(scores), abs=1e-4)
    assert set(module.results) == {"val/psnr", "val/coarse/psnr"}


def test_metrics_of_unrounded_results_are_not_given_rounded_ones(tmp_path):
    """`psnr_lgnet` truncates to bytes, so its value would be different for results that were rounded before."""
    module = build(Reconstruction)
    module.metric_names = ("psnr", "psnr_lgnet", "mae_isnet", "l1")
    data = ImageData()
    fit(tmp_path, module, data, max_steps=6)
    network = module.network.eval()
    expected = {"psnr": [], "psnr_lgnet": [], "mae_isnet": [], "l1": [], "rounded, then truncated": []}
    for batch in data.val_dataloader():
        target = batch["image"]
        with torch.no_grad():
            result = network(target, batch["mask"])
        rounded = (result * 255).round() / 255

        def psnr(x, y):
            return (-10 * ((x.double() - y.double()) ** 2).mean((1, 2, 3)).log10()).tolist()

        floors = {name: (image * 255).floor() / 255 for name, image in (("truth", target), ("result", result))}
        expected["psnr"] += psnr(rounded, target)
        expected["psnr_lgnet"] += psnr(floors["result"], floors["truth"])
        expected["rounded, then truncated"] += psnr(rounded, floors["truth"])
        expected["mae_isnet"] += (result - target).abs().double().mean((1, 2, 3)).tolist()
        expected["l1"] += (rounded - target).abs().double().mean((1, 2, 3)).tolist()
    wrong = sum(expected.pop("rounded, then truncated"))
    means = {f"val/{name}": sum(values) / len(values) for name, values in expected.items()}
    assert {name: module.results[name] for name in means} == pytest.approx(means, rel=1e-6)
    assert abs(wrong - sum(expected["psnr_lgnet"])) > 1e-3
    assert abs(means["val/mae_isnet"] - means["val/l1"]) > 1e-6


def test_lpips_and_fid_are_curves_over_the_validations(tmp_path, monkeypatch):
    monkeypatch.setattr("inpaint_zoo.training.scoring.create_metric", create_stand_in)  # small random backbones
    module = build(Reconstruction)
    module.metric_names = ("psnr", "lpips_vgg", "fid")
    data = ImageData()
    fit(tmp_path, module, data, max_steps=6, val_check_interval=3)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    curve = {int(row["step"]): float(row["val/fid"]) for row in rows if row["val/fid"]}
    assert curve.keys() == {3, 6}
    assert curve[3] != curve[6]
    metrics = {name: create_stand_in(name) for name in ("lpips_vgg", "fid")}
    for batch in data.val_dataloader():
        with torch.no_grad():
            result = module.network.eval()(batch["image"], batch["mask"])
        for metric in metrics.values():
            metric.update((result * 255).round() / 255, batch["image"], batch["mask"])
    expected = {f"val/{name}": float(metric.compute()) for name, metric in metrics.items()}
    assert {name: module.results[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    assert set(module.results) == {*expected, "val/psnr", "val/coarse/psnr", "val/coarse/lpips_vgg"}


def test_channels_last_trains_the_same(tmp_path):
    modules = [build(Reconstruction, channels_last=last, network_options={"plain": True}) for last in (False, True)]
    for name, module in zip(("plain", "last"), modules, strict=True):
        fit(tmp_path / name, module, max_steps=2, limit_val_batches=0)
    plain, last = (dict(module.network.named_parameters()) for module in modules)
    assert last["encode.0.weight"].is_contiguous(memory_format=torch.channels_last)
    for name, value in plain.items():
        assert torch.allclose(value, last[name], atol=1e-5), name


def test_images_of_the_same_samples_at_each_validation(tmp_path):
    module = build(Reconstruction)
    fit(tmp_path, module, callbacks=[ImageGrid(count=3)], max_steps=6, val_check_interval=3)
    images = sorted((tmp_path / "images").iterdir())
    assert [path.name for path in images] == ["step_00000003.png", "step_00000006.png"]
    first, second = (read_image(path).rgb for path in images)
    assert first.shape == (3 * 32, 5 * 32, 3)  # masked, coarse, fine, result, truth
    assert np.array_equal(first[:, :32], second[:, :32])
    assert np.array_equal(first[:, -32:], second[:, -32:])
    assert not np.array_equal(first[:, 64:96], second[:, 64:96])
    known = (first[:, :32] == first[:, -32:]).all(-1)
    assert np.array_equal(first[:, 96:128][known], first[:, -32:][known])


def test_checkpoints_load_without_code_and_as_weights(tmp_path):
    module = build(ToyGAN, penalty=True)
    fit(tmp_path, module, callbacks=[NetworkEMA()], max_steps=4)
    for path in (tmp_path / "checkpoints").glob("*.ckpt"):
        saved = torch.load(path, weights_only=True)
        stored = saved["hyper_parameters"]
        assert (stored["network"], stored["network_options"], stored["penalty"]) == ("painter", {}, True)
        module.network.load_state_dict(load_state(path))
    assert (tmp_path / "checkpoints" / "last.ckpt").resolve().name == "step_00000004.ckpt"


def test_best_is_by_the_metric_that_was_asked_for(tmp_path):
    module = build(Reconstruction)
    trainer = fit(tmp_path, module, ImageData(batches=2), max_steps=12)
    rows = [line.split(",") for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    scores = {int(row[0]): float(row[-1]) for row in rows[1:] if row[-1]}
    checkpoints = trainer.checkpoint_callbacks[0]
    assert checkpoints.best_value == max(scores.values())
    assert scores[checkpoints.best_step] == checkpoints.best_value
    saved = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    assert saved["global_step"] == checkpoints.best_step
    log = (tmp_path / "metrics.csv").read_bytes()
    trainer.validate(module, ImageData(), ckpt_path="best", weights_only=True, verbose=False)
    assert module.results["val/psnr"] == pytest.approx(checkpoints.best_value)
    assert module.trained_steps == checkpoints.best_step
    assert (tmp_path / "metrics.csv").read_bytes() == log


def test_csv_log_keeps_rows_and_columns_in_order(tmp_path):
    log = CSVLog(tmp_path)
    log.begin(0)
    log.log_metrics({"a": 0.1}, 1)
    log.log_metrics({"a": 1 / 3, "b": math.nan, "speed/x": 2.0}, 2)
    log.log_metrics({"c": 3.0}, 3)
    assert (tmp_path / "metrics.csv").read_text() == ("step,a,b,c\n1,0.1,,\n2,0.3333333333333333,nan,\n3,,,3.0\n")
    assert (tmp_path / "speed.csv").read_text() == "step,speed/x\n2,2.0\n"
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("4,0.5")  # killed within a line
    again = CSVLog(tmp_path)
    again.begin(2)
    assert (tmp_path / "metrics.csv").read_text() == "step,a,b\n1,0.1,\n2,0.3333333333333333,nan\n"
    again.log_metrics({"c": 3.0}, 3)
    assert (tmp_path / "metrics.csv").read_text().endswith("step,a,b,c\n1,0.1,,\n2,0.3333333333333333,nan,\n3,,,3.0\n")
    with pytest.warns(UserWarning, match="holds 3 rows, but 9 rows were logged"):
        CSVLog(tmp_path).begin(9)
    rank_zero_only.rank = 0


def test_speed_and_memory_are_logged_apart(tmp_path, capsys):
    module = build(Reconstruction)
    trainer = fit(tmp_path, module, callbacks=[ProgressLines()], max_steps=2, limit_val_batches=0)
    first, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"step 1/2: train/loss [\d.]+, [\d.]+ it/s, 0:\d\d:\d\d left", first)
    assert last.endswith(" it/s, 0:00:00 left")
    assert trainer.callback_metrics["train/loss"] == trainer.progress_bar_metrics["train/loss"]
    assert trainer.callback_metrics["train/loss"] == module.values["train/loss"]
    header, *rows = (tmp_path / "speed.csv").read_text().splitlines()
    assert header == "step,speed/steps_per_s,speed/images_per_s,speed/memory_gib"
    assert all(float(value) > 0 for row in rows for value in row.split(","))


def test_tensorboard_gets_numbers_and_images(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(tmp_path / "tb")
    module = build(Reconstruction)
    trainer = make_trainer(tmp_path, [ImageGrid()], max_steps=6)
    trainer.loggers = [*trainer.loggers, logger]
    trainer.fit(module, datamodule=ImageData())
    events = EventAccumulator(logger.log_dir)
    events.Reload()
    assert "train/loss" in events.Tags()["scalars"]
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]
    assert events.Tags()["images"] == ["samples"]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning")
def test_compiled_training_keeps_the_names_of_the_weights(tmp_path):
    module = build(Reconstruction, compile="aot_eager")
    names = list(module.state_dict())
    fit(tmp_path, module, max_steps=2, limit_val_batches=0)
    assert list(module.state_dict()) == names


class Shown(Reconstruction):
    """Module that keeps the ground truth that its losses get."""

    def __init__(self, **base):
        super().__init__(**base)
        self.shown = []

    def loss(self, batch, stages):
        self.shown.append(batch["image"])
        return super().loss(batch, stages)


def test_diff_augment_changes_the_ground_truth_of_any_family(tmp_path):
    """Each batch has its own random numbers, as `diff_augment` draws them for the position of the batch."""
    plain, changed = build(Shown), build(Shown, augment=["color"])
    for name, module in (("plain", plain), ("changed", changed)):
        fit(tmp_path / name, module, max_steps=2, limit_val_batches=0)
    for number, image in enumerate(plain.shown):
        generator = changed.common_generator("augment", number)
        (expected,) = diff_augment([to_range(image, -1, 1)], ["color"], generator=generator)
        assert torch.equal(changed.shown[number], from_range(expected, -1, 1))
    with pytest.raises(ZooError, match="Unknown `augment`: 'colour'"):
        build(Shown, augment=["colour"])


@pytest.mark.parametrize(("precision", "dtype"), [("32-true", torch.float32), ("64-true", torch.float64)])
def test_the_average_has_the_precision_of_the_weights(precision, dtype, tmp_path):
    average = NetworkEMA(decay=0.5)
    fit(tmp_path, build(Reconstruction), callbacks=[average], precision=precision, max_steps=2, limit_val_batches=0)
    assert {tensor.dtype for tensor in average.average.module.parameters()} == {dtype}


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"compile": "inducktor"}, "Unknown backend of torch.compile: 'inducktor'. Did you mean 'inductor'"),
        ({"guard_every": 0}, "`guard_every` must be at least 1, got 0"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_when_the_module_is_built(argument, message):
    with pytest.raises(ZooError, match=re.escape(message)):
        build(Reconstruction, **argument)


def test_the_time_that_is_left_ends_with_the_time_limit(tmp_path):
    assert seconds_left(make_trainer(tmp_path), None) is None
    assert seconds_left(make_trainer(tmp_path), 90.0) == 90.0
    limited = make_trainer(tmp_path, callbacks=[TimeLimit("00:00:01:00")])
    assert [seconds_left(limited, by_steps) for by_steps in (None, 90.0, 30.0)] == [60.0, 60.0, 30.0]
