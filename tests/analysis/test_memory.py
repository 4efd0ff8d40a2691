"""Memory that a call takes is seen, also if an earlier call has left free memory in the process."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")

# In a process of its own: the system may take unused memory away from a large one in the middle of a measurement.
CODE = """
import json

import numpy as np
import torch

from inpaint_zoo.analysis.cost import watch_memory

MIB = 2**20


def take_and_free(mebibytes):  # many small arrays, which the C library keeps for later calls when they are freed
    return sum(int(part[0]) for part in [np.ones(MIB // 64, np.uint8) for _ in range(64 * mebibytes)])


take_and_free(60)
sizes = (20, 40)
cpu = torch.device("cpu")
print(json.dumps([[size, *watch_memory(lambda: take_and_free(size), cpu, fresh=True)] for size in sizes]))
"""


def test_the_peak_of_a_call_counts_memory_that_an_earlier_call_has_freed():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    for size, result, peak in json.loads(done.stdout):
        assert result == 64 * size
        assert size - 1 <= peak < size + 8  # the kernel counts pages in batches, per processor
