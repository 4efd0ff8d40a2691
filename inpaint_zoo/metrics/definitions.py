"""Entries of the metric catalogue: definition, source and value range of every metric, and its class."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

__all__ = [
    "ENTRIES",
    "HOLE_ENTRIES",
    "IMAGE_ENTRIES",
    "PAPER_ENTRIES",
    "REVISIONS",
    "SET_ENTRIES",
    "Entry",
    "Result",
]

Result = Literal["8-bit", "unrounded"]
"""Form of a result that a metric measures: rounded to 8 bits, or the network's float output. In both, known pixels are
those of the ground truth, which is 8-bit."""


class Entry(NamedTuple):
    """Entry of the catalogue: the fields from which `MetricInfo` is derived, and the class with its options."""

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
    package: str = ""  # distribution that computes the metric; empty for this package
    min_side: int = 1
    cap: float | None = None
    result: Result = "8-bit"
    unbiased: str = ""  # metric of the same features without the bias of small sets


REVISIONS = {"structure.SSIM": 2}
"""Number of the arithmetic of a class, if its last bits have changed. It is part of the implementation's name, so that
cells of a benchmark with other bits are computed again. SSIM 2: filters of OpenCV on a CPU."""

WHOLE = "over all pixels and channels"
HOLE = "over the hole's pixels"
LPIPS_SOURCE = "Zhang et al., CVPR 2018, version 0.1"
FID_SOURCE = "Heusel et al., NeurIPS 2017"
IDS_SOURCE = "Zhao et al., ICLR 2021 (Co-Mod-GAN)"
IDS = "A linear SVM (squared hinge, C = 1) on fid's features is trained to separate ground truth from results; "
SSIM = "SSIM on [0, 1], K1 0.01, K2 0.03, Gaussian window of 11 (sigma 1.5), covariances over n, "


def _image_entries(region: Literal["image", "hole"]) -> dict[str, Entry]:
    """Return the metrics that exist for the whole image and, as `<name>_hole`, for the hole."""
    suffix, at, where = ("", "", WHOLE) if region == "image" else ("_hole", " in the hole", HOLE)
    entries = {
        "l1": Entry("pixel.L1", {}, "L1", f"Mean absolute error {where}, on [0, 1].", "zoo", "0 to 1"),
        "l1_percent": Entry(
            "pixel.L1",
            {"factor": 100.0},
            "L1",
            f"100 times the mean absolute error {where}, on [0, 1].",
            "zoo" if suffix else "ISNet, Tables 1 and 5 to 8 (MAE %, L1 %)",
            "0 to 100",
            unit="%",
            digits=2,
        ),
        "mse": Entry("pixel.MSE", {}, "MSE", f"Mean squared error {where}, on [0, 1].", "zoo", "0 to 1"),
        "psnr": Entry(
            "pixel.PSNR",
            {},
            "PSNR",
            f"10 log10(1 / MSE) of each image {where}; values above 100 dB, such as for identical images, become 100 "
            "and are counted.",
            "as scikit-image",
            "0 to 100",
            higher_is_better=True,
            unit="dB",
            digits=2,
            cap=100.0,
        ),
        "ssim": Entry(
            "structure.SSIM",
            {},
            "SSIM",
            f"{SSIM}reflected border; mean of the map "
            + ("over the hole's pixels and the channels." if suffix else "over pixels and channels."),
            "Wang et al., IEEE TIP 2004; as torchmetrics",
            "-1 to 1",
            higher_is_better=True,
            min_side=6,
        ),
        "tv": Entry(
            "variation.TotalVariation",
            {},
            "TV",
            "100 (mean |horizontal difference| + mean |vertical difference|) of neighboring pixels of the result, on "
            "[0, 1]" + ("; only pairs of hole pixels." if suffix else "."),
            "zoo; GLCIC / CA, Table II, prints a TV of unknown scale",
            "0 to 200",
            digits=2,
        ),
    }
    for trunk, backbone, side, users in (
        ("alex", "alexnet", 31, "; used for LGNet and GLCIC / CA"),
        ("vgg", "vgg16", 16, "; GRIG's and LaMa's evaluators"),
        ("squeeze", "squeezenet1_1", 17, ""),
    ):
        entries[f"lpips_{trunk}"] = Entry(
            "lpips.LPIPS",
            {"trunk": trunk},
            f"LPIPS ({trunk})",
            f"Learned perceptual distance with the backbone {backbone}, inputs in [-1, 1]"
            + ("; mean of the spatial map over the hole's pixels." if suffix else "."),
            LPIPS_SOURCE + ("" if suffix else users),
            "0 upwards, about 1",
            needs=(backbone,),
            package="lpips",
            min_side=side,
        )
    return {
        f"{name}{suffix}": entry._replace(title=entry.title + at, options={**entry.options, "region": region})
        for name, entry in entries.items()
    }


SET_ENTRIES = {
    "fid": Entry(
        "frechet.FID",
        {"resize": "tensorflow"},
        "FID",
        "Fréchet distance of 2048 Inception features; images resized to 299 px as in TensorFlow 1, no antialiasing.",
        f"{FID_SOURCE}; as torch-fidelity",
        "0 upwards",
        digits=2,
        needs=("inception_fid",),
        package="torch-fidelity",
        unbiased="kid",
    ),
    "fid_clean": Entry(
        "frechet.FID",
        {"resize": "clean"},
        "FID (clean)",
        "Like fid, but images are resized as by PIL: bicubic with antialiasing, in float for each channel.",
        "Parmar et al., CVPR 2022 (clean-fid); the NTIRE challenge of GLaMa",
        "0 upwards",
        digits=2,
        needs=("inception_fid",),
        package="torch-fidelity",
        unbiased="kid_clean",
    ),
    "fid_pytorch": Entry(
        "frechet.FID",
        {"resize": "pytorch"},
        "FID (pytorch-fid)",
        "Like fid, but images are resized by PyTorch: bilinear (half-pixel centers, no antialiasing), scaled by 127.5.",
        "pytorch-fid; GRIG's and LaMa's evaluators",
        "0 upwards",
        digits=2,
        needs=("inception_fid",),
        package="torch-fidelity",
        unbiased="kid_pytorch",
    ),
    "kid": Entry(
        "kernel.KID",
        {},
        "KID",
        "Unbiased squared MMD of fid's features, kernel (x·y / 2048 + 1)³: all images at once for up to 1000 images, "
        "else the mean over 100 subsets of 1000 with seed 2020.",
        "Bińkowski et al., ICLR 2018; as torch-fidelity",
        "about 0 upwards",
        needs=("inception_fid",),
        package="torch-fidelity",
        digits=5,
    ),
    "kid_clean": Entry(
        "kernel.KID",
        {"resize": "clean"},
        "KID (clean)",
        "Like kid, with the features of fid_clean.",
        "Parmar et al., CVPR 2022 (clean-fid)",
        "about 0 upwards",
        needs=("inception_fid",),
        package="torch-fidelity",
        digits=5,
    ),
    "kid_pytorch": Entry(
        "kernel.KID",
        {"resize": "pytorch"},
        "KID (pytorch-fid)",
        "Like kid, with the features of fid_pytorch.",
        "zoo; the unbiased companion of fid_pytorch",
        "about 0 upwards",
        needs=("inception_fid",),
        package="torch-fidelity",
        digits=5,
    ),
    "p_ids": Entry(
        "discriminative.IDS",
        {"kind": "paired"},
        "P-IDS",
        f"{IDS}fraction of pairs in which the result scores higher than its ground truth.",
        IDS_SOURCE,
        "0 to 1",
        higher_is_better=True,
        needs=("inception_fid",),
        package="torch-fidelity",
    ),
    "u_ids": Entry(
        "discriminative.IDS",
        {"kind": "unpaired"},
        "U-IDS",
        f"{IDS}its error rate on the same images.",
        IDS_SOURCE,
        "0 to 0.5",
        higher_is_better=True,
        needs=("inception_fid",),
        package="torch-fidelity",
    ),
}

PAPER_ENTRIES = {
    "psnr_isnet": Entry(
        "pixel.PSNR",
        {"to_bytes": "truncate"},
        "PSNR (ISNet)",
        "PSNR after both images are truncated, not rounded, to 8 bits. Identical images: 100 dB, counted; ISNet's code "
        "gives 0, as does create_metric('psnr_isnet', identical=0.0).",
        "ISNet, released code",
        "0 to 100",
        higher_is_better=True,
        unit="dB",
        digits=2,
        cap=100.0,
        result="unrounded",
    ),
    "ssim_isnet": Entry(
        "structure.SSIM",
        {"border": "zero"},
        "SSIM (ISNet)",
        f"{SSIM}zero border of 5; mean of the map over pixels and channels.",
        "ISNet, released code",
        "-1 to 1",
        higher_is_better=True,
        result="unrounded",
    ),
    "mae_isnet": Entry(
        "pixel.L1",
        {},
        "MAE (ISNet)",
        f"Mean absolute error {WHOLE}, on [0, 1]; the tables print 100 times this (l1_percent).",
        "ISNet, released code",
        "0 to 1",
        result="unrounded",
    ),
    "mae_relative_isnet": Entry(
        "pixel.RelativeL1",
        {"divisor": "target"},
        "relative MAE (ISNet)",
        "Sum of absolute errors divided by the sum of the ground truth's values, per image.",
        "ISNet, validation log of the released code; fits Table 2 and, as a percentage, LGNet's l1",
        "0 upwards",
        result="unrounded",
    ),
    "psnr_lgnet": Entry(
        "pixel.PSNR",
        {"to_bytes": "truncate"},
        "PSNR (LGNet)",
        "PSNR after both images are truncated, not rounded, to 8 bits; identical images: 100 dB, counted.",
        "LGNet, released test code",
        "0 to 100",
        higher_is_better=True,
        unit="dB",
        digits=2,
        cap=100.0,
        result="unrounded",
    ),
    "l1_lgnet": Entry(
        "pixel.L1",
        {"factor": 200.0},
        "L1 (LGNet)",
        "200 times the mean absolute error on [0, 1], i.e. a percentage on [-1, 1]. The paper's numbers are too large "
        "for l1_percent and fit this definition.",
        "LGNet, Tables I to III; inferred",
        "0 to 200",
        unit="%",
        digits=2,
    ),
    "mae_grig": Entry(
        "pixel.RelativeL1",
        {"divisor": "both", "to_bytes": "round"},
        "MAE (GRIG)",
        "Sum of absolute errors divided by the sum of both images' values, on 8-bit images.",
        "GRIG, released code",
        "0 to 1",
    ),
    "psnr_grig": Entry(
        "pixel.PSNR",
        {"to_bytes": "round"},
        "PSNR (GRIG)",
        "PSNR of 8-bit images; values above 100 dB become 100 and are counted. In suites it equals psnr, which "
        "measures 8-bit results there.",
        "GRIG, released code (scikit-image)",
        "0 to 100",
        higher_is_better=True,
        unit="dB",
        digits=2,
        cap=100.0,
    ),
    "ssim_grig": Entry(
        "structure.SSIM",
        {"window": "uniform", "size": 51, "border": "crop", "sample_covariance": True, "to_bytes": "round"},
        "SSIM (GRIG)",
        "SSIM of 8-bit images, uniform window of 51, covariances over n - 1; mean over all windows inside the image.",
        "GRIG, released code (scikit-image)",
        "-1 to 1",
        higher_is_better=True,
        min_side=51,
    ),
    "ssim_lama": Entry(
        "structure.SSIM",
        {"border": "zero", "to_bytes": "truncate"},
        "SSIM (LaMa)",
        f"{SSIM}zero border of 5, after both images are truncated, not rounded, to 8 bits, as LaMa's prediction script "
        "saves them; mean of the map over pixels and channels.",
        "LaMa, released evaluator; used by GLaMa",
        "-1 to 1",
        higher_is_better=True,
        result="unrounded",
    ),
    "l1_255": Entry(
        "pixel.L1",
        {"factor": 255.0},
        "L1 (0-255)",
        f"Mean absolute error {WHOLE}, on 0 to 255.",
        "GLCIC / CA, Table II; inferred from its numbers",
        "0 to 255",
        digits=2,
    ),
    "mse_255": Entry(
        "pixel.MSE",
        {"scale": 255.0},
        "MSE (0-255)",
        f"Mean squared error {WHOLE}, on 0 to 255.",
        "GLCIC / CA, Table II; inferred from its numbers",
        "0 to 65025",
        digits=2,
    ),
}

IMAGE_ENTRIES = _image_entries("image")
HOLE_ENTRIES = _image_entries("hole")
HOLE_ENTRIES["l1_known"] = Entry(
    "pixel.L1",
    {"region": "known"},
    "L1 of known pixels",
    "Mean absolute error over known pixels, on [0, 1]: 0 for a method that keeps them.",
    "zoo",
    "0 to 1",
)
ENTRIES: dict[str, Entry] = {**IMAGE_ENTRIES, **HOLE_ENTRIES, **SET_ENTRIES, **PAPER_ENTRIES}
