import pytest
import torch

from tests.helpers.toys import painter_registered

# Lightning says these of every small run on a CPU; none is about our code
LIGHTNING = (
    "ignore:.*does not have many workers.*",
    "ignore:.*isinstance.treespec, LeafSpec.*",
    "ignore:.*exists and is not empty.*",
)


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/training" in str(item.path):
            for text in LIGHTNING:
                item.add_marker(pytest.mark.filterwarnings(text))


@pytest.fixture(autouse=True)
def one_thread():
    """Use one thread, because the networks of these tests are too small to gain from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def painter_network():
    with painter_registered():
        yield
