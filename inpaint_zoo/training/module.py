"""Base LightningModule of all families: it holds the network and combines loss terms."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, Self, TypeVar

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.layers import init_scaled
from inpaint_zoo.losses import OnMissing, unless_missing
from inpaint_zoo.ops import (
    AugmentStep,
    check_augment_steps,
    diff_augment,
    from_range,
    to_range,
)
from inpaint_zoo.ops.precision import full_precision
from inpaint_zoo.random import sample_key
from inpaint_zoo.registry import create_model
from inpaint_zoo.training.guard import LossGuard, NonFiniteLossError
from inpaint_zoo.training.hyperparameters import check_same_network, storable_arguments
from inpaint_zoo.training.lightning_options import check_settings, check_trainer
from inpaint_zoo.training.logs import MetricsLog, is_logged
from inpaint_zoo.training.phases import Batch, Stages, Terms
from inpaint_zoo.training.resume import make_exact
from inpaint_zoo.training.scoring import ScoredModule, hole_fill_of
from inpaint_zoo.training.sync_norms import replace_norm_sync
from inpaint_zoo.training.undo import Undo
from inpaint_zoo.weights import match_state, read_header

__all__ = ["TrainingModule", "gradient_norm"]

Built = TypeVar("Built")
SMALL_OUTPUT = 0.1  # scale of output layers of differences: the first predictions are close to the pre-filled image


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Return the Euclidean norm of all gradients together, as a scalar tensor."""
    return nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])


def _seed(stream: str, rank: int, number: int) -> int:
    seed = int(os.environ.get("PL_GLOBAL_SEED", "0"))
    return sample_key(seed, f"{stream}/{rank}", number) >> 1


class TrainingModule(ScoredModule):
    """Base class of `InpaintingModule` (one optimizer) and `AdversarialModule`; families derive from one of these.

    ``network`` is a network from the registry. Batches are dictionaries, see `phases.Batch`. The random numbers of
    networks (dropout, noise) are seeded in each training step from (seed, batches seen, rank), so a resumed run uses
    the same ones as an uninterrupted run. The random numbers of losses come from `loss_generator`, separately for each
    sample, so they do not depend on the number of processes.

    `load_from_checkpoint` builds the module with its original arguments: a checkpoint holds the network's name and
    options, and all constructor arguments that are plain values. It cannot hold optimizers and schedules, which are
    functions. To continue training, pass them to `load_from_checkpoint`. All trained weights come from the checkpoint,
    so weight files to start from (``start_arguments``) are not needed again.

    Args:
        network: Registry name of the network.
        network_options: Options of `create_model`. They override those of ``init_weights``.
        init_weights: Weight file to start from, or "shipped"; by default the weights are random.
        init_gain: Gain for `init_scaled`, which initializes the network; None keeps its own initialization, and weights
            that were loaded are never initialized. Deep networks without normalization may need it: with small initial
            weights, neither their output nor their gradients depend on the input.
        metrics: Names of validation metrics; see `list_metrics()`.
        augment: Steps of DiffAugment, which change color or position of the ground truth on its device, before the hole
            is made; none by default. For a training on few images.
        on_missing: What to do if the pretrained weights of a loss term or a metric are missing: "refuse" to start, or
            "drop" the term or metric.
        compile: Backend of torch.compile for the network's `predict`, such as "inductor"; None does not compile.
        channels_last: Keep the network's weights in the channels-last memory format, which is faster on many devices.
        guard_every: Number of batches after which losses are checked for NaN on a GPU. On the CPU all are checked.

    Attributes:
        network: The inpainting network.
        values: Latest loss terms and gradient norms by their log names, detached.
        batches: Number of training batches seen.
        trained_steps: Number of generator steps of the weights that were loaded or trained last, for evaluations.
        loss_generator: CPU generator for the random numbers of losses, seeded from (seed, batches seen), equally in all
            processes. See `ops.own_samples`.
        dropped: Loss terms that are dropped because their pretrained weights are missing.
        undo: Undoes the updates of an incomplete step.
        start_arguments: Names of constructor arguments that are weight files to start from. A family adds its own.
        starts_trained: Whether the network's weights come from a weight file or a checkpoint.
        loss_range: (low, high) of the predictions and of the ground truth that the losses receive. If it is the
            network's own ``value_range``, predictions are not converted.
        weights: Loss weights of the network's terms; 1 for terms that are absent.
    """

    start_arguments: ClassVar[frozenset[str]] = frozenset({"init_weights"})
    loss_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        network: str,
        network_options: dict[str, Any] | None = None,
        init_weights: str | None = None,
        init_gain: float | None = None,
        metrics: Sequence[str] = ("psnr", "ssim", "l1"),
        augment: Sequence[AugmentStep] = (),
        on_missing: OnMissing = "refuse",
        compile: str | None = None,  # noqa: A002 the word that torch uses
        channels_last: bool = False,
        guard_every: int = 50,
    ) -> None:
        super().__init__()
        check_augment_steps("augment", augment)
        if compile is not None and compile not in (backends := torch.compiler.list_backends(None)):
            raise unknown_name("backend of torch.compile:", compile, backends, "The usual one is inductor.")
        self.network = create_model(network, weights=init_weights, **(network_options or {})).train()
        if channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        self.starts_trained = init_weights is not None
        if init_gain is not None and not self.starts_trained:
            init_scaled(self.network, init_gain, SMALL_OUTPUT if self.network.predicts_difference else 1.0)
        stored, self._not_stored = storable_arguments(self, self.network, self.start_arguments)
        self._not_restored: list[str] = []  # arguments that the loaded checkpoint could not hold
        self.save_hyperparameters(stored, logger=False)
        self.prepare_metrics(metrics)
        self.augment = tuple(augment)
        self.on_missing = on_missing
        self.compile_backend = compile
        self.guard = LossGuard(guard_every)
        self.values: dict[str, Tensor] = {}
        self.batches = 0
        self.trained_steps = 0
        self.loss_generator = torch.Generator()
        self.undo = Undo()
        self.dropped: set[str] = set()
        self.weights: dict[str, float] = {}

    # Methods that a family may override or use

    def build_losses(self) -> None:
        """Build the pretrained networks of the losses, with `unless_missing`. Called before training only."""

    def predict_stages(self, batch: Batch) -> Stages:
        """Return the raw predictions (B, 3, H, W) in ``loss_range`` by stage name, for the losses."""
        return self.network.stages(batch["image"], batch["mask"], scaled_to=self.loss_range, **hole_fill_of(batch))

    def in_loss_range(self, batch: Batch) -> Batch:
        """Return the batch that the losses receive, with ``image`` in ``loss_range`` instead of [0, 1]."""
        return batch | {"image": to_range(batch["image"], *self.loss_range)}

    def unless_missing(self, build: Callable[[], Built], *terms: str) -> Built | None:
        """Return ``build()``, or None if no term needs it or if its weights are missing and ``on_missing`` is "drop".

        In the second case, the terms are dropped.

        Args:
            build: Builds a network with pretrained weights.
            terms: Names of the loss terms that need it. A term with weight 0 does not need it.

        Raises:
            WeightsNotFoundError: The weights are missing, and ``on_missing`` is "refuse".
        """
        if not any(self.weights.get(term, 1.0) for term in terms):
            return None
        built = unless_missing(build, self.on_missing, " and ".join(terms))
        if built is None:
            self.dropped.update(terms)
        return built

    def start_first(self, state: Mapping[str, Tensor], file: str) -> None:
        """Load the weights that the first network of a combinator starts from.

        Args:
            state: State dict of the first network.
            file: Its source, for errors.

        Raises:
            ZooError: The state dict belongs to another network.
        """
        first = self.network.get_submodule("first")
        source = f"the first network of '{self.hparams['network']}': {file}"
        first.load_state_dict(match_state(state, first.state_dict(), source))
        self.starts_trained = True

    # Steps

    @property
    def step(self) -> int:
        """Number of generator updates done. Schedules, EMA, logs, checkpoints and stopping count these steps."""
        return int(self.trainer.global_step)

    @property
    def logs_next_step(self) -> bool:
        """Whether the step in progress is logged."""
        return is_logged(self.trainer, self.step + 1)

    @property
    def optimizer_names(self) -> list[str]:
        """Names of the optimizers in the logs, in the order of ``trainer.optimizers``."""
        raise NotImplementedError

    @property
    def batches_per_step(self) -> int:
        """Number of batches per step."""
        raise NotImplementedError

    @property
    def trained_modules(self) -> dict[str, nn.Module]:
        """The modules that are trained, by attribute name, for parameter counts."""
        return {"network": self.network}

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """Return all weighted losses of one batch by name, with their graphs, without an update. For the dry run."""
        raise NotImplementedError

    def seed_batch(self, stream: str, number: int) -> None:
        """Seed torch from (seed, stream, number, rank), and `loss_generator` from (seed, stream, number).

        Args:
            stream: Name of the stream of random numbers, such as "train" or "val".
            number: Index of the batch in the stream.
        """
        # `torch.manual_seed` takes milliseconds, and memory, for each kind of device that is not in use
        seed = torch.default_generator.manual_seed if self.device.type == "cpu" else torch.manual_seed
        seed(_seed(stream, self.global_rank, number))
        self.loss_generator = self.common_generator(f"{stream}/losses", number)

    def common_generator(self, stream: str, number: int) -> torch.Generator:
        """Return a CPU generator with equal seeds in all processes: the seed that `seed_batch` uses on rank 0."""
        return torch.Generator().manual_seed(_seed(stream, 0, number))

    def show_losses(self) -> None:
        """Pass the total losses of a logged step to Lightning, for its progress bar and for callbacks that monitor."""
        if self.logs_next_step:
            for name, value in self.values.items():
                if name.endswith("/loss"):
                    self.log(name, value, prog_bar=True, logger=False)

    def augmented(self, batch: Batch) -> Batch:
        """Return the next training batch after the steps of ``augment``. Each sample has its own random numbers.

        Raises:
            ZooError: If ``augment`` is used together with the data module's ``input_mode``.
        """
        if not self.augment:
            return batch
        if "hole_fill" in batch:
            raise ZooError(
                "`augment` changes the ground truth but not the filling from `input_mode`: set `augment` to []."
            )
        generator = self.common_generator("augment", self.batches)  # as on one process, see `ops.own_samples`
        (image,) = diff_augment([to_range(batch["image"], -1, 1)], self.augment, generator=generator)
        return batch | {"image": from_range(image, -1, 1)}

    def weighted_sum(self, phase: str, terms: Terms, weights: Mapping[str, float], batch: Batch) -> Tensor:
        """Return the sum of the weighted terms, and store each term and the sum in `values` for the logs.

        Args:
            phase: Prefix of the log names.
            terms: Unweighted terms by name.
            weights: Loss weights by term; 1 for terms that are absent. Terms in `dropped` are left out.
            batch: The batch, for the names of its images in errors.

        Raises:
            ZooError: No term has a weight other than 0.
            NonFiniteLossError: A term is NaN or infinite.
        """
        kept = [(terms[name], weights.get(name, 1.0)) for name in terms if name not in self.dropped]
        parts = [term * weight for term, weight in kept if weight != 0]
        if not parts:
            raise ZooError(
                f"'{phase}' has no loss term with a weight other than 0. Its terms: {sorted(terms)}. Dropped "
                f"terms: {sorted(self.dropped)}."
            )
        total = torch.stack([full_precision(part) for part in parts]).sum()
        named = {f"{phase}/{name}": term.detach() for name, term in terms.items()} | {f"{phase}/loss": total.detach()}
        self.values.update(named)
        try:
            self.guard.add(self.step, named, [str(name) for name in batch["name"]])
        except NonFiniteLossError as error:
            raise self.explain(error) from None
        return total

    def explain(self, error: NonFiniteLossError) -> NonFiniteLossError:
        """Add the path of the newest checkpoint to the message of the error, and return the error."""
        paths = [getattr(callback, "newest_path", None) for callback in self.trainer.checkpoint_callbacks]
        good = next((path for path in paths if path), None)
        where = f"The last good checkpoint is {good}." if good else "No checkpoint was written yet."
        error.args = (f"{error} {where}",)
        return error

    # Lightning's hooks

    def check_trainer(self, trainer: Trainer) -> None:
        """Refuse to fit with a Trainer that does not support it, or with a frozen first network that is untrained.

        The command line calls this before it starts other processes.

        Raises:
            ZooError: An option or a callback of the Trainer is not supported, see `training.lightning_options`; or
                the network's first network is frozen and has no trained weights.
        """
        check_settings({"precision": trainer.precision})
        check_trainer(trainer, self)
        frozen = "first_weights" in self.start_arguments and getattr(self.network, "freeze_first", False)
        if frozen and not self.starts_trained:
            raise ZooError(
                "The first network is frozen but has no trained weights. Set --model.init_args.first_weights FILE."
            )

    def configure_callbacks(self) -> list[Callback]:
        """Return the callback that writes losses and metrics to the loggers of the Trainer, unless it has one."""
        given = self.trainer.callbacks  # type: ignore[attr-defined]  # set by Lightning, but not declared
        return [] if any(isinstance(callback, MetricsLog) for callback in given) else [MetricsLog()]

    def setup(self, stage: str) -> None:
        """Check the Trainer, build losses and metrics, and compile the network if ``compile`` is set.

        Raises:
            WeightsNotFoundError: The pretrained weights of a loss or metric are missing, and ``on_missing`` is
                "refuse".
            ZooError: The Trainer is refused; see `check_trainer`.
        """
        if stage == "fit":
            self.check_trainer(self.trainer)
            replace_norm_sync(self.trainer)
            if self._not_restored:
                names = ", ".join(self._not_restored)
                rank_zero_warn(
                    f"{type(self).__name__} was loaded from a checkpoint that was trained with another {names}. "
                    "Checkpoints cannot hold functions, so training uses the defaults. To set another value, call "
                    f"load_from_checkpoint(path, {self._not_restored[0]}=...)."
                )
            self.build_losses()
        if {"fit": self.trainer.limit_val_batches, "predict": 0}.get(stage, 1):
            self.build_metrics()
        if self.compile_backend:
            # Compile the bound method, not the module, so that the state dict keeps its names.
            # object.__setattr__ avoids the type declarations of nn.Module.
            object.__setattr__(
                self.network, "predict", torch.compile(self.network.predict, backend=self.compile_backend)
            )

    def on_train_end(self) -> None:
        """Note the number of steps."""
        self.trained_steps = self.step

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the composited result, (B, 3, H, W) in [0, 1], as float."""
        self.seed_batch("predict", batch_idx)
        return self.network(batch["image"], batch["mask"], **hole_fill_of(batch))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the batch count, and the names of arguments that are not stored, and correct the loops' counters."""
        checkpoint["batches"] = self.batches
        checkpoint["arguments_not_stored"] = list(self._not_stored)
        if not self.undo.taken_back:  # otherwise StepBoundary.correct sets the counters
            make_exact(self.trainer, checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check the network and restore the batch count. An evaluation takes only the network's weights.

        So a checkpoint can be evaluated with the training module of another family, whose discriminator is not used.

        Raises:
            ZooError: The checkpoint holds another network, or the network has another option that ``network_options``
                does not set; see `check_same_network`.
        """
        check_same_network(self.network, checkpoint.get("hyper_parameters", {}))
        if self._trainer is not None and self._trainer.state.fn != TrainerFn.FITTING:
            of_network = {key: entry for key, entry in checkpoint["state_dict"].items() if key.startswith("network.")}
            others = {key: entry for key, entry in self.state_dict().items() if not key.startswith("network.")}
            checkpoint["state_dict"] = of_network | others
        self.batches = int(checkpoint.get("batches", 0))
        self.trained_steps = int(checkpoint.get("global_step", 0))
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
        """Build the module from a checkpoint, as Lightning does, but by default without running code from the file.

        Args:
            checkpoint_path: Training checkpoint of this class.
            map_location: Same as for `torch.load`.
            hparams_file: Same as for Lightning's method.
            strict: Same as for Lightning's method.
            weights_only: Same as for `torch.load`.
            arguments: Arguments of the constructor, such as optimizers. They override those in the checkpoint.
                ``network_options`` overrides only the options that it contains.

        Raises:
            ZooError: The checkpoint, or ``arguments``, states an argument that the class does not have.
        """
        given = arguments.get("network_options")
        if given and isinstance(checkpoint_path, str | Path) and Path(checkpoint_path).is_file():
            arguments["network_options"] = {**read_header(checkpoint_path).options, **given}
        try:
            return super().load_from_checkpoint(
                checkpoint_path, map_location, hparams_file, strict, weights_only, **arguments
            )
        except TypeError as error:
            if "unexpected keyword argument" not in str(error):
                raise
            raise ZooError(
                f"{checkpoint_path} cannot be loaded as {cls.__name__}: {error}. The checkpoint stores the arguments "
                "of the class that was trained. Load it with this class, or its network alone with create_model(name, "
                "weights=path)."
            ) from error
