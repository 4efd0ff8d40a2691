"""Packages that register things by name when they are imported.

The registry does not import these packages by name. The root package, which is imported before any other
module, names them here; they are imported when a name is looked up for the first time. Other installed distributions
name modules of theirs in the entry-point group `inpaint_zoo.models`:

    [project.entry-points."inpaint_zoo.models"]
    theirs = "their_package.models"
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
import warnings

__all__ = ["GROUP", "PROVIDERS", "BrokenPluginWarning", "broken_plugins", "discover", "has_plugins", "loading_plugin"]

_logger = logging.getLogger(__name__)

GROUP = f"{__package__}.models"
"""Entry-point group of modules that register models; it has the name of a package of ours, but is not an import."""
PROVIDERS: list[str] = []
"""Full names of the packages."""
_broken: dict[str, str] = {}  # description of a plugin -> why it cannot be imported
_loading: str | None = None


class BrokenPluginWarning(UserWarning):
    """A module of another distribution that registers models cannot be imported; its models are not available."""


@functools.cache
def discover() -> None:
    """Import the packages and the modules of other distributions, once.

    A module of another distribution that cannot be imported is warned about, and the others are imported.
    """
    for name in PROVIDERS:
        importlib.import_module(name)
    for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        _load(point)


@functools.cache
def has_plugins() -> bool:
    """Return whether other installed distributions register models."""
    return bool(importlib.metadata.entry_points(group=GROUP))


def _load(point: importlib.metadata.EntryPoint) -> None:
    global _loading
    outer, _loading = _loading, f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    try:
        _logger.debug("the models of the plugin %s are imported from %s", _loading, point.value)
        point.load()
    except Exception as error:  # importing another package may raise any error
        described = f"'{point.name}' ({point.value}) of {_loading}"
        _broken[described] = f"{type(error).__name__}: {error}".rstrip(".")
        warnings.warn(
            f"The models of the plugin {described} are not available: {_broken[described]}. Repair or uninstall it.",
            BrokenPluginWarning,
            stacklevel=2,
        )
    finally:
        _loading = outer


def broken_plugins() -> dict[str, str]:
    """Return the plugins that could not be imported -> the reason."""
    return dict(_broken)


def loading_plugin() -> str | None:
    """Return name and version of the distribution whose module is being imported as a plugin; None outside of that."""
    return _loading
