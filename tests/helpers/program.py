"""The command line with the test models, for new processes of Python: `python tests/helpers/program.py fit ...`.

`tests.helpers.programs` starts processes in less time; Lightning's launcher needs a file that it can start.
"""

import sys
import warnings
from typing import NoReturn

from inpaint_zoo.cli.main import main
from tests.helpers.toys import painter_registered


def run(words: list[str]) -> NoReturn:
    """Run the command of `inpaint-zoo`, and end the process with its exit code."""
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    with painter_registered():
        sys.exit(main(words))


if __name__ == "__main__":
    run(sys.argv[1:])
