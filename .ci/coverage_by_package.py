"""Print the line coverage of each package from `coverage json`, and whether it reaches the goal.

Usage: python .ci/coverage_by_package.py coverage.json
"""

import json
import sys
from pathlib import Path

GOAL = 90.0
WITH_GOAL = {"data", "masks", "metrics", "weights", "training", "benchmark"}


def main(path: str) -> None:
    """Print one line for each package: lines, lines that ran, and their share."""
    counts: dict[str, list[int]] = {}
    for name, file in json.loads(Path(path).read_text(encoding="utf-8"))["files"].items():
        package = Path(name.split("inpaint_zoo/", 1)[1]).parts[0].removesuffix(".py")
        lines = counts.setdefault(package, [0, 0])
        lines[0] += file["summary"]["num_statements"]
        lines[1] += file["summary"]["covered_lines"]
    for package, (statements, covered) in sorted(counts.items()):
        share = 100 * covered / max(1, statements)
        goal = f"goal {GOAL:.0f} %{'' if share >= GOAL else ', missed'}" if package in WITH_GOAL else ""
        print(f"{package:14} {statements:6,} {covered:6,} {share:6.1f} %  {goal}".rstrip())


if __name__ == "__main__":
    main(sys.argv[1])
