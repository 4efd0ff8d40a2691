"""Every metric by name: what it computes, where the definition comes from, and how it is built. Loads no torch."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from inpaint_zoo._version import __version__
from inpaint_zoo.errors import unknown_name
from inpaint_zoo.registry import natural_order

if TYPE_CHECKING:
    from inpaint_zoo.metrics.base import ImageMetric, SetMetric

__all__ = ["MetricInfo", "create_metric", "list_metrics", "metric_info", "metrics_markdown"]


class MetricInfo(NamedTuple):
    """What is known of a metric.

    Attributes:
        name: Registry name.
        title: As a table's header writes it.
        unit: "dB", "%" or nothing.
        higher_is_better: The direction of better.
        per_image: Whether each image has a value (`ImageMetric`), or only a set of them (`SetMetric`).
        region: Pixels that count.
        source: Where the definition comes from.
        definition: What exactly is computed.
        needs: Backbones by name, as `find_backbone` knows them.
        implementation: What computes it, with version.
        digits: Decimals worth printing.
        value_range: Smallest and largest value.
        min_side: Shortest side of an image that it can measure, in pixels.
        cap: Value of identical images, where the formula has none.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    per_image: bool
    region: Literal["image", "hole", "known"]
    source: str
    definition: str
    needs: tuple[str, ...]
    implementation: str
    digits: int
    value_range: str
    min_side: int
    cap: float | None


class _Entry(NamedTuple):
    """A row of the catalogue: `MetricInfo` without what follows from it, and the class with its options."""

    home: str  # "module.Class" under inpaint_zoo.metrics
    options: dict[str, Any]
    title: str
    definition: str
    source: str
    value_range: str
    higher_is_better: bool = False
    unit: str = ""
    digits: int = 4
    needs: tuple[str, ...] = ()
    package: str = ""  # distribution that computes it; ours where empty
    min_side: int = 1
    cap: float | None = None


WHOLE = "over all pixels and channels"
HOLE = "over the hole's pixels"
LPIPS_SOURCE = "Zhang et al., CVPR 2018, version 0.1"
FID_SOURCE = "Heusel et al., NeurIPS 2017"
IDS_SOURCE = "Zhao et al., ICLR 2021 (Co-Mod-GAN)"
IDS = "A linear SVM (squared hinge, C = 1) on the features of fid learns truth against result; "
SSIM = "SSIM on [0, 1], K1 0.01, K2 0.03, Gaussian window of 11 (sigma 1.5), covariances over n, "


def _pixel_entries() -> dict[str, _Entry]:
    entries = {}
    for suffix, where, region in (("", WHOLE, "image"), ("_hole", HOLE, "hole")):
        at = " in the hole" if suffix else ""
        entries[f"l1{suffix}"] = _Entry(
            "pixel.L1", {"region": region}, f"L1{at}", f"Mean absolute error {where}, on [0, 1].", "zoo", "0 to 1"
        )
        entries[f"l1_percent{suffix}"] = _Entry(
            "pixel.L1",
            {"region": region, "factor": 100.0},
            f"L1{at}",
            f"100 times the mean absolute error {where}, on [0, 1].",
            "ISNet, Tables 1 and 5 to 8 (MAE %, L1 %)" if not suffix else "zoo",
            "0 to 100",
            unit="%",
            digits=2,
        )
        entries[f"mse{suffix}"] = _Entry(
            "pixel.MSE", {"region": region}, f"MSE{at}", f"Mean squared error {where}, on [0, 1].", "zoo", "0 to 1"
        )
        entries[f"psnr{suffix}"] = _Entry(
            "pixel.PSNR",
            {"region": region},
            f"PSNR{at}",
            f"10 log10(1 / MSE) of each image {where}; values above 100 dB, identical images first of all, become 100 "
            "and are counted.",
            "as scikit-image",
            "0 to 100",
            higher_is_better=True,
            unit="dB",
            digits=2,
            cap=100.0,
        )
        mean = "mean of the map over pixels and channels" if not suffix else "mean of the map over the hole's pixels"
        entries[f"ssim{suffix}"] = _Entry(
            "structure.SSIM",
            {"region": region},
            f"SSIM{at}",
            f"{SSIM}reflected border; {mean}.",
            "Wang et al., IEEE TIP 2004; as torchmetrics",
            "-1 to 1",
            higher_is_better=True,
            min_side=6,
        )
        entries[f"tv{suffix}"] = _Entry(
            "variation.TotalVariation",
            {"region": region},
            f"TV{at}",
            "100 (mean |horizontal step| + mean |vertical step|) of the result alone, on [0, 1]"
            + ("; steps between two pixels of the hole." if suffix else "."),
            "zoo; GLCIC / CA, Table II, prints a TV of unknown scale",
            "0 to 200",
            digits=2,
        )
        for trunk, backbone, side in (
            ("alex", "alexnet", 31),
            ("vgg", "vgg16", 16),
            ("squeeze", "squeezenet1_1", 17),
        ):
            also = {"vgg": "; as GRIG's and LaMa's evaluators", "alex": "; taken for LGNet and GLCIC / CA"}
            entries[f"lpips_{trunk}{suffix}"] = _Entry(
                "lpips.LPIPS",
                {"trunk": trunk, "region": region},
                f"LPIPS ({trunk}){at}",
                f"Learned perceptual distance with the {backbone} trunk, inputs in [-1, 1]"
                + ("; mean of the spatial map over the hole's pixels." if suffix else "."),
                LPIPS_SOURCE + ("" if suffix else also.get(trunk, "")),
                "0 upwards, about 1",
                needs=(backbone,),
                package="lpips",
                min_side=side,
            )
    entries["l1_known"] = _Entry(
        "pixel.L1",
        {"region": "known"},
        "L1 of known pixels",
        "Mean absolute error over the pixels outside the hole, on [0, 1]: 0 for a method that keeps them.",
        "zoo",
        "0 to 1",
    )
    return entries


SET_ENTRIES = {
    "fid": _Entry(
        "frechet.FID",
        {"resize": "tensorflow"},
        "FID",
        "Fréchet distance of 2048 Inception features; images resized to 299 px as TensorFlow 1 does, no antialias.",
        f"{FID_SOURCE}; as torch-fidelity",
        "0 upwards",
        digits=2,
        needs=("inception_fid",),
        package="torch-fidelity",
    ),
    "fid_clean": _Entry(
        "frechet.FID",
        {"resize": "clean"},
        "FID (clean)",
        "As fid, but resized by bicubic with antialias, in float per channel, as PIL does.",
        "Parmar et al., CVPR 2022 (clean-fid); the NTIRE challenge of GLaMa",
        "0 upwards",
        digits=2,
        needs=("inception_fid",),
        package="torch-fidelity",
    ),
    "fid_pytorch": _Entry(
        "frechet.FID",
        {"resize": "pytorch"},
        "FID (pytorch-fid)",
        "As fid, but resized by PyTorch's bilinear (half-pixel centres, no antialias), inputs scaled by 127.5.",
        "pytorch-fid; GRIG's and LaMa's evaluators",
        "0 upwards",
        digits=2,
        needs=("inception_fid",),
        package="torch-fidelity",
    ),
    "kid": _Entry(
        "kernel.KID",
        {},
        "KID",
        "Unbiased squared MMD of the features of fid, kernel (x·y / 2048 + 1)³: all images at once up to 1000, beyond "
        "that the mean over 100 subsets of 1000 with seed 2020.",
        "Bińkowski et al., ICLR 2018; as torch-fidelity",
        "about 0 upwards",
        needs=("inception_fid",),
        package="torch-fidelity",
        digits=5,
    ),
    "p_ids": _Entry(
        "discriminative.IDS",
        {"kind": "paired"},
        "P-IDS",
        f"{IDS}share of pairs whose result scores higher than its own truth.",
        IDS_SOURCE,
        "0 to 1",
        higher_is_better=True,
        needs=("inception_fid",),
        package="torch-fidelity",
    ),
    "u_ids": _Entry(
        "discriminative.IDS",
        {"kind": "unpaired"},
        "U-IDS",
        f"{IDS}its error on the same pictures.",
        IDS_SOURCE,
        "0 to 0.5",
        higher_is_better=True,
        needs=("inception_fid",),
        package="torch-fidelity",
    ),
}

PAPER_ENTRIES = {
    "psnr_isnet": _Entry(
        "pixel.PSNR",
        {"to_bytes": "truncate"},
        "PSNR (ISNet)",
        "PSNR after both images are truncated, not rounded, to bytes. Identical images: 100 dB, counted; ISNet's code "
        "gives 0, which create_metric('psnr_isnet', identical=0.0) repeats.",
        "ISNet, released code",
        "0 to 100",
        higher_is_better=True,
        unit="dB",
        digits=2,
        cap=100.0,
    ),
    "ssim_isnet": _Entry(
        "structure.SSIM",
        {"border": "zero"},
        "SSIM (ISNet)",
        f"{SSIM}zero border of 5; mean of the map over pixels and channels.",
        "ISNet, released code",
        "-1 to 1",
        higher_is_better=True,
    ),
    "mae_isnet": _Entry(
        "pixel.L1",
        {},
        "MAE (ISNet)",
        f"Mean absolute error {WHOLE}, on [0, 1]; the tables print 100 times this (l1_percent).",
        "ISNet, released code",
        "0 to 1",
    ),
    "mae_relative_isnet": _Entry(
        "pixel.RelativeL1",
        {"divisor": "target"},
        "relative MAE (ISNet)",
        "Sum of absolute errors over the sum of the truth's values, of each image.",
        "ISNet, validation log of the released code; fits Table 2 and, as a percentage, LGNet's l1",
        "0 upwards",
    ),
    "psnr_lgnet": _Entry(
        "pixel.PSNR",
        {"to_bytes": "truncate"},
        "PSNR (LGNet)",
        "PSNR after both images are truncated, not rounded, to bytes; identical images 100 dB, counted.",
        "LGNet, released test code",
        "0 to 100",
        higher_is_better=True,
        unit="dB",
        digits=2,
        cap=100.0,
    ),
    "l1_lgnet": _Entry(
        "pixel.L1",
        {"factor": 200.0},
        "L1 (LGNet)",
        "200 times the mean absolute error on [0, 1], that is a percentage on [-1, 1]: the paper's numbers are too "
        "large for l1_percent, and this fits them.",
        "LGNet, Tables I to III; inferred",
        "0 to 200",
        unit="%",
        digits=2,
    ),
    "mae_grig": _Entry(
        "pixel.RelativeL1",
        {"divisor": "both", "to_bytes": "round"},
        "MAE (GRIG)",
        "Sum of absolute errors over the sum of both images' values, 8-bit.",
        "GRIG, released code",
        "0 to 1",
    ),
    "psnr_grig": _Entry(
        "pixel.PSNR",
        {"to_bytes": "round"},
        "PSNR (GRIG)",
        "PSNR of 8-bit images; values above 100 dB become 100 and are counted.",
        "GRIG, released code (scikit-image)",
        "0 to 100",
        higher_is_better=True,
        unit="dB",
        digits=2,
        cap=100.0,
    ),
    "ssim_grig": _Entry(
        "structure.SSIM",
        {"window": "uniform", "size": 51, "border": "crop", "sample_covariance": True, "to_bytes": "round"},
        "SSIM (GRIG)",
        "SSIM of 8-bit images, uniform window of 51, covariances over n - 1, whole windows only; mean over them.",
        "GRIG, released code (scikit-image)",
        "-1 to 1",
        higher_is_better=True,
        min_side=51,
    ),
    "ssim_lama": _Entry(
        "structure.SSIM",
        {"border": "zero"},
        "SSIM (LaMa)",
        f"{SSIM}zero border of 5; mean of the map over pixels and channels.",
        "LaMa, released evaluator; used by GLaMa",
        "-1 to 1",
        higher_is_better=True,
    ),
    "l1_255": _Entry(
        "pixel.L1",
        {"factor": 255.0},
        "L1 (0-255)",
        f"Mean absolute error {WHOLE}, on 0 to 255.",
        "GLCIC / CA, Table II; inferred from its numbers",
        "0 to 255",
        digits=2,
    ),
    "mse_255": _Entry(
        "pixel.MSE",
        {"scale": 255.0},
        "MSE (0-255)",
        f"Mean squared error {WHOLE}, on 0 to 255.",
        "GLCIC / CA, Table II; inferred from its numbers",
        "0 to 65025",
        digits=2,
    ),
}

ENTRIES: dict[str, _Entry] = {**_pixel_entries(), **SET_ENTRIES, **PAPER_ENTRIES}


def _entry(name: str) -> _Entry:
    if name not in ENTRIES:
        raise unknown_name("metric", name, ENTRIES, "`inpaint-zoo metrics` lists them all.")
    return ENTRIES[name]


def list_metrics(pattern: str = "*") -> list[str]:
    """Names of the metrics that match a shell pattern, in natural order.

    Example:
        >>> list_metrics("fid*")
        ['fid', 'fid_clean', 'fid_pytorch']
    """
    return natural_order(fnmatch.filter(ENTRIES, pattern))


def metric_info(name: str) -> MetricInfo:
    """What is known of a metric.

    Raises:
        UnknownNameError: No such metric; the message suggests the nearest.

    Example:
        >>> info = metric_info("psnr")
        >>> info.unit, info.higher_is_better, info.cap
        ('dB', True, 100.0)
    """
    entry = _entry(name)
    implementation = f"inpaint-zoo {__version__}"
    if entry.package:
        try:
            implementation = f"{entry.package} {version(entry.package)}, {implementation}"
        except PackageNotFoundError:
            implementation = f"{entry.package} (not installed), {implementation}"
    return MetricInfo(
        name=name,
        title=entry.title,
        unit=entry.unit,
        higher_is_better=entry.higher_is_better,
        per_image=name not in SET_ENTRIES,
        region=entry.options.get("region", "image"),
        source=entry.source,
        definition=entry.definition,
        needs=entry.needs,
        implementation=implementation,
        digits=entry.digits,
        value_range=entry.value_range,
        min_side=entry.min_side,
        cap=entry.cap,
    )


def create_metric(name: str, **options: Any) -> ImageMetric | SetMetric:
    """Build a metric by its name.

    Args:
        name: One of `list_metrics()`.
        options: Constructor arguments of its class that take the place of the catalogue's, e.g. ``extractor`` (any
        module that turns images into features) of fid, kid, p_ids and u_ids, ``weights`` of lpips, ``cap`` of psnr.

    Raises:
        UnknownNameError: No such metric or option; the message suggests the nearest.
        WeightsNotFoundError: A backbone that it needs is not here; the message says which file goes where.

    Example:
        >>> import torch
        >>> metric = create_metric("l1")
        >>> metric.score(torch.zeros(2, 3, 16, 16), torch.full((2, 3, 16, 16), 0.5))
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    entry = _entry(name)
    module, class_name = entry.home.rsplit(".", 1)
    build = getattr(importlib.import_module(f"inpaint_zoo.metrics.{module}"), class_name)
    accepted = inspect.signature(build).parameters
    for option in options:
        if option not in accepted:
            raise unknown_name(f"option of metric '{name}':", option, accepted, f"It takes: {', '.join(accepted)}.")
    metric: ImageMetric | SetMetric = build(**{**entry.options, **options})
    metric.name = name
    return metric


def metrics_markdown() -> str:
    """The tables of docs/metrics.md: every metric, its definition, source, direction and range."""
    groups = {
        "Of each image": [name for name in _pixel_entries() if name != "l1_known" and not name.endswith("_hole")],
        "Of each image's hole, and of what is known": [
            name for name in _pixel_entries() if name.endswith(("_hole", "_known"))
        ],
        "Of a set of images": list(SET_ENTRIES),
        "As single papers define them": list(PAPER_ENTRIES),
    }
    lines = []
    for title, names in groups.items():
        lines += [
            f"## {title}",
            "",
            "| name | better | unit | range | definition | source | needs |",
            "|" + " --- |" * 7,
        ]
        for name in names:
            info = metric_info(name)
            cells = (
                f"`{name}`",
                "higher" if info.higher_is_better else "lower",
                info.unit,
                info.value_range,
                info.definition.replace("|", "\\|")
                + (f" Sides from {info.min_side} px." if info.min_side > 16 else ""),
                info.source,
                ", ".join(f"`{need}`" for need in info.needs),
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)
