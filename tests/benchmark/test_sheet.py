"""`gallery.png`: every cell shows the right image."""

import numpy as np
from PIL import Image

from inpaint_zoo.benchmark.report import write_report
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.benchmark.report.sheet import _CELL, _GAP, _HEAD, _SIDE, ROWS, sheet
from tests.helpers.synthetic_run import write_run


def tile(canvas, row, column, size):
    x, y = _SIDE + column * (_CELL + _GAP), _HEAD + row * (_CELL + _GAP)
    return np.asarray(canvas)[y : y + size, x : x + size]


def test_rows_are_images_and_columns_methods(tmp_path):
    out = write_run(tmp_path / "run", methods=3, size=64, failed=(), missing=(), gallery=3)
    write_report(out)
    run = read_run(out)
    canvas = Image.open(out / "gallery.png")
    numbers = run.gallery_numbers("sample")
    assert canvas.size == (_SIDE + 5 * (_CELL + _GAP), _HEAD + min(len(numbers), ROWS) * (_CELL + _GAP))
    masks = [mask for _, mask in run.tables]
    for row, number in enumerate(numbers):
        mask = masks[row % len(masks)]  # the rows cycle through the mask sets
        target = np.asarray(Image.open(run.target_file("sample", number)).convert("RGB"))
        hole = np.asarray(Image.open(run.mask_file("sample", mask, number)).convert("L")) > 127
        assert np.array_equal(tile(canvas, row, 4, 64), target)
        masked = tile(canvas, row, 0, 64)
        assert np.array_equal(masked[~hole], target[~hole])
        assert len(np.unique(masked[hole], axis=0)) == 2  # the two stripes
        for column, method in enumerate(run.methods, start=1):
            result = np.asarray(Image.open(run.result_file((method, "sample", mask), number)).convert("RGB"))
            assert np.array_equal(tile(canvas, row, column, 64), result)


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
