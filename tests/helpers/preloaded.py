"""What the server process of `tests.helpers.programs` imports before it forks: libraries, and all model families.

The command line itself is not among it: its console takes its width from the environment when it is imported.
"""

import gc
import importlib
import os

MODULES = (
    *("attr", "cv2", "pandas", "pyarrow.parquet", "timm"),
    *(f"inpaint_zoo.{name}" for name in ("benchmark.report", "data.module", "inference", "metrics.pixel")),
    *(f"inpaint_zoo.{name}" for name in ("metrics.structure", "training.experiment")),
    "tests.helpers.toys",
)

gc.disable()  # nothing of what is imported is garbage
for module in MODULES:
    importlib.import_module(module)
importlib.import_module("inpaint_zoo").list_models()
importlib.import_module("PIL.Image").init()
gc.freeze()  # a process in search of garbage would copy the memory that it shares with the server
gc.enable()
os.fsync = lambda _: None  # see `tests/conftest.py`
