"""A second, slow and simple version of the random kinds, written from the specification, stroke by stroke.

It shares no code with the package, neither for random numbers nor for strokes; both use OpenCV to draw.
"""

import math
import zlib

import cv2
import numpy as np

GAMMA, MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Sample:
    """The random numbers of one sample, slot by slot."""

    def __init__(self, seed, stream, index, attempts=()):
        key = mix(
            (mix((mix((seed + GAMMA) & MASK) + zlib.crc32(stream.encode()) + GAMMA) & MASK) + index + GAMMA) & MASK
        )
        for attempt in attempts:
            if attempt:
                key = mix((key + attempt * 0xD1B54A32D192ED03) & MASK)
        self.key = key

    def u(self, slot):
        return (mix((self.key + (slot + 1) * GAMMA) & MASK) >> 11) * 2.0**-53

    def whole(self, slot, a, b):
        """Return a random integer from a to b, both inclusive."""
        return a + math.floor(self.u(slot) * (b + 1 - a))

    def normal(self, slot):
        return math.sqrt(-2 * math.log(1 - self.u(slot))) * math.cos(2 * math.pi * self.u(slot + 1))


def clip(value, low, high):
    return max(low, min(high, value))


def lama_irregular(s, H, W, max_angle=4, max_len=200, max_width=100, min_times=1, max_times=5):
    canvas = np.zeros((H, W), np.uint8)
    for stroke in range(s.whole(0, min_times, max_times + 1)):
        o = 1 + 18 * stroke
        x, y = s.whole(o, 0, W - 1), s.whole(o + 1, 0, H - 1)
        for t in range(s.whole(o + 2, 1, 5)):
            angle = 0.01 + s.whole(o + 3 + 3 * t, 0, max_angle - 1)
            if stroke % 2 == 0:
                angle = 2 * 3.1415926 - angle
            length = 10 + s.whole(o + 4 + 3 * t, 0, max_len - 1)
            width = 5 + s.whole(o + 5 + 3 * t, 0, max_width - 1)
            end = (
                clip(int(x + length * math.sin(angle)), 0, W),
                clip(int(y + length * math.cos(angle)), 0, H),
            )
            cv2.line(canvas, (x, y), end, 1, width)
            x, y = end
    return canvas


def lama_box(s, H, W, margin=10, low=30, high=150, min_times=1, max_times=4):
    canvas = np.zeros((H, W), np.uint8)
    top = min(high + 1, H - 2 * margin, W - 2 * margin)
    for box in range(s.whole(0, min_times, max_times)):
        o = 1 + 4 * box
        w, h = s.whole(o, low, top - 1), s.whole(o + 1, low, top - 1)
        x, y = s.whole(o + 2, margin, W - margin - w), s.whole(o + 3, margin, H - margin - h)
        canvas[y : y + h, x : x + w] = 1
    return canvas


def brush_stroke(canvas, s, o, vertices, widths):
    H, W = canvas.shape
    nv = s.whole(o, *vertices)
    low = 2 * math.pi / 5 - s.u(o + 1) * 2 * math.pi / 15
    high = 2 * math.pi / 5 + s.u(o + 2) * 2 * math.pi / 15
    x, y = s.whole(o + 3, 0, W - 1), s.whole(o + 4, 0, H - 1)
    width = math.floor(widths[0] + s.u(o + 5) * (widths[1] - widths[0]))
    radius = math.sqrt(H * H + W * W) / 8
    points = [(x, y)]
    for k in range(nv):
        theta = low + s.u(o + 6 + 3 * k) * (high - low)
        if k % 2 == 0:
            theta = 2 * math.pi - theta
        r = clip(radius + (radius // 2) * s.normal(o + 7 + 3 * k), 0, 2 * radius)
        x, y = int(clip(x + r * math.cos(theta), 0, W)), int(clip(y + r * math.sin(theta), 0, H))
        points.append((x, y))
    cv2.polylines(canvas, [np.array(points, np.int32)], False, 1, width - 1)


def dfv2_brush(s, H, W):
    canvas = np.zeros((H, W), np.uint8)
    for stroke in range(s.whole(0, 1, 3)):
        brush_stroke(canvas, s, 1 + stroke * 39, (4, 11), (12, 40))
    return canvas


def cmod(s, H, W, lo=0.0, hi=1.0):
    c = min(lo + hi, 1)
    canvas = np.zeros((H, W), np.uint8)
    for stroke in range(s.whole(2, 0, max(1, int(20 * c)) - 1)):
        brush_stroke(canvas, s, 57 + 57 * stroke, (4, 17), (12, 48))
    if s.u(3) < 0.5:
        canvas = canvas[::-1].copy()
    if s.u(4) < 0.5:
        canvas = canvas[:, ::-1].copy()
    for count, first, h_max, w_max in (
        (s.whole(0, 0, max(1, int(10 * c)) - 1), 5, H // 2, W // 2),
        (s.whole(1, 0, max(1, int(5 * c)) - 1), 41, H, W),
    ):
        for k in range(count):
            w, h = s.whole(first + 4 * k, 0, w_max - 1), s.whole(first + 4 * k + 1, 0, h_max - 1)
            x = s.whole(first + 4 * k + 2, -(w // 2), W - w + w // 2 - 1)
            y = s.whole(first + 4 * k + 3, -(h // 2), H - h + h // 2 - 1)
            canvas[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = 1
    return canvas


def random_walk(s, H, W):
    canvas = np.zeros((H, W), np.uint8)
    row, column = s.whole(0, 0, H - 1), s.whole(1, 0, W - 1)
    for t in range(H * W):
        down, right = ((0, 1), (0, -1), (1, 0), (-1, 0))[int(4 * s.u(2 + t))]
        row, column = clip(row + down, 0, H - 1), clip(column + right, 0, W - 1)
        canvas[row, column] = 1
    return canvas
