"""Checks that a checkpoint fits the configuration. They run before anything is restored or written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import WeightAveraging

from inpaint_zoo.errors import ZooError
from inpaint_zoo.registry import model_info
from inpaint_zoo.training.hyperparameters import check_same_network, origin_of
from inpaint_zoo.training.module import TrainingModule

__all__ = ["refuse_lost_average", "refuse_other_name", "refuse_other_network"]

NAMED = 3  # number of tensors that a message lists
NETWORK = "network."
WAY_OUT = "Use the configuration that it was trained with, or start a new run in another --out."


def refuse_other_name(path: Path, checkpoint: Mapping[str, Any], name: str | None) -> None:
    """Refuse the checkpoint of a network with another registry name.

    Args:
        path: The checkpoint, for the message.
        checkpoint: Its content.
        name: Registry name of the network in the configuration; None accepts any network.

    Raises:
        ZooError: The names differ.
    """
    theirs = checkpoint.get("hyper_parameters", {}).get("network", name)
    if name is not None and theirs != name:
        raise ZooError(f"{path} holds the network '{theirs}', but the configuration builds '{name}'. {WAY_OUT}")


def refuse_other_network(path: Path, checkpoint: Mapping[str, Any], module: TrainingModule, training: bool) -> None:
    """Refuse the checkpoint of another network.

    Args:
        path: The checkpoint, for the message.
        checkpoint: Its content.
        module: The module that the configuration builds.
        training: Whether training resumes. If so, all network options must be equal, and all tensors must fit. For an
            evaluation, only the tensors of ``network`` must fit.

    Raises:
        ZooError: The networks' names or options, or the names or shapes of their tensors differ.
    """
    name = origin_of(module.network).name
    refuse_other_name(path, checkpoint, name)
    hyperparameters = checkpoint.get("hyper_parameters", {})
    try:
        check_same_network(module.network, hyperparameters)
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from None
    if training and "network_options" in hyperparameters:  # some options change what is learned, but no tensor
        old = model_info(name, **(hyperparameters["network_options"] or {})).options
        new = model_info(name, **origin_of(module.network).options).options
        different = [f"{key} {old.get(key)!r} -> {new[key]!r}" for key in new if old.get(key) != new[key]]
        if different:
            raise ZooError(
                f"{path} holds '{name}' with other network_options (checkpoint -> configuration): "
                f"{'; '.join(different)}. {WAY_OUT}"
            )
    state, built = checkpoint["state_dict"], module.state_dict()
    of_network = [{key for key in names if key.startswith(NETWORK)} for names in (state, built)]
    wrong = [f"{key} is missing" for key in sorted(of_network[1] - of_network[0])]
    wrong += [f"{key} is not part of the network" for key in sorted(of_network[0] - of_network[1])]
    wrong += [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(built[key].shape)}"
        for key in built
        if key in state and state[key].shape != built[key].shape and (training or key.startswith(NETWORK))
    ]
    if wrong:
        more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise ZooError(
            f"The weights of {path} do not fit the model that the configuration builds ('{name}'): "
            f"{'; '.join(wrong[:NAMED])}{more}."
        )


def refuse_lost_average(path: Path, checkpoint: Mapping[str, Any], callbacks: Iterable[Callback]) -> None:
    """Refuse to resume from averaged weights (EMA) without the callback that averages.

    Raises:
        ZooError: The checkpoint holds an average, but no callback restores the current weights that training needs.
    """
    averages = any(isinstance(callback, WeightAveraging) for callback in callbacks)
    if "current_model_state" in checkpoint and not averages:
        raise ZooError(
            f"{path} was trained with an average of the weights (NetworkEMA), but the configuration has no such "
            "callback, so training would continue from the averaged weights. Add it: --config configs/trainer/ema.yaml"
        )
