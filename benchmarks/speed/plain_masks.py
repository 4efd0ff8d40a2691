"""Plain mask generators in the style of the authors' code, rewritten from docs/papers/masks.md: the speed reference.

Each call makes one mask, with NumPy's global generator, one scalar at a time. Canvases are float32. Pillow is used if
the authors draw with Pillow, OpenCV if they draw with OpenCV, and tensors if they use tensors (Contextual Attention).
NTIRE's detour through PNG files and the multiplication with the image are left out, which makes these generators
faster.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw

Mask = np.ndarray
Maker = Callable[[int, int], Mask]
rng = np.random


def irregular(H: int, W: int, angle: int, length: int, width: int, times: tuple[int, int]) -> Mask:
    """Return LaMa's irregular mask: chains of lines, each drawn as soon as it is sampled."""
    mask = np.zeros((H, W), np.float32)
    for stroke in range(rng.randint(times[0], times[1] + 2)):
        x, y = rng.randint(W), rng.randint(H)
        for _ in range(1 + rng.randint(5)):
            a = 0.01 + rng.randint(angle)
            if stroke % 2 == 0:
                a = 2 * 3.1415926 - a
            reach, thick = 10 + rng.randint(length), 5 + rng.randint(width)
            end_x = np.clip((x + reach * np.sin(a)).astype(np.int32), 0, W)
            end_y = np.clip((y + reach * np.cos(a)).astype(np.int32), 0, H)
            cv2.line(mask, (int(x), int(y)), (int(end_x), int(end_y)), 1.0, int(thick))
            x, y = end_x, end_y
    return mask[None]


def box(H: int, W: int, margin: int, low: int, high: int, times: tuple[int, int]) -> Mask:
    """Return LaMa's mask of filled boxes."""
    mask = np.zeros((H, W), np.float32)
    top = min(high + 1, H - margin * 2, W - margin * 2)
    for _ in range(rng.randint(times[0], times[1] + 1)):
        w, h = rng.randint(low, top), rng.randint(low, top)
        x, y = rng.randint(margin, W - margin - w + 1), rng.randint(margin, H - margin - h + 1)
        mask[y : y + h, x : x + w] = 1
    return mask[None]


def superres(H: int, W: int) -> Mask:
    """Return LaMa's super-resolution mask of rows and columns."""
    mask = np.zeros((H, W), np.float32)
    for lines in (mask, mask.T):
        step = rng.randint(2, 5)
        width, offset = rng.randint(1, min(step, 4)), rng.randint(0, step)
        for d in range(width):
            lines[offset + d :: step] = 1
    return mask[None]


def outpainting(H: int, W: int) -> Mask:
    """Return LaMa's outpainting mask of strips along the borders."""
    mask = np.zeros((H, W), np.float32)
    p = [rng.randint(int(0.04 * side), int(0.25 * side)) / side for side in (W, H, W, H)]
    sides = [slice(None, int(p[0] * W)), slice(None, int(p[1] * H))]
    sides += [slice(int((1 - p[2]) * W), None), slice(int((1 - p[3]) * H), None)]
    fired = [rng.random() < 0.5 for _ in range(4)]
    if not any(fired):
        fired[rng.choice(range(4), p=[0.25] * 4)] = True
    for k, (on, side) in enumerate(zip(fired, sides, strict=True)):
        if on:
            mask[(slice(None), side) if k % 2 == 0 else (side, slice(None))] = 1
    return mask[None]


def dumb(H: int, W: int) -> Mask:
    """Return LaMa's mask of one random box."""
    mask = np.zeros((H, W), np.float32)
    h, w = (round((0.1**0.5 + rng.random() * (0.35**0.5 - 0.1**0.5)) * side) for side in (H, W))
    y, x = rng.randint(0, H - h), rng.randint(0, W - w)
    mask[y : y + h, x : x + w] = 1
    return mask[None]


def choose(parts: list[tuple[float, Maker]]) -> Maker:
    """Return a generator that chooses one of the generators by weight, as in LaMa's mixture."""
    weights = np.array([weight for weight, _ in parts])
    shares = weights / weights.sum()
    return lambda H, W: parts[rng.choice(len(parts), p=shares)][1](H, W)


def best_of_5(make: Maker) -> Maker:
    """Return a generator that makes five masks and picks one with at most half hole, as in LaMa's evaluation."""

    def pick(H: int, W: int) -> Mask:
        while True:
            masks = [mask for mask in (make(H, W) for _ in range(5)) if mask.mean() <= 0.5]
            if masks:
                return masks[rng.randint(len(masks))]

    return pick


def brush_stroke(draw: ImageDraw.ImageDraw, H: int, W: int, vertices: int, widths: tuple[int, int]) -> None:
    """Draw a DeepFillv2 stroke: one line of constant width with a disc at every vertex."""
    radius = math.sqrt(H * H + W * W) / 8
    turns = rng.randint(4, vertices + 1)
    low = 2 * math.pi / 5 - rng.uniform(0, 2 * math.pi / 15)
    high = 2 * math.pi / 5 + rng.uniform(0, 2 * math.pi / 15)
    angles = []
    for k in range(turns):
        angle = rng.uniform(low, high)
        angles.append(2 * math.pi - angle if k % 2 == 0 else angle)
    points = [(int(rng.randint(0, W)), int(rng.randint(0, H)))]
    for k in range(turns):
        r = np.clip(rng.normal(loc=radius, scale=radius // 2), 0, 2 * radius)
        x = np.clip(points[-1][0] + r * math.cos(angles[k]), 0, W)
        y = np.clip(points[-1][1] + r * math.sin(angles[k]), 0, H)
        points.append((int(x), int(y)))
    width = int(rng.uniform(*widths))
    draw.line(points, fill=1, width=width)
    for x, y in points:
        draw.ellipse((x - width // 2, y - width // 2, x + width // 2, y + width // 2), fill=1)


def dfv2_brush(H: int, W: int) -> Mask:
    """Return DeepFillv2's mask of brush strokes."""
    image = Image.new("L", (W, H), 0)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.randint(1, 4)):
        brush_stroke(draw, H, W, 11, (12, 40))
    return np.asarray(image, np.float32)[None]


def ca_box(H: int, W: int) -> torch.Tensor:
    """Return the box of Contextual Attention: a batch of one, computed with tensors from the start."""
    top, left = rng.randint(0, H - 128), rng.randint(0, W - 128)
    boxes = torch.tensor([[top, left, 128, 128]], dtype=torch.int64)
    mask = torch.zeros((1, 1, H, W), dtype=torch.float32)
    for k, (y, x, h, w) in enumerate(boxes):
        dh, dw = rng.randint(17), rng.randint(17)
        mask[k, :, y + dh : y + h - dh, x + dw : x + w - dw] = 1.0
    return mask[0]


def cmod(H: int, W: int) -> Mask:
    """Return CMOD's mask of strokes and rectangles, for a square canvas."""
    while True:
        mask = np.ones((H, W), np.uint8)
        for most, count in ((H // 2, 10), (H, 5)):
            for _ in range(rng.randint(count)):
                w, h = rng.randint(most), rng.randint(most)
                x, y = rng.randint(-(w // 2), W - w + w // 2), rng.randint(-(h // 2), H - h + h // 2)
                mask[max(y, 0) : min(max(y + h, 0), H), max(x, 0) : min(max(x + w, 0), W)] = 0
        brush = Image.new("L", (W, H), 0)
        draw = ImageDraw.Draw(brush)
        for _ in range(rng.randint(20)):
            brush_stroke(draw, H, W, 17, (12, 48))
        layer = np.asarray(brush, np.uint8)
        if rng.random() > 0.5:
            layer = np.flip(layer, 0)
        if rng.random() > 0.5:
            layer = np.flip(layer, 1)
        mask = np.logical_and(mask, 1 - layer)
        if 0 < 1 - np.mean(mask) < 1:
            return mask[None].astype(np.float32)


def every_n_lines(H: int, W: int) -> Mask:
    """Return NTIRE's mask in which every n-th row or column is hole."""
    n, vertical = (2, 3, 4, 5)[rng.randint(4)], rng.random() < 0.5
    mask = np.zeros((H, W), np.float32)
    if vertical:
        mask[:, ::n] = 1
    else:
        mask[::n] = 1
    return mask[None]


def completion(H: int, W: int) -> Mask:
    """Return NTIRE's mask in which a share of the image from one side is hole."""
    ratio, vertical, reverse = rng.uniform(0.2, 0.8), rng.random() < 0.5, rng.random() < 0.5
    mask = np.zeros((H, W), np.float32)
    if vertical:
        mask[: int(H * ratio)] = 1
    else:
        mask[:, : int(W * ratio)] = 1
    return (1 - mask if reverse else mask)[None]


def expand(H: int, W: int) -> Mask:
    """Return NTIRE's mask in which everything but a central square is hole."""
    q = (min(H, W) // (4, 3, 2)[rng.randint(3)]) // 2
    mask = np.ones((H, W), np.float32)
    mask[H // 2 - q : H // 2 + q, W // 2 - q : W // 2 + q] = 0
    return mask[None]


def nearest_neighbor(H: int, W: int) -> Mask:
    """Return NTIRE's mask in which everything but the pixels of a grid is hole."""
    scale = (2, 3, 4)[rng.randint(3)]
    mask = np.ones((H, W), np.float32)
    mask[::scale, ::scale] = 0
    return mask[None]


def random_walk(H: int, W: int) -> Mask:
    """Return the pixels visited by a random walk: step by step, then all pixels are set at once."""
    moves = np.array([[0, 1], [0, -1], [1, 0], [-1, 0]])
    mask = np.zeros((H, W), np.float32)
    x, y = rng.randint(H), rng.randint(W)
    rows, columns = [], []
    for _ in range(H * W):
        step = moves[rng.randint(4)]
        x, y = min(max(x + step[0], 0), H - 1), min(max(y + step[1], 0), W - 1)
        rows.append(x)
        columns.append(y)
    mask[np.array(rows), np.array(columns)] = 1
    return mask[None]
