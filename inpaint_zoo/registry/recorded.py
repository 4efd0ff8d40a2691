"""Entries for the models and combinators of the recorded table, which are looked up without importing the networks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inpaint_zoo.discovery import discover, has_plugins
from inpaint_zoo.model_table import RecordedCombinator, RecordedModel, read_table
from inpaint_zoo.registry.tables import COMBINATORS, MODELS, Combinator, Entry, Paper

if TYPE_CHECKING:
    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = [
    "recorded_combinators",
    "recorded_models",
    "table_suffices",
]


def table_suffices() -> bool:
    """Return whether nothing is registered yet and no other package would register something."""
    return not (MODELS or COMBINATORS or has_plugins()) and read_table().is_current


@functools.cache
def recorded_models() -> dict[str, Entry]:
    """Return the models of the recorded table; their builders import the networks when they are called."""
    return {name: _recorded_model(name, model) for name, model in read_table().models.items()}


def _recorded_model(name: str, model: RecordedModel) -> Entry:
    """Return an entry whose builder imports the networks when it is called."""

    def build(**options: Any) -> InpaintingNetwork:
        discover()
        return MODELS[name].build(**options)

    build.__doc__ = model.description
    build.__module__ = f"inpaint_zoo.models.{model.family}"
    build.__signature__ = inspect.Signature(_keywords(model.options))  # type: ignore[attr-defined]
    paper = Paper(**model.paper) if model.paper else None
    return Entry(build, paper, model.source, model.learned, name)


@functools.cache
def recorded_combinators() -> dict[str, Combinator]:
    """Return the combinators of the recorded table, in the same way as `recorded_models`."""
    return {name: _recorded_combinator(name, each) for name, each in read_table().combinators.items()}


def _recorded_combinator(name: str, recorded: RecordedCombinator) -> Combinator:
    def combine(network: InpaintingNetwork, **options: Any) -> InpaintingNetwork:
        discover()
        return COMBINATORS[name].combine(network, **options)

    combine.__doc__ = recorded.description
    network = inspect.Parameter("network", inspect.Parameter.POSITIONAL_ONLY)
    combine.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [network, *_keywords(recorded.options)]
    )
    return Combinator(combine, recorded.learned)


def _keywords(options: Mapping[str, Any]) -> list[inspect.Parameter]:
    return [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=value) for key, value in options.items()]
