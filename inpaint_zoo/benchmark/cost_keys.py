"""The key `costs` of a suite: parameters, MACs and latency of its networks, for which no dataset or weights are needed.

```yaml
costs:
  size: 256                                            # or [height, width]
  figures: [params_m, {name: macs_thop_g, paper: flops_g}, latency_ms]
  images: 8                                            # measured for the latency, after one that is not counted
```
The networks are those of the suite's methods with random weights, because weights change no cost. Images are noise.
Their masks are those of the suite, or a centered square of half the height and width if the suite lists none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from inpaint_zoo.analysis.macs import MACS_CONVENTION, OLD_THOP_CONVENTION, THOP_CONVENTION, Macs
from inpaint_zoo.config import Table, list_of, whole
from inpaint_zoo.errors import unknown_name

if TYPE_CHECKING:
    from inpaint_zoo.registry import ModelInfo

__all__ = ["COSTS_FILE", "FIGURES", "CostKeys", "Figure", "read_costs"]

COSTS_FILE = "costs.json"
IMAGES = 8


class Figure(NamedTuple):
    """A figure of `costs`.

    Attributes:
        title: Title in tables.
        unit: Unit in tables.
        definition: How it is counted or measured.
        counted: Returns it from the description of the network and its MACs; None if it is measured.
        device: Type of the device on which it can be measured; None for all.
    """

    title: str
    unit: str
    definition: str
    counted: Callable[[ModelInfo, Macs | None], float | None] | None = None
    device: str | None = None


def _giga(get: Callable[[Macs], int]) -> Callable[[ModelInfo, Macs | None], float | None]:
    return lambda info, macs: None if macs is None else get(macs) / 1e9


_ALONE = "mean time of one image, completed alone"
FIGURES = {
    "params_m": Figure("Parameters", "M", "all parameters, in units of 10^6", lambda info, macs: info.parameters / 1e6),
    "params_mi": Figure(
        "Parameters", "Mi", "all parameters, in units of 2^20", lambda info, macs: info.parameters / 2**20
    ),
    "macs_g": Figure("MACs", "G", MACS_CONVENTION, _giga(lambda macs: macs.true)),
    "flops_g": Figure("FLOPs", "G", f"two for each MAC; MACs: {MACS_CONVENTION}", _giga(lambda macs: 2 * macs.true)),
    "macs_thop_g": Figure("MACs (thop)", "G", THOP_CONVENTION, _giga(lambda macs: macs.thop)),
    "macs_old_thop_g": Figure("MACs (older thop)", "G", OLD_THOP_CONVENTION, _giga(lambda macs: macs.old_thop)),
    "passes": Figure("Passes", "", "mean number of times that the network runs for one image"),
    "latency_ms": Figure("Latency", "ms", _ALONE),
    "latency_cpu_ms": Figure("Latency (CPU)", "ms", f"{_ALONE}, on a CPU", device="cpu"),
    "latency_gpu_ms": Figure("Latency (GPU)", "ms", f"{_ALONE}, on a GPU", device="cuda"),
}


@dataclass(frozen=True)
class CostKeys:
    """Content of the key `costs`.

    Attributes:
        size: Height and width of the image in pixels.
        images: Number of images measured for the latency.
        figures: Names of FIGURES.
    """

    size: tuple[int, int]
    images: int
    figures: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """Return plain values."""
        return {"size": list(self.size), "images": self.images, "figures": list(self.figures)}


def read_costs(table: Table, figures: Sequence[Table]) -> CostKeys:
    """Check the key `costs`.

    Args:
        table: Its mapping.
        figures: Its list of figures, without keys that concern a paper.

    Raises:
        ZooError: If a key or name is unknown, or a value is invalid.
    """
    table.allow(("size", "images", "figures"))
    side = whole(1)
    if isinstance(table.values.get("size"), list):
        height, width = table.need("size", list_of(side, 2))
    else:
        height = width = table.need("size", side)
    names = []
    for entry in figures:
        entry.allow(("name",))
        name = str(entry.values["name"]) if "name" in entry.values else ""
        if name not in FIGURES:
            raise entry.error(str(unknown_name("figure of `costs`:", name, FIGURES)))
        names.append(name)
    return CostKeys((height, width), table.get("images", whole(1), IMAGES) or IMAGES, tuple(dict.fromkeys(names)))
