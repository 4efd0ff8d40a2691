"""The key `gallery` of a suite: further images for the report.

```yaml
gallery:
  stages: [lgnet, "grig*"]   # methods whose intermediate results are shown
  spectra: true              # Fourier spectra of the ground truth and of all results
```
It changes no numbers, so it can be added to a finished run.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any, NamedTuple

from inpaint_zoo.config import Table, boolean, listing, string
from inpaint_zoo.errors import unknown_name

__all__ = ["GalleryKeys", "read_gallery"]


class GalleryKeys(NamedTuple):
    """Content of the key `gallery`.

    Attributes:
        stages: Labels of the methods whose intermediate results are shown.
        spectra: Whether spectra are shown.
    """

    stages: tuple[str, ...] = ()
    spectra: bool = False

    def plain(self) -> dict[str, Any]:
        """Return plain values."""
        return {"stages": list(self.stages), "spectra": self.spectra}


def read_gallery(table: Table, models: Sequence[str]) -> GalleryKeys:
    """Check the key `gallery`.

    Args:
        table: Its mapping.
        models: Labels of the suite's registered models, which may have intermediate results.

    Raises:
        ZooError: If a key is unknown, or a pattern matches no model.
    """
    table.allow(("stages", "spectra"))
    labels: list[str] = []
    for pattern in table.get("stages", listing) or ():
        found = fnmatch.filter(models, string(pattern)) if isinstance(pattern, str) else []
        if not found:
            raise table.error(str(unknown_name("model of the suite in `stages`:", pattern, models)), "stages")
        labels += found
    return GalleryKeys(tuple(dict.fromkeys(labels)), bool(table.get("spectra", boolean, False)))
