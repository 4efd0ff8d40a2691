"""Write the output folder of a small benchmark, with real images and results but without the runner.

`python tests/helpers/synthetic_run.py FOLDER` writes a large one and its report for viewing.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import skimage.data
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from inpaint_zoo.analysis.cost import distribution, pool

SCRIPT = "<script>alert(1)</script> & Ünïcødé 修復"
LATEX = r"50%_fill $x$ {a} \b ^~ #1 |"
IMAGES = ("astronaut", "chelsea", "rocket", "retina", "coffee", "hubble_deep_field", "immunohistochemistry")


def flat(image, hole):
    return np.broadcast_to(image[~hole].mean(axis=0).round().astype(np.uint8), image.shape)


def blurred(image, hole):
    known = (~hole).astype(np.float32)[..., None]
    top = cv2.GaussianBlur(image * known, (0, 0), 24)
    return (top / (cv2.GaussianBlur(known[..., 0], (0, 0), 24)[..., None] + 1e-6)).clip(0, 255).astype(np.uint8)


def telea(radius):
    return lambda image, hole: cv2.inpaint(image, hole.astype(np.uint8), radius, cv2.INPAINT_TELEA)


def mixed(weight, seed):
    """Return a pseudo-method that mixes the ground truth with noise and blur, so that some results look good."""

    def fill(image, hole, target):
        noise = np.random.default_rng(seed).normal(0, 12 * (1 - weight), target.shape)
        return (weight * target + (1 - weight) * blurred(image, hole) + noise).clip(0, 255).astype(np.uint8)

    return fill


FILLS = {
    "mean_fill": flat,
    "telea": telea(5),
    "navier_stokes": lambda image, hole: cv2.inpaint(image, hole.astype(np.uint8), 5, cv2.INPAINT_NS),
    "GLaMa tiny": mixed(0.75, 1),
    "ISNet tiny": mixed(0.72, 2),
    SCRIPT: blurred,
    LATEX: telea(15),
    "telea 2": telea(2),
    "LGNet light": mixed(0.6, 3),
    "GRIG tiny, five steps": mixed(0.5, 4),
    "progressive:isnet_tiny": mixed(0.73, 5),
    "Theirs": mixed(0.4, 6),
}


def center_crops(count, size):
    """Return center crops {key: uint8 (size, size, 3)}."""
    images = {}
    for name in IMAGES[: min(count, 7)]:
        images[name] = getattr(skimage.data, name)()
    if count > 7:
        images["motorcycle_left"], images["motorcycle_right"], _ = skimage.data.stereo_motorcycle()
    crops = {}
    for name, image in images.items():
        side = min(image.shape[:2])
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        crop = image[top : top + side, left : left + side, :3]
        crops[name] = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return crops


def hole_of(mask, index, size):
    hole = np.zeros((size, size), np.uint8)
    if mask == "center":
        hole[size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = 1
        return hole.astype(bool)
    rng = np.random.default_rng([index, len(mask)])
    for _ in range(2 + index if "thick" in mask else 6 + 3 * index):
        start, end = rng.integers(0, size, 2), rng.integers(0, size, 2)
        cv2.line(hole, tuple(map(int, start)), tuple(map(int, end)), 1, size // 8 if "thick" in mask else size // 40)
    return hole.astype(bool)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)


def scores_of(metrics, result, target, hole):
    difference = np.abs(result.astype(float) - target)
    every = {
        "psnr": min(peak_signal_noise_ratio(target, result), 100.0),
        "ssim": structural_similarity(target, result, channel_axis=2),
        "l1_percent": difference.mean() / 2.55,
        "l1_hole": difference[hole].mean() / 255,
    }
    return {name: every[name] for name in metrics if name in every}


def costs_of(number, method, mask, images, size):
    """Return the costs of a cell; `progressive:` needs up to four passes, more for later mask sets."""
    macs, latency = 700_000_000 * number, 3.0 * (7 * number % 11 + 1)
    passes = [1 + mask + index % 3 for index in range(images)] if "progressive" in method else None
    times = passes or [1] * images
    return {
        "n_images": images,
        "parameters": 1_400_000 * number,
        "passes": distribution(passes) if passes else None,
        "macs": distribution(macs * count for count in times) if macs else None,
        "macs_thop": distribution(macs * count + 1 for count in times) if macs else None,
        "macs_convention": "FLOPs of torch / 2",
        "macs_thop_convention": "as thop 0.1.1",
        "latency_ms": distribution(latency * count for count in times),
        "latency_convention": "each image alone",
        "peak_memory_mb": 310.0 if number % 2 else None,
        "memory_convention": "growth of the resident memory",
        "width": [size, size],
        "height": [size, size],
        "device": "cpu",
    }


def write_run(
    out,
    *,
    methods=6,
    size=64,
    datasets=(("sample", 4),),
    masks=("center", "lama_thick"),
    metrics=("psnr", "ssim", "fid"),
    gallery=2,
    crops=1,
    failed=(("telea", -1),),
    missing=(("navier_stokes", -1),),
):
    """Write the folder; `failed` and `missing` are (method, index of mask set) cells of the first dataset.

    With `crops` > 1, each image counts as that many images (flipped), all in one group.
    """
    out = Path(out)
    labels = list(FILLS)[:methods]
    rows, timings, cells, failures = [], [], {}, []
    images = {}
    for dataset, count in datasets:
        images[dataset] = [
            (f"{key}_{n}" if crops > 1 else key, key, np.ascontiguousarray(scene[:, ::-1] if n else scene))
            for key, scene in center_crops(count, size).items()
            for n in range(crops)
        ]
        for index, (_, _, target) in enumerate(images[dataset][:gallery]):
            save(out / "gallery" / dataset / f"{index}.png", target)
            for mask in masks:
                save(out / "gallery" / dataset / mask / f"{index}.png", hole_of(mask, index, size) * np.uint8(255))
    for method in labels:
        for dataset, _ in datasets:
            for at, mask in enumerate(masks):
                identifier = hashlib.sha256(f"{method}{dataset}{mask}".encode()).hexdigest()[:16]
                first = dataset == datasets[0][0]
                if first and any(name == method and at == cell % len(masks) for name, cell in missing):
                    continue
                record = {"id": identifier, "method": method, "dataset": dataset, "mask": mask, "error": None}
                record |= {"status": "done", "n_images": len(images[dataset]), "provenance": PROVENANCE}
                record["set_metric_notes"] = (
                    {"fid": "biased, small N: 4 images for 2048 features"} if "fid" in metrics else {}
                )
                cells[identifier] = record
                if first and any(name == method and at == cell % len(masks) for name, cell in failed):
                    record |= {"status": "failed", "error": "RuntimeError: out of memory <b>here</b>", "n_images": 0}
                    failures.append({key: record[key] for key in ("method", "dataset", "mask", "error")})
                    continue
                record["costs"] = costs_of(labels.index(method), method, at, len(images[dataset]), size)
                for index, (key, group, target) in enumerate(images[dataset]):
                    hole = hole_of(mask, index, size)
                    image = np.where(hole[..., None], np.uint8(0), target)
                    start = time.perf_counter()
                    fill = FILLS[method]
                    raw = fill(image, hole, target) if fill.__code__.co_argcount == 3 else fill(image, hole)
                    seconds = time.perf_counter() - start
                    result = np.where(hole[..., None], raw, target)
                    timings.append((method, dataset, mask, key, seconds, size, size))
                    for metric, value in scores_of(metrics, result, target, hole).items():
                        rows.append((method, dataset, mask, key, metric, value, group, hole.mean()))
                    if index < gallery:
                        save(out / "cells" / identifier / "images" / f"{index}.png", result)
                if "fid" in metrics:
                    rows.append((method, dataset, mask, None, "fid", 40.0 + 9 * labels.index(method), None, None))
    suite = {
        "name": "synthetic",
        "seed": 2026,
        "version": "0.1.0",
        "identity": "0" * 64,
        "methods": [{"label": label, "kind": "callable", "callable": "x:y"} for label in labels],
        "datasets": [{"label": dataset, "name": dataset, "size": size} for dataset, _ in datasets],
        "masks": [{"label": mask, "name": mask} for mask in masks],
        "metrics": [*metrics, "lpips_squeeze"],
    }
    provenance = {
        "cells": cells,
        "environment": {"python": "3.11.9", "torch": "2.11.0", "device": "cpu", "device_name": "2 cores"},
        "skipped_metrics": [{"metric": "lpips_squeeze", "reason": "no weights: put squeezenet1_1.pth into WEIGHTS"}],
        "unreadable": [{"dataset": "sample", "path": "broken<1>.jpg", "reason": "truncated after 512 bytes"}],
        "failed": failures,
        "complexity": [
            {"method": label, **pool(costs)}
            for label in labels
            if (costs := [each["costs"] for each in cells.values() if each["method"] == label and "costs" in each])
        ],
        "capped": {"psnr": 2, "psnr_hole": 0},
    }
    names = ["method", "dataset", "mask", "image", "metric", "value", "group", "hole_ratio"]
    table = pd.DataFrame(rows, columns=names).astype({"value": float, "hole_ratio": float})
    table.to_parquet(out / "results.parquet", index=False)
    names = ["method", "dataset", "mask", "image", "seconds", "width", "height"]
    pd.DataFrame(timings, columns=names).to_parquet(out / "timings.parquet", index=False)
    (out / "suite.json").write_text(json.dumps(suite))
    (out / "provenance.json").write_text(json.dumps(provenance))
    return out


PROVENANCE = {
    "weights_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "code_version": "0.1.0",
    "git_commit": "abc1234",
    "suite_seed": 2026,
    "mask_identity": "1" * 64,
    "dataset_identity": "2" * 64,
    "precision": "fp32",
    "device": "cpu",
    "metrics": {"psnr": "torchmetrics 1.9.0", "ssim": "torchmetrics 1.9.0"},
}


if __name__ == "__main__":
    from inpaint_zoo.benchmark.report import write_report

    folder = write_run(
        sys.argv[1],
        methods=12,
        size=256,
        datasets=(("sample", 4), ("images", 9)),
        masks=("center", "lama_thick_256", "lama_thin_256"),
        metrics=("psnr", "ssim", "l1_percent", "l1_hole", "fid"),
        gallery=4,
    )
    sys.stdout.write(f"{write_report(folder)}\n")
