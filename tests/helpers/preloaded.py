"""What the server process of `tests.helpers.programs` imports before it forks: libraries, and all model families.

The command line itself is not among it: its console takes its width from the environment when it is imported.
"""

import importlib

import pandas as pd  # noqa: F401
import pyarrow.parquet as pq  # noqa: F401
from scipy import special  # noqa: F401

from inpaint_zoo import benchmark, discovery
from tests.helpers import toys  # noqa: F401

for package in ("benchmark.report", "benchmark.ranks", "data", "inference", "metrics", "training"):
    importlib.import_module(f"inpaint_zoo.{package}")
for name in benchmark.__all__:  # imported on first use
    getattr(benchmark, name)
discovery.discover()
