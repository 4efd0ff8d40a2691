"""Find models and combinators by name, and list what is registered."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inpaint_zoo.discovery import broken_plugins, discover
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.registry.recorded import recorded_combinators, recorded_models, table_suffices
from inpaint_zoo.registry.tables import (
    COMBINATORS,
    CONVERTERS,
    DISCRIMINATORS,
    MODELS,
    Combinator,
    Entry,
    first_line,
    matching,
)
from inpaint_zoo.weights import shipped_weights

if TYPE_CHECKING:
    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = [
    "all_combinators",
    "all_models",
    "find_model",
    "list_combinators",
    "list_converters",
    "list_discriminators",
    "list_models",
    "options_through",
    "ready_weights",
]


def all_models() -> Mapping[str, Entry]:
    """Return all models: from the recorded table, or else by importing the packages that register them."""
    if table_suffices():
        return recorded_models()
    discover()
    return MODELS


def all_combinators() -> Mapping[str, Combinator]:
    """Return all combinators, in the same way as `all_models`."""
    if table_suffices():
        return recorded_combinators()
    discover()
    return COMBINATORS


def list_models(pattern: str = "*", *, ready: bool = False) -> list[str]:
    """Return the names of the registered models that match a shell pattern, in natural order.

    Args:
        pattern: Shell pattern for the names, such as "*lama*".
        ready: Return only models that work without training, see `ModelInfo.ready`. No network is built.
    """
    models = all_models()
    return [name for name in matching(models, pattern) if not ready or is_ready(models[name])]


def is_ready(entry: Entry) -> bool:
    return not entry.learned or shipped_weights(entry.weights_of) is not None


def ready_weights(name: str) -> str | None:
    """Return the argument ``weights`` of `create_model` for a model that works without training.

    Returns:
        "shipped" for a learned model, None for one that needs no training.

    Raises:
        ZooError: If there is no such model, or if it needs training and no weights are shipped.
    """
    entry = find_model(name)
    if not is_ready(entry):
        raise ZooError(f"'{name}' is a learned model and the package ships no weights for it: give a weight file.")
    return "shipped" if entry.learned else None


def list_combinators(pattern: str = "*") -> list[str]:
    """Return the names of the combinators, as in `local_global:autoencoder`, that match a shell pattern."""
    return matching(all_combinators(), pattern)


def list_discriminators(pattern: str = "*") -> list[str]:
    """Return the names of the registered discriminators that match a shell pattern, in natural order."""
    discover()
    return matching(DISCRIMINATORS, pattern)


def list_converters(pattern: str = "*") -> list[str]:
    """Return the names that `convert_official` accepts and that match a shell pattern, in natural order."""
    discover()
    return matching(CONVERTERS, pattern)


def find_model(name: str) -> Entry:
    """Return the entry of a model, which may have combinators before its name.

    Raises:
        UnknownNameError: If there is no such model or combinator.
    """
    if ":" in name:
        return _combined(*name.split(":", 1))
    models = all_models()
    if name not in models:
        broken = [f"The plugin {plugin} cannot be imported ({reason})." for plugin, reason in broken_plugins().items()]
        raise unknown_name("model", name, models, " ".join(["list_models() gives all names.", *broken]))
    return models[name]


def _combined(outer: str, inner: str) -> Entry:
    """Return the entry of ``outer:inner``."""
    combinators = all_combinators()
    if outer not in combinators:
        raise unknown_name("combinator", outer, combinators, "Write it before a model's name: local_global:lama.")
    return _wrapped(outer, inner, combinators[outer], find_model(inner))


@functools.lru_cache(maxsize=256)
def _wrapped(outer: str, inner: str, combinator: Combinator, entry: Entry) -> Entry:
    """Return the entry of a network in a combinator; an option that both have belongs to the combinator."""
    combine, learned = combinator
    _, *own = inspect.signature(combine).parameters.values()
    names = {option.name for option in own}
    others = [option for option in inspect.signature(entry.build).parameters.values() if option.name not in names]

    def build(**options: Any) -> InpaintingNetwork:
        mine = {name: options.pop(name) for name in names & set(options)}
        return combine(entry.build(**options), **mine)

    build.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # read by `inspect.signature`
        [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in (*own, *others)]
    )
    build.__doc__ = f"{first_line(combine).split(':')[0]}: `{inner}`."
    build.__module__ = entry.build.__module__
    weights_of = f"{outer}:{inner}" if learned else entry.weights_of
    return Entry(build, entry.paper, entry.source, learned or entry.learned, weights_of, entry.plugin)


def options_through(name: str, inner: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of the model ``inner`` as options of ``name``, which is ``inner`` with combinators before it.

    Raises:
        ZooError: If a combinator has an option of the same name, which hides the network's option.
    """
    *outer, _ = name.removesuffix(inner).split(":")
    for combinator in outer:
        _, *own = inspect.signature(all_combinators()[combinator].combine).parameters
        if hidden := [option for option in own if option in options]:
            option = hidden[0]
            raise ZooError(
                f"The option {option}={options[option]!r} of '{inner}' cannot be given to '{name}': the combinator has "
                f"an option of that name. In Python, wrap the network itself: inpaint_zoo.{combinator}(network)."
            )
    return dict(options)
