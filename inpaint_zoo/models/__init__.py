"""The model families. Each is one folder, found here by itself; an error inside a family is never hidden.

Networks are registered when this package is imported. Training modules, which take Lightning along, are found when they
are asked for: `inpaint_zoo.models.Autoencoder` is the class of that name in some family's `module.py`.
"""

import importlib
import importlib.util
import pkgutil

__all__: list[str] = []

for _family in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_family.name}")


def __getattr__(name: str) -> object:
    if not name.startswith("_"):
        for family in pkgutil.iter_modules(__path__):
            module = f"{__name__}.{family.name}.module"
            if importlib.util.find_spec(module) is not None:
                found = getattr(importlib.import_module(module), name, None)
                if isinstance(found, type) and found.__module__ == module:
                    return found
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
