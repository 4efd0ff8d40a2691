"""Benchmarks of methods x datasets x mask sets x metrics: suites, resumable runs, result folders, and reports.

```python
suite = load_suite("benchmarks/quickstart.yaml")
outcome = run_suite(suite, "runs/quickstart", Options(batch_size=8))
```
"""

from typing import TYPE_CHECKING

from inpaint_zoo.lazy import lazy_names

if TYPE_CHECKING:
    from inpaint_zoo.benchmark.export import export_inputs
    from inpaint_zoo.benchmark.listing import ListedSuite, list_suites
    from inpaint_zoo.benchmark.missing import Missing, MissingCell
    from inpaint_zoo.benchmark.options import Failure, Listener, Options
    from inpaint_zoo.benchmark.places import Places
    from inpaint_zoo.benchmark.rehearsal import rehearsed
    from inpaint_zoo.benchmark.runner import Outcome, run_suite
    from inpaint_zoo.benchmark.statistics import bootstrap_interval, fewest_groups, holm, sign_flip_test
    from inpaint_zoo.benchmark.store import LOGS, CellKey, refuse_foreign
    from inpaint_zoo.benchmark.suite import Suite, load_suite

__all__ = [
    "LOGS",
    "CellKey",
    "Failure",
    "ListedSuite",
    "Listener",
    "Missing",
    "MissingCell",
    "Options",
    "Outcome",
    "Places",
    "Suite",
    "bootstrap_interval",
    "export_inputs",
    "fewest_groups",
    "holm",
    "list_suites",
    "load_suite",
    "refuse_foreign",
    "rehearsed",
    "run_suite",
    "sign_flip_test",
]

__getattr__ = lazy_names(
    __name__,
    {
        "inpaint_zoo.benchmark.export": ("export_inputs",),
        "inpaint_zoo.benchmark.listing": (
            "ListedSuite",
            "list_suites",
        ),
        "inpaint_zoo.benchmark.missing": (
            "Missing",
            "MissingCell",
        ),
        "inpaint_zoo.benchmark.options": (
            "Failure",
            "Listener",
            "Options",
        ),
        "inpaint_zoo.benchmark.places": ("Places",),
        "inpaint_zoo.benchmark.rehearsal": ("rehearsed",),
        "inpaint_zoo.benchmark.runner": (
            "Outcome",
            "run_suite",
        ),
        "inpaint_zoo.benchmark.statistics": (
            "bootstrap_interval",
            "fewest_groups",
            "holm",
            "sign_flip_test",
        ),
        "inpaint_zoo.benchmark.store": (
            "LOGS",
            "CellKey",
            "refuse_foreign",
        ),
        "inpaint_zoo.benchmark.suite": (
            "Suite",
            "load_suite",
        ),
    },
)
