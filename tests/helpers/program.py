"""The command line with the test models, for separate processes: `python -m tests.helpers.program fit --config ...`."""

import os
import sys
import time
import warnings

from lightning.pytorch import Callback

from inpaint_zoo.cli.main import main
from tests.helpers.toys import painter_registered


class Slowly(Callback):
    """Callback that slows training down, so that the test can interrupt it."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def on_train_batch_end(self, *args: object) -> None:
        time.sleep(self.seconds)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with painter_registered():
        sys.exit(main(sys.argv[1:]))
