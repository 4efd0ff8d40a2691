"""The model families. Each is one folder, found here by itself; an error inside a family is never hidden."""

import importlib
import pkgutil

__all__: list[str] = []

for _family in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_family.name}")
