"""What the page does with images and masks, without the page."""

import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.demo.session import (
    Session,
    generated_hole,
    open_image,
    open_sample,
    painted_hole,
    uploaded_hole,
)
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.drawing import HOLE
from inpaint_zoo.io.images import ImageError


def saved(path, array):
    Image.fromarray(array).save(path)
    return str(path)


def test_painted_pixels_are_added_to_a_mask_that_was_made():
    image = open_sample("chelsea")
    session = Session(image)
    session.made = generated_hole("every_n_lines", image.size, seed=3)
    layer = np.zeros((*image.size, 4), np.uint8)
    layer[:9] = 255
    hole = session.marked({"background": None, "layers": [layer]})
    assert hole[:9].all()
    assert np.array_equal(hole[9:], session.made[9:])
    shown = session.background()
    assert (shown[session.made] == HOLE).all()
    assert np.array_equal(shown[~session.made], image.rgb[~session.made])


def test_half_transparent_edges_of_the_brush_are_hole():
    layer = np.zeros((4, 4, 4), np.uint8)
    layer[1, 1, 3] = 1
    assert painted_hole({"layers": [layer]}, (4, 4)).sum() == 1


@pytest.mark.parametrize("editor", [None, {}, {"layers": []}, {"layers": [np.zeros((300, 451, 4), np.uint8)]}])
def test_nothing_painted(editor):
    with pytest.raises(ZooError, match="There is no mask yet"):
        Session(open_sample("chelsea")).marked(editor)


def test_a_layer_of_another_image():
    with pytest.raises(ZooError, match="The painted mask has 6 x 4 pixels, but the image has 8 x 4"):
        painted_hole({"layers": [np.full((4, 6, 4), 255, np.uint8)]}, (4, 8))


def test_an_uploaded_mask_is_read_as_on_the_command_line(tmp_path):
    gray = np.zeros((6, 9), np.uint8)
    gray[2:4] = 255
    path = saved(tmp_path / "mask.png", gray)
    hole, doubts = uploaded_hole(path, (6, 9), invert=False, limit=100)
    assert np.array_equal(hole, gray == 255)
    assert doubts == []
    hole, doubts = uploaded_hole(path, (6, 9), invert=True, limit=100)
    assert np.array_equal(hole, gray == 0)
    assert "is it inverted?" in doubts[0]
    with pytest.raises(ZooError, match="The mask has 9 x 6 pixels, but the image has 6 x 9"):
        uploaded_hole(path, (9, 6), invert=False, limit=100)


def test_messages_about_an_upload_have_no_path(tmp_path):
    path = saved(tmp_path / "large.png", np.zeros((20, 30, 3), np.uint8))
    image, name = open_image(path, 600)
    assert (image.size, name) == ((20, 30), "large")
    with pytest.raises(ImageError, match=r"^large\.png: 600 pixels are more than the 599 allowed"):
        open_image(path, 599)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ImageError, match=r"^text\.png: "):
        open_image(str(tmp_path / "text.png"), 599)


def test_a_session_writes_what_is_compared_under_names_for_downloads(tmp_path):
    image = open_sample("chelsea")
    hole = np.zeros(image.size, np.bool_)
    hole[:5] = True
    session = Session(image, "a/../b: ü", hole, tmp_path)
    session.write_inputs()
    session.write("progressive:isnet_tiny", 255 - image.rgb)
    files = {path.name: np.asarray(Image.open(path)) for path in tmp_path.iterdir()}
    assert sorted(files) == [f"a____b_ ü_{label}.png" for label in ("masked", "original", "progressive_isnet_tiny")]
    assert np.array_equal(files["a____b_ ü_original.png"], image.rgb)
    assert np.array_equal(files["a____b_ ü_progressive_isnet_tiny.png"], 255 - image.rgb)
    assert (files["a____b_ ü_masked.png"][:5] == HOLE).all()
    assert np.array_equal(files["a____b_ ü_masked.png"][5:], image.rgb[5:])
    with pytest.raises(ZooError, match="There is no image yet"):
        Session().opened()


def test_results_of_a_long_name_are_different_files_that_can_be_written(tmp_path):
    session = Session(open_sample("chelsea"), "名" * 120, np.ones((300, 451), np.bool_), tmp_path)
    session.write_inputs()
    assert len(list(tmp_path.iterdir())) == 2
