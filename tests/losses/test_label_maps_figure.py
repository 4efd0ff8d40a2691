"""Test that docs/label_maps.png shows the current results of the code."""

import runpy

import numpy as np
from PIL import Image

from tests.conftest import REPOSITORY


def test_every_tile_of_the_figure_is_current():
    script = runpy.run_path(str(REPOSITORY / "docs" / "scripts" / "label_maps.py"))
    figure, side = Image.open(REPOSITORY / "docs" / "label_maps.png"), script["TILE"]
    rows = script["tiles"]()
    for row, columns in enumerate(rows.values()):
        for column, (title, values) in enumerate(columns.items()):
            x, y = script["place"](row, column)
            shown = np.asarray(figure.crop((x, y, x + side, y + side)), np.int16)
            # a share is rounded to a gray level, on either side of a tie
            difference = np.abs(shown - np.asarray(script["tile"](row, column, values), np.int16))
            assert difference.max() <= 1, title
    assert (len(rows), len(columns)) == (8, 7)
