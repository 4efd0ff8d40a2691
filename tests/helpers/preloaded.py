"""What the server process of `tests.helpers.programs` imports before it forks: libraries, and all model families.

The command line itself is not among it: its console takes its width from the environment when it is imported.
"""

import importlib

import pandas as pd  # noqa: F401

import inpaint_zoo
from tests.helpers import toys  # noqa: F401

for package in ("benchmark", "data", "inference", "metrics", "training"):
    importlib.import_module(f"inpaint_zoo.{package}")
inpaint_zoo.list_models()
