"""What pyproject.toml cannot state: the wheel contains copies of `configs` and `benchmarks`.

They become `inpaint_zoo/bundled`, where `inpaint_zoo/cli/bundled.py` finds them. An editable installation uses the
folders of the repository.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
PATTERNS = ("configs/**/*.yaml", "benchmarks/**/*.yaml", "benchmarks/paper_tables/*.csv")


def copy_bundled_files(folder: Path) -> None:
    """Copy the bundled files into a folder, in the arrangement that they have in the repository."""
    for path in (path for pattern in PATTERNS for path in ROOT.glob(pattern)):
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


class BuildWithBundledFiles(build_py):
    """The step that copies the package into the wheel."""

    def run(self) -> None:
        """Copy the package, and then the bundled files."""
        super().run()
        if not self.editable_mode:
            copy_bundled_files(Path(self.build_lib) / "inpaint_zoo" / "bundled")


if __name__ == "__main__":
    setup(cmdclass={"build_py": BuildWithBundledFiles})
