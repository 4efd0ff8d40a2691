"""`python -m inpaint_zoo`: the same as the command `inpaint-zoo`."""

import sys

from inpaint_zoo.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
