"""Write the results that come with the package: `python -m inpaint_zoo.benchmark.recommend RUN`."""

import sys
from pathlib import Path

from inpaint_zoo.benchmark.recommend.shipped import SHIPPED, write_shipped

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m inpaint_zoo.benchmark.recommend RUN")
    write_shipped(Path(sys.argv[1]))
    sys.stdout.write(f"{SHIPPED}: {sum(path.stat().st_size for path in SHIPPED.rglob('*.*')) // 1024} KiB\n")
