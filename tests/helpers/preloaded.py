"""What the server process of `tests.helpers.programs` imports before it forks: libraries, and all model families.

The command line itself is not among it: its console takes its width from the environment when it is imported.
"""

import gc
import importlib
import os

MODULES = (
    *("attr", "cv2", "pandas", "pyarrow.parquet", "scipy.special", "timm"),
    *(f"inpaint_zoo.{name}" for name in ("benchmark.ranks", "benchmark.report", "data.module", "inference")),
    *(f"inpaint_zoo.{name}" for name in ("metrics.pixel", "metrics.structure", "training.experiment")),
    "tests.helpers.toys",
)

gc.disable()  # nothing of what is imported is garbage
for module in MODULES:
    importlib.import_module(module)
benchmark = importlib.import_module("inpaint_zoo.benchmark")
for name in benchmark.__all__:  # imported on first use
    getattr(benchmark, name)
importlib.import_module("inpaint_zoo.discovery").discover()
importlib.import_module("PIL.Image").init()
gc.freeze()  # a process in search of garbage would copy the memory that it shares with the server
gc.enable()
os.fsync = lambda _: None  # see `tests/conftest.py`
