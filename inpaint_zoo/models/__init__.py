"""The model families: one folder per family.

Importing this package imports every family, which registers its networks. An error raised while a family is imported is
not caught. Training modules are imported on first access, because they import Lightning: `inpaint_zoo.models.NAME` is
the class `NAME` defined in the `module.py` of one of the families, for example `inpaint_zoo.models.Autoencoder`.
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
            if importlib.util.find_spec(f"{__name__}.{family.name}.module") is not None:
                module = importlib.import_module(f"{__name__}.{family.name}.module")
                found = getattr(module, name, None)
                if isinstance(found, type) and found.__module__ == module.__name__:
                    return found
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
