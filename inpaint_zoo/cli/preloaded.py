"""What the process that the ranks fork from imports; see `inpaint_zoo.cli.ranks`."""

import inpaint_zoo.benchmark.methods.network
import inpaint_zoo.benchmark.runner
import inpaint_zoo.inference
import inpaint_zoo.metrics  # noqa: F401
