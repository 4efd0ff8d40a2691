"""`gallery.png`: every cell shows the right image."""

import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.benchmark.report import write_report
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.benchmark.report.sheet import CELL, COLUMNS, GAP, HEAD, SIDE, sheet
from tests.helpers.synthetic_run import write_run


def tile(canvas, line, column, size):
    x, y = SIDE + column * (CELL + GAP), HEAD + line * (HEAD + CELL + GAP)
    return np.asarray(canvas)[y : y + size, x : x + size]


@pytest.mark.parametrize(("methods", "columns", "lines"), [(3, 5, 1), (9, COLUMNS, 2)])
def test_each_image_has_the_results_of_all_methods(methods, columns, lines, tmp_path):
    out = write_run(tmp_path / "run", methods=methods, size=64, failed=(), missing=(), gallery=3)
    write_report(out)
    run = read_run(out)
    canvas = Image.open(out / "gallery.png")
    numbers = run.gallery_numbers("sample")[: 4 // lines]
    assert canvas.size == (SIDE + columns * (CELL + GAP), len(numbers) * lines * (HEAD + CELL + GAP))
    masks = [mask for _, mask in run.tables]
    for row, number in enumerate(numbers):
        mask = masks[row % len(masks)]  # the images cycle through the mask sets
        target = np.asarray(Image.open(run.target_file("sample", number)).convert("RGB"))
        hole = np.asarray(Image.open(run.mask_file("sample", mask, number)).convert("L")) > 127
        results = [run.result_file((method, "sample", mask), number) for method in run.methods]
        shown = [*(np.asarray(Image.open(file).convert("RGB")) for file in results), target]
        masked = tile(canvas, row * lines, 0, 64)
        assert np.array_equal(masked[~hole], target[~hole])
        assert len(np.unique(masked[hole], axis=0)) == 2  # the two stripes
        for place, expected in enumerate(shown, start=1):
            assert np.array_equal(tile(canvas, row * lines + place // columns, place % columns, 64), expected)


def test_missing_cells_stay_blank_and_no_images_no_sheet(tmp_path):
    out = write_run(tmp_path / "run", methods=3, size=64, gallery=2)  # one cell failed, one never ran
    run = read_run(out)
    assert run.missing
    assert sheet(run)
    (tmp_path / "bare").mkdir()
    bare = write_run(tmp_path / "bare", methods=2, size=32, failed=(), missing=(), gallery=0)
    assert sheet(read_run(bare)) is None
    write_report(bare)
    assert not (bare / "gallery.png").exists()
