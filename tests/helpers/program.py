"""The command line with the test models, for new processes of Python: `python -m tests.helpers.program fit ...`.

`tests.helpers.programs` starts processes in less time; Lightning's launcher needs this one.
"""

import sys
import warnings

from inpaint_zoo.cli.main import main
from tests.helpers.toys import painter_registered

if __name__ == "__main__":
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    with painter_registered():
        sys.exit(main(sys.argv[1:]))
