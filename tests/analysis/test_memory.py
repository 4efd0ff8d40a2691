"""Memory that a call takes is seen, also if an earlier call has left free memory in the process."""

import sys

import numpy as np
import pytest
import torch

from inpaint_zoo.analysis.cost import watch_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
MIB = 2**20


def take_and_free(mebibytes):
    """Write to many small arrays, which the C library keeps for later calls when they are freed."""
    return sum(int(part[0]) for part in [np.ones(MIB // 64, np.uint8) for _ in range(64 * mebibytes)])


@pytest.mark.parametrize("size", [20, 40])
def test_the_peak_of_a_call_counts_memory_that_an_earlier_call_has_freed(size):
    cpu = torch.device("cpu")
    take_and_free(60)
    result, peak = watch_memory(lambda: take_and_free(size), cpu, fresh=True)
    assert result == 64 * size
    assert size <= peak < size + 8
