"""Draw docs/quickstart.png from the results of the quickstart: filled holes, and which differences are evidence.

    inpaint-zoo benchmark quickstart --out runs/quickstart --allow-missing
    python docs/scripts/quickstart_figure.py runs/quickstart

It needs matplotlib (extra `notebooks`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import inpaint_zoo as iz
from inpaint_zoo.benchmark import bootstrap_interval, holm, sign_flip_test
from inpaint_zoo.data import create_dataset

SEED = 2026  # of the suite
SHOWN = ("telea", "isnet_tiny", "glama_tiny")
EXAMPLES = (("chelsea", "lama_thin_256"), ("rocket", "lama_thin_256"))
REFERENCE, MASK = "telea", "lama_thin_256"
FIGURE = Path(__file__).parents[1] / "quickstart.png"


def examples(axes: np.ndarray) -> None:
    """Fill the examples with the masks of the suite, and show the results."""
    images = create_dataset({"name": "sample", "split": "unseen", "size": 256, "crop": "center"})
    for number, (key, mask_name) in enumerate(EXAMPLES):
        index = images.keys.index(key)
        truth = images.load(index)
        mask = iz.create_mask(mask_name, size=truth.shape[:2], seed=SEED, index=index)
        panels = {"masked": np.where(mask[..., None] == 1, 255, truth)}
        panels |= {name: iz.inpaint(name, truth, mask) for name in SHOWN} | {"ground truth": truth}
        for axis, (name, image) in zip(axes[number], panels.items(), strict=True):
            axis.imshow(image)
            axis.set_title("" if number else name, fontsize=12)
            axis.axis("off")


def differences(axis: plt.Axes, folder: Path) -> None:
    """Plot the PSNR difference of every method from the reference, with intervals and Holm-corrected tests."""
    rows = pd.read_parquet(folder / "results.parquet")
    rows = rows[(rows["metric"] == "psnr") & (rows["mask"] == MASK)]
    psnr = rows.pivot_table(index="image", columns="method", values="value")
    others = psnr.drop(columns=[REFERENCE, "mean_fill"]).sub(psnr[REFERENCE], axis=0)  # mean_fill is 4 dB worse
    others = others[others.mean().sort_values().index]
    low, high = bootstrap_interval(others.to_numpy(), others.index)
    significant = holm(sign_flip_test(others.to_numpy(), others.index)) <= 0.05
    for k, name in enumerate(others):
        color = ("tab:green" if others[name].mean() > 0 else "tab:red") if significant[k] else "tab:gray"
        axis.plot([low[k], high[k]], [k, k], color=color, linewidth=3, alpha=0.5)
        axis.plot(others[name].mean(), k, "o", color=color)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(range(len(others.columns)), others.columns)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel(f"PSNR minus that of {REFERENCE}, dB")
    axis.figure.suptitle(
        f"{len(psnr)} images, {MASK}: 95 % intervals\ngreen: significant by the paired test", fontsize=12
    )


def main(folder: Path) -> None:
    """Draw the figure."""
    figure = plt.figure(figsize=(15, 5.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[2.6, 1])
    examples(left.subplots(2, 5))
    differences(right.subplots(), folder)
    figure.savefig(FIGURE, dpi=100, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
