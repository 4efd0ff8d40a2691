"""The LightningModule that every family's training builds on: one network, loss terms by name, validation metrics."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, Literal, Self, TypeVar, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable, ReduceLROnPlateau
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.losses import OnMissing, unless_missing
from inpaint_zoo.masks.draws import sample_key
from inpaint_zoo.metrics import ImageMetric, SetMetric, create_metric
from inpaint_zoo.ops import composite, to_uint8
from inpaint_zoo.registry import create_model
from inpaint_zoo.training.boundary import Undo
from inpaint_zoo.training.guard import LossGuard, NonFiniteLossError
from inpaint_zoo.training.hyperparameters import check_same_network, storable_arguments
from inpaint_zoo.training.lightning_options import check_settings, check_trainer
from inpaint_zoo.training.phases import Batch, Stages, Terms
from inpaint_zoo.training.resume import make_exact
from inpaint_zoo.weights import read_header

__all__ = ["InpaintingModule", "TrainingModule", "gradient_norm", "hole_fill_of", "is_logged", "without_padding"]

Built = TypeVar("Built")


def is_logged(trainer: Trainer, step: int) -> bool:
    """Whether `Trainer.log_every_n_steps` falls on this step."""
    every = int(trainer.log_every_n_steps)  # type: ignore[attr-defined]  # set by Lightning, but not declared
    return every > 0 and step % every == 0


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Euclidean norm of all gradients together."""
    return nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])


def _seed(stream: str, rank: int, number: int) -> int:
    seed = int(os.environ.get("PL_GLOBAL_SEED", "0"))
    return sample_key(seed, f"{stream}/{rank}", number) >> 1


def plateau_metric(scheduler: torch.optim.lr_scheduler.ReduceLROnPlateau) -> str:
    """Return the name of the validation metric that a schedule of Lightning's command line follows.

    Raises:
        ZooError: It is torch's own class, which does not know a metric by name.
    """
    if not isinstance(scheduler, ReduceLROnPlateau):
        raise ZooError(
            "ReduceLROnPlateau needs the name of a validation metric. Use Lightning's class: scheduler: {class_path: "
            "lightning.pytorch.cli.ReduceLROnPlateau, init_args: {monitor: val/psnr, mode: max, patience: 5}}."
        )
    return scheduler.monitor


def without_padding(batch: Batch) -> Batch | None:
    """The batch without the items that only even out the ranks (index -1); None if nothing is left."""
    keep = batch["index"] >= 0
    if bool(keep.all()):
        return batch
    if not bool(keep.any()):
        return None
    flags = keep.tolist()
    return {
        key: value[keep] if isinstance(value, Tensor) else [x for x, kept in zip(value, flags, strict=True) if kept]
        for key, value in batch.items()
    }


def hole_fill_of(batch: Batch) -> dict[str, Tensor]:
    """What the network finds in the hole, where the data's ``input_mode`` puts something there, as its argument."""
    return {"hole_fill": batch["hole_fill"]} if "hole_fill" in batch else {}


class TrainingModule(LightningModule):
    """What single-optimizer and adversarial training share. Families derive from the two classes below it.

    ``network`` is a plain network by its registry name. Batches are dicts ``image, mask, index, name``. Each training
    step draws the random numbers of networks (dropout, noise) from (seed, batches seen, rank), so that a resumed run
    draws what an unbroken one does. Losses draw theirs from `loss_generator`, sample by sample, so that they do not
    depend on the number of processes.

    `load_from_checkpoint` builds the module as it was: a checkpoint holds the network's name and options, and the
    arguments of the constructor that are plain values. Optimizers and schedules are functions, which a checkpoint
    cannot hold: give them to `load_from_checkpoint` to go on training. All trained weights come from the checkpoint, so
    files to start from (``start_arguments``) are not looked up again.

    Args:
        network: Registry name.
        network_options: Options of `create_model`. They override those of ``init_weights``.
        init_weights: Weight file to start from (or "shipped"); by default random weights.
        metrics: Names of validation metrics; see `list_metrics()`.
        on_missing: What to do when the pretrained network of a loss term is nowhere: refuse, or drop the term.
        compile: Backend of torch.compile for the network's `predict`, such as "inductor"; None runs it as it is.
        channels_last: Keep the network's weights in that memory format, which many processors convolve faster in.
        guard_every: On a GPU, losses are looked at for NaN after so many; on the CPU always.

    Attributes:
        network: The inpainting network.
        values: Latest loss terms and gradient norms by their log names, detached.
        results: Latest metrics by name, such as ``val/psnr``; those of a stage before the last as ``val/coarse/psnr``.
        batches: Training batches seen.
        loss_generator: For the random numbers of losses, on the CPU; seeded from (seed, batches seen), alike on all
            processes. See `ops.own_samples`.
        dropped: Loss terms left out for want of weights.
        undo: Takes the updates of an incomplete step back.
        evaluates_average: Whether the latest metrics are those of the EMA; None where there is none.
        start_arguments: Arguments of the constructor that name weight files to start from. A family adds its own.
        starts_trained: Whether the network's weights come from a weight file or a checkpoint.
    """

    start_arguments: ClassVar[frozenset[str]] = frozenset({"init_weights"})

    def __init__(
        self,
        network: str,
        network_options: dict[str, Any] | None = None,
        init_weights: str | None = None,
        metrics: Sequence[str] = ("psnr", "ssim", "l1"),
        on_missing: OnMissing = "refuse",
        compile: str | None = None,  # noqa: A002 the word that torch uses
        channels_last: bool = False,
        guard_every: int = 50,
    ) -> None:
        super().__init__()
        self.network = create_model(network, weights=init_weights, **(network_options or {})).train()
        if channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        self.starts_trained = init_weights is not None
        stored, self._not_stored = storable_arguments(self, self.network, self.start_arguments)
        self._not_restored: list[str] = []  # arguments that the checkpoint it was loaded from could not hold
        self.save_hyperparameters(stored, logger=False)
        self.metric_names = tuple(metrics)
        self.on_missing = on_missing
        self.compile_backend = compile
        self.guard = LossGuard(guard_every)
        self.values: dict[str, Tensor] = {}
        self.results: dict[str, float] = {}
        self.batches = 0
        self.loss_generator = torch.Generator()
        self.undo = Undo()
        self.evaluates_average: bool | None = None
        self.dropped: set[str] = set()
        # "psnr" of the result, "coarse/psnr" of an earlier stage's composite
        self._metrics: dict[str, ImageMetric | SetMetric] = {}

    # What a family may declare

    def build_losses(self) -> None:
        """Build what the losses look through, by `unless_missing`; called before training, not when only evaluating."""

    def predict_stages(self, batch: Batch) -> Stages:
        """Raw predictions by stage name, in [0, 1], for the losses."""
        return self.network.stages(batch["image"], batch["mask"], **hole_fill_of(batch))

    def unless_missing(self, build: Callable[[], Built], *terms: str) -> Built | None:
        """What ``build`` gives, or None where its weights are nowhere and the config drops the terms that need it.

        Raises:
            WeightsNotFoundError: They are nowhere, and ``on_missing`` is "refuse".
        """
        built = unless_missing(build, self.on_missing, " and ".join(terms))
        if built is None:
            self.dropped.update(terms)
        return built

    # Steps

    @property
    def step(self) -> int:
        """Generator updates done: what schedules, EMA, logging, checkpoints and stopping follow."""
        return int(self.trainer.global_step)

    @property
    def logs_next_step(self) -> bool:
        """Whether the step in progress is one of those that are logged."""
        return is_logged(self.trainer, self.step + 1)

    @property
    def optimizer_names(self) -> list[str]:
        """Names for the logs, in the order of the trainer's optimizers."""
        raise NotImplementedError

    @property
    def batches_per_step(self) -> int:
        """Batches from one step to the next."""
        raise NotImplementedError

    @property
    def trained_modules(self) -> dict[str, nn.Module]:
        """What is trained, by attribute name: for counts of parameters."""
        return {"network": self.network}

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """All weighted losses of one batch by name, with their graphs and without any update: for the dry run."""
        raise NotImplementedError

    def seed_batch(self, stream: str, number: int) -> None:
        """Make the random numbers of a batch a pure function of (seed, its number, rank), losses' without the rank."""
        torch.manual_seed(_seed(stream, self.global_rank, number))
        self.loss_generator = self.common_generator(f"{stream}/losses", number)

    def common_generator(self, stream: str, number: int) -> torch.Generator:
        """Return a generator of the CPU that all processes seed alike, as `seed_batch` seeds the first process."""
        return torch.Generator().manual_seed(_seed(stream, 0, number))

    def weighted_sum(self, phase: str, terms: Terms, weights: Mapping[str, float], batch: Batch) -> Tensor:
        """Sum the weighted terms, report each one by name, and stop if one is not finite.

        Raises:
            ZooError: No term carries weight.
            NonFiniteLossError: A term is NaN or infinite.
        """
        kept = [(terms[name], weights.get(name, 1.0)) for name in terms if name not in self.dropped]
        parts = [term * weight for term, weight in kept if weight != 0]
        if not parts:
            raise ZooError(
                f"No loss term of '{phase}' carries weight: {sorted(terms)}, dropped {sorted(self.dropped)}."
            )
        total = torch.stack([part.float() for part in parts]).sum()
        named = {f"{phase}/{name}": term.detach() for name, term in terms.items()} | {f"{phase}/loss": total.detach()}
        self.values.update(named)
        try:
            self.guard.add(self.step, named, [str(name) for name in batch["name"]])
        except NonFiniteLossError as error:
            raise self.explain(error) from None
        return total

    def explain(self, error: NonFiniteLossError) -> NonFiniteLossError:
        """Add the last good checkpoint to the message."""
        paths = [getattr(callback, "newest_path", None) for callback in self.trainer.checkpoint_callbacks]
        good = next((path for path in paths if path), None)
        where = f"The last good checkpoint is {good}." if good else "No checkpoint was written yet."
        error.args = (f"{error} {where}",)
        return error

    # Lightning's hooks

    def check_trainer(self, trainer: Trainer) -> None:
        """Refuse a Trainer that cannot fit this module; the command line asks before it starts other processes.

        Raises:
            ZooError: An option or a callback of the Trainer is not supported; see `training.lightning_options`.
        """
        settings = {"precision": trainer.precision, "overfit_batches": trainer.overfit_batches}  # type: ignore[attr-defined]
        check_settings(settings)
        check_trainer(trainer, self)

    def setup(self, stage: str) -> None:
        """Refuse what cannot work before the first step, and build the losses.

        Raises:
            WeightsNotFoundError: A loss needs a pretrained network that is nowhere, and ``on_missing`` is "refuse".
            ZooError: See `check_trainer`.
        """
        if stage == "fit":
            self.check_trainer(self.trainer)
            if self._not_restored:
                names = ", ".join(self._not_restored)
                rank_zero_warn(
                    f"{type(self).__name__} was loaded from a checkpoint that was trained with another {names}. "
                    "Checkpoints cannot hold functions, so the training takes the defaults. To choose others, call "
                    f"load_from_checkpoint(path, {self._not_restored[0]}=...)."
                )
            self.build_losses()
        if self.compile_backend:
            # the bound method, so that the state dict keeps its names; set past nn.Module's typing
            object.__setattr__(
                self.network, "predict", torch.compile(self.network.predict, backend=self.compile_backend)
            )

    def on_validation_epoch_start(self) -> None:
        """Make the metrics ready."""
        self._reset_metrics()

    def on_test_epoch_start(self) -> None:
        """Make the metrics ready."""
        self._reset_metrics()

    def _reset_metrics(self) -> None:
        for name in self.metric_names:
            self._metric(name)
        for metric in self._metrics.values():
            metric.to(self.device).reset()

    def complete(self, batch: Batch) -> dict[str, Tensor]:
        """Finished inpaintings (B, 3, H, W) in [0, 1], not rounded to 8 bits, the result first.

        Those of stages before the last go by the stage's name and a slash, the result by nothing.
        """
        image, mask = batch["image"], batch["mask"]
        stages = self.network.stages(image, mask, **hole_fill_of(batch))
        *earlier, last = stages
        return {
            prefix: composite(stages[name].clamp(0, 1), image, mask)
            for prefix, name in {"": last, **{f"{name}/": name for name in earlier}}.items()
        }

    def _metric(self, key: str) -> ImageMetric | SetMetric:
        if key not in self._metrics:
            self._metrics[key] = create_metric(key.rpartition("/")[2]).to(self.device)
        return self._metrics[key]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Score one batch."""
        self._score(batch, batch_idx, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Score one batch."""
        self._score(batch, batch_idx, "test")

    def _score(self, batch: Batch, batch_idx: int, stage: str) -> None:
        self.seed_batch(stage, batch_idx)
        completed = self.complete(batch)
        metrics = {
            prefix + name: self._metric(prefix + name)  # on every rank alike, even where nothing but padding comes
            for prefix in completed
            for name in self.metric_names
            if not prefix or isinstance(self._metric(name), ImageMetric)
        }
        kept = without_padding({**batch, **completed})
        if kept is None:
            return
        forms: dict[str, dict[str, Tensor]] = {
            prefix: {"unrounded": kept[prefix], "8-bit": to_uint8(kept[prefix]).float() / 255} for prefix in completed
        }
        for key, metric in metrics.items():
            metric.update(forms[key[: key.rfind("/") + 1]][metric.result], kept["image"], kept["mask"])

    def on_validation_epoch_end(self) -> None:
        """Compute the metrics over all ranks."""
        self._report("val")

    def on_test_epoch_end(self) -> None:
        """Compute the metrics over all ranks."""
        self._report("test")

    def _report(self, stage: str) -> None:
        in_order = sorted(self._metrics, key=lambda name: "/" not in name)  # earlier stages, then the result
        self.results = {f"{stage}/{name}": float(self._metrics[name].compute()) for name in in_order}
        if self.evaluates_average is not None:
            self.results[f"{stage}/ema"] = float(self.evaluates_average)
        # for monitors; the rows of the logs are written by MetricsLog
        self.log_dict(self.results, logger=False, sync_dist=True)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The finished inpainting (B, 3, H, W), float in [0, 1]."""
        self.seed_batch("predict", batch_idx)
        return self.network(batch["image"], batch["mask"], **hole_fill_of(batch))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what an exact resume needs beyond Lightning's own state, and the names of arguments that are not held."""
        checkpoint["batches"] = self.batches
        checkpoint["arguments_not_stored"] = list(self._not_stored)
        if not self.undo.taken_back:  # else the counters are corrected already
            make_exact(self.trainer, checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the count of batches.

        Raises:
            ZooError: The checkpoint holds another network than this module builds, or one with another option that
                ``network_options`` do not state.
        """
        check_same_network(self.network, checkpoint.get("hyper_parameters", {}))
        self.batches = int(checkpoint.get("batches", 0))
        self.evaluates_average = True if "averaging_state" in checkpoint else None
        self.starts_trained = True
        self._not_restored = [n for n in checkpoint.get("arguments_not_stored", []) if n not in self._not_stored]

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # a plain classmethod, where Lightning has a descriptor
        cls,
        checkpoint_path: str | Path | IO[Any],
        map_location: Any = None,  # noqa: ANN401 - whatever torch.load takes
        hparams_file: str | Path | None = None,
        strict: bool | None = None,
        weights_only: bool = True,
        **arguments: Any,
    ) -> Self:
        """As Lightning's, but code in the file is refused by default, wherever the file comes from.

        Args:
            checkpoint_path: A checkpoint of a training of this class.
            map_location: As `torch.load`.
            hparams_file: As Lightning's.
            strict: As Lightning's.
            weights_only: As `torch.load`.
            arguments: Arguments of the constructor, such as optimizers; they override those of the checkpoint, and
                ``network_options`` those of its options that they name.
        """
        given = arguments.get("network_options")
        if given and isinstance(checkpoint_path, str | Path) and Path(checkpoint_path).is_file():
            arguments["network_options"] = {**read_header(checkpoint_path).options, **given}
        return super().load_from_checkpoint(
            checkpoint_path, map_location, hparams_file, strict, weights_only, **arguments
        )


class InpaintingModule(TrainingModule):
    """Training with one optimizer and Lightning's automatic optimisation. A family implements `loss`.

    Args:
        network: Registry name.
        optimizer: Built over the network's parameters.
        scheduler: Learning-rate schedule.
        interval: What the schedule counts.
        weights: Factor of each loss term; 1 where absent.
        base: Arguments of `TrainingModule`.
    """

    def __init__(
        self,
        network: str,
        optimizer: OptimizerCallable = torch.optim.Adam,
        scheduler: LRSchedulerCallable | None = None,
        interval: Literal["step", "epoch"] = "step",
        weights: dict[str, float] | None = None,
        **base: Any,
    ) -> None:
        super().__init__(network, **base)
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.interval = interval
        self.weights = dict(weights or {})

    def loss(self, batch: Batch, stages: Stages) -> Terms:
        """Unweighted terms by name, each a scalar."""
        raise NotImplementedError

    @property
    def optimizer_names(self) -> list[str]:
        """The one optimizer."""
        return ["train"]

    @property
    def batches_per_step(self) -> int:
        """Batches of one accumulation."""
        return int(self.trainer.accumulate_grad_batches)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted sum, as ``train``."""
        return {"train": self.weighted_sum("train", self.loss(batch, self.predict_stages(batch)), self.weights, batch)}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One forward pass; Lightning does the rest."""
        self.seed_batch("train", self.batches)
        self.batches += 1
        return self.loss_terms(batch)["train"]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Note the norm of the gradient, before it is clipped."""
        if self.logs_next_step:
            self.values["train/grad_norm"] = gradient_norm(self.network.parameters())
        self.undo.impossible = True  # until the step is complete

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return one optimizer over the trainable parameters of the network, and its schedule.

        Raises:
            ZooError: The schedule is a `ReduceLROnPlateau` that names no metric.
        """
        parameters: Iterable[nn.Parameter] = (p for p in self.network.parameters() if p.requires_grad)
        optimizer = self.optimizer(parameters)
        if self.scheduler is None:
            return optimizer
        scheduler = self.scheduler(optimizer)
        config: dict[str, Any] = {"scheduler": scheduler, "interval": self.interval}
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            config |= {"interval": "epoch", "monitor": plateau_metric(scheduler), "reduce_on_plateau": True}
        return {"optimizer": optimizer, "lr_scheduler": cast(Any, config)}
