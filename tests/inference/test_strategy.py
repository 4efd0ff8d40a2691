"""Strategies for images of any size: known pixels stay, holes are filled, tiles leave no seams, memory is respected."""

import importlib.util
import math
import subprocess
import sys
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import inpaint_zoo as iz
from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.inference.batch import fill_batch
from inpaint_zoo.inference.strategy import AnySize, format_bytes, parse_bytes
from inpaint_zoo.inference.strategy.any_size import MOST_PER_PIXEL
from inpaint_zoo.inference.strategy.coarse_to_fine import Level, level_sizes, shrunk
from inpaint_zoo.inference.strategy.crop import crops_of
from inpaint_zoo.inference.strategy.memory import WORKSPACE, activation_bytes, peak_of
from inpaint_zoo.inference.strategy.refine import Refiner
from inpaint_zoo.inference.strategy.tile import fill_tiles
from inpaint_zoo.inference.strategy.windows import grid, hole_depth, hole_windows
from inpaint_zoo.models.glama.network import LaMaGenerator
from tests.conftest import REPOSITORY
from tests.helpers.toy import toy

DIVIDING = ("crop", "tile", "coarse_to_fine")


@pytest.fixture(scope="module")
def small():
    """Return a network that counts images of up to 64 px as small."""
    net = toy().eval()
    net.training_size = 32
    return net


@pytest.fixture(scope="module")
def script():
    """Return the script that measures seams."""
    spec = importlib.util.spec_from_file_location("any_size", REPOSITORY / "benchmarks" / "speed" / "any_size.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def photo(size=128, seed=0):
    """Return a smooth image (1, 3, H, W) with grain."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0.05, 0.95)
    return (smooth + 0.03 * torch.randn(1, 3, size, size, generator=generator)).clamp(0, 1)


def boxes(size, *corners):
    hole = torch.zeros(1, 1, size, size, dtype=torch.bool)
    for top, left, bottom, right in corners:
        hole[..., top:bottom, left:right] = True
    return hole


@pytest.mark.parametrize("strategy", DIVIDING)
@settings(max_examples=8)
@given(st.integers(70, 110), st.integers(66, 100), st.data())
def test_known_pixels_stay_and_hidden_ones_do_not_matter(small, strategy, height, width, data):
    grown = data.draw(
        arrays(np.bool_, (-(-height // 8), -(-width // 8)), elements=st.sampled_from([False, False, True]))
    )
    hole = torch.from_numpy(np.kron(grown, np.ones((8, 8), bool))[:height, :width])[None, None]
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))
    hidden = torch.where(hole, torch.nan, image)
    filler = AnySize(small, strategy)
    result = fill_batch(filler, hidden, hole)
    assert torch.equal(result[~hole.expand_as(result)], image[~hole.expand_as(image)])
    assert torch.isfinite(result).all()
    assert torch.equal(result, fill_batch(AnySize(small, strategy), torch.where(hole, 0.3, image), hole))
    assert [choice.strategy for choice in filler.choices] == [strategy]


def test_every_hole_pixel_is_predicted_once_its_tile_runs():
    seen = []

    def fill(image, unknown):
        seen.append(tuple(image.shape[-2:]))
        assert not torch.isnan(image[~unknown.expand_as(image)]).any()  # nothing unfilled counts as known
        return torch.where(unknown, 0.5, image)

    hole = boxes(100, (10, 12, 90, 95))
    image = torch.where(hole, torch.nan, photo(100))
    result = fill_tiles(fill, image, hole, (48, 48), 6, 6)
    assert torch.allclose(result[hole.expand_as(result)], torch.tensor(0.5))
    assert set(seen) == {(48, 48)}
    assert len(seen) == 9


@given(st.integers(20, 300), st.sampled_from([32, 48, 64]))
def test_inner_parts_cover_the_image_and_overlap_by_the_blend(length, side):
    tiles = grid((length, length), (side, side), side // 8, side // 16 * 2)[0]
    assert tiles[0].inner.left == 0
    assert tiles[-1].inner.right == length
    for before, after in pairwise(tiles):
        assert before.inner.right - after.inner.left == side // 16 * 2
        assert before.window.right >= before.inner.right
        assert after.window.left <= after.inner.left
    assert all(each.window.width == min(side, length) for each in tiles)


def test_weights_leave_no_step_where_tiles_disagree():
    values = iter(np.linspace(0.2, 0.8, 9))
    hole = boxes(100, (0, 0, 100, 100))
    result = fill_tiles(lambda image, _: torch.full_like(image, next(values)), photo(100), hole, (48, 48), 6, 12)
    steps = torch.cat([(result[..., 1:] - result[..., :-1]).abs().flatten(), (result.diff(dim=-2)).abs().flatten()])
    assert float(steps.max()) < 0.6 / 4  # tiles differ by up to 0.6, blended over 12 pixels


@pytest.mark.parametrize("strategy", ["tile", "coarse_to_fine"])
def test_seams_are_as_smooth_as_their_surroundings(script, strategy):
    net = iz.create_model("autoencoder_tiny", weights="shipped")
    net.training_size = 32
    hole = boxes(128, (16, 16, 112, 112))
    filler = AnySize(net, strategy)
    result = fill_batch(filler, photo(128), hole)
    side = filler.choices[0].largest[0]
    pixels = np.rint(255 * result[0].permute(1, 2, 0).numpy()).astype(np.uint8)
    borders = script.borders_of(script.Window(0, 0, 128, 128), (side, side), side // 8, side // 16 * 2)
    assert len(borders[0]) == len(borders[1]) >= 2
    assert script.seam_ratio(pixels, hole[0, 0].numpy(), borders) < 1.2


def test_the_seam_ratio_sees_a_seam(script):
    pixels = np.full((64, 64, 3), 100, np.uint8) + np.random.default_rng(0).integers(0, 4, (64, 64, 3), dtype=np.uint8)
    hole = np.ones((64, 64), bool)
    assert script.seam_ratio(pixels, hole, ([32], [20, 40])) == pytest.approx(1, abs=0.15)
    pixels[:, 32:] += 30
    assert script.seam_ratio(pixels, hole, ([], [32])) > 5


def test_separate_holes_are_cropped_and_filled_separately(small):
    hole = boxes(256, (10, 10, 30, 30), (200, 210, 230, 240), (100, 60, 110, 80))
    crops = crops_of(hole, 32, 8)
    assert len(crops) == 3
    assert sum(int(crop.hole.sum()) for crop in crops) == int(hole.sum())
    assert all(max(crop.window.height, crop.window.width) <= 64 for crop in crops)
    image = photo(256)
    together = fill_batch(AnySize(small, "crop"), image, hole)
    alone = image
    for crop in crops:
        rows, columns = crop.window.slices
        alone = alone.clone()
        alone[..., rows, columns] = fill_batch(iz.optimize(small), alone[..., rows, columns], crop.hole)
    assert torch.equal(together, alone)


def test_many_specks_share_windows():
    hole = np.zeros((512, 512), bool)
    hole[::37, ::41] = True
    windows = hole_windows(hole, 64)
    assert len(windows) == 1
    apart = np.zeros((512, 512), bool)
    apart[0, 0] = apart[511, 511] = True
    assert [tuple(box) for box, _ in hole_windows(apart, 64)] == [(0, 0, 1, 1), (511, 511, 512, 512)]


def test_auto_follows_model_hole_and_memory(small):
    def chosen(size, hole, **options):
        filler = AnySize(small, **options)
        fill_batch(filler, photo(size), hole)
        return filler.choices[0].strategy

    assert chosen(64, boxes(64, (5, 5, 60, 60))) == "full"
    assert chosen(128, boxes(128, (5, 5, 20, 20), (90, 90, 110, 110))) == "crop"
    assert chosen(128, boxes(128, (5, 5, 105, 105))) == "coarse_to_fine"
    assert chosen(128, boxes(128, *((row, 0, row + 4, 128) for row in range(8, 120, 16)))) == "tile"
    function = AnySize(lambda image, mask: torch.where(mask > 0.5, 0.5, image))
    fill_batch(function, photo(128), boxes(128, (5, 5, 105, 105)))
    assert function.choices[0].strategy == "full"
    telea = AnySize(iz.create_model("telea"))
    fill_batch(telea, photo(96), boxes(96, (5, 5, 10, 10)))
    assert telea.choices[0].strategy == "full"


def test_a_small_memory_makes_smaller_parts_and_none_an_error(small):
    hole = boxes(256, (20, 20, 230, 230))
    large, less = AnySize(small, "tile"), AnySize(small, "tile")
    fill_batch(large, photo(256), hole)
    less.max_memory = large.choices[0].needed - activation_bytes(small, 64, 64) // 2
    fill_batch(less, photo(256), hole)
    assert large.choices[0].largest == (64, 64)
    assert less.choices[0].largest == (32, 32)
    assert less.choices[0].needed <= less.max_memory
    for strategy in ("full", "crop", "auto"):
        with pytest.raises(ZooError, match=r"256 x 256 does not fit into the maximum of 10 MiB: .* takes about"):
            fill_batch(AnySize(small, strategy, max_memory="10 MiB"), photo(256), hole)


def test_a_batch_that_does_not_fit_runs_one_by_one(small):
    images, holes = torch.cat([photo(64), photo(64, 1)]), boxes(64, (5, 5, 60, 60)).expand(2, 1, 64, 64)
    whole, less = AnySize(small, max_memory="1 TiB"), AnySize(small)
    together = fill_batch(whole, images, holes)
    less.max_memory = whole.choices[0].needed - activation_bytes(small, 64, 64) // 2
    alone = fill_batch(less, images, holes)
    assert [len(whole.choices), len(less.choices)] == [1, 2]
    assert torch.allclose(together, alone, atol=1e-6)


def test_long_narrow_crops_are_tiled_at_their_smallest_level(small):
    image = torch.rand(1, 3, 24, 600, generator=torch.Generator().manual_seed(0))
    hole = torch.zeros(1, 1, 24, 600, dtype=torch.bool)
    hole[..., 4:20, 20:580] = True
    seen = []
    handle = small.register_forward_pre_hook(lambda _, inputs: seen.append(max(inputs[0].shape[-2:])))
    try:
        result = fill_batch(AnySize(small, "coarse_to_fine", fast=False), image, hole)
    finally:
        handle.remove()
    assert torch.isfinite(result).all()
    assert max(seen) <= 64


def test_estimates_hold_for_activations():
    for name in ("glama_tiny", "lgnet_tiny", "contextual_attention_tiny"):
        net = iz.create_model(name)
        side = max(64, net.min_size)
        image, mask = torch.zeros(1, 3, side, side), torch.zeros(1, 1, side, side)
        mask[..., 8:40, 8:40] = 1
        with torch.no_grad():
            real = peak_of(partial(net.stages_unchecked, image, mask))
        assert real == pytest.approx(activation_bytes(net, side, side) / WORKSPACE, rel=0.2)


@pytest.mark.parametrize("name", [name for name in iz.list_models("*_tiny") if iz.model_info(name).learned])
def test_no_network_needs_more_than_the_limit_per_pixel(name):
    net = iz.create_model(name)
    for side in (16, net.training_size):
        pixels = max(side, net.min_size) ** 2
        assert activation_bytes(net, side, side) < MOST_PER_PIXEL * pixels


def test_small_images_import_no_compiler():
    """They need no estimate; its imports take longer than `import torch`."""
    code = """
import sys, torch, inpaint_zoo as iz
from inpaint_zoo.inference import AnySize
for limit in (None, "4GiB"):
    filler = AnySize(iz.create_model("isnet_tiny"), max_memory=limit)
    filler(torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64))
    assert filler.choices == [("full", (64, 64), (64, 64), None)], filler.choices
print({"torch._dynamo", "sympy", "torch._inductor"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_attention_grows_faster_than_the_image():
    net = iz.create_model("lgnet_tiny")
    side = net.divisor
    assert activation_bytes(net, 4 * side, 4 * side) > 20 * activation_bytes(net, side, side)


@settings(max_examples=30)
@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([64, 256]))
def test_levels_double_up_to_the_size(height, width, longest):
    sizes = level_sizes((height, width), longest)
    assert sizes[-1] == (height, width)
    assert max(sizes[0]) <= longest or min(sizes[0]) < 32
    for smaller, larger in pairwise(sizes):
        assert smaller == (-(-larger[0] // 2), -(-larger[1] // 2))


def test_shrunk_levels_hold_means_of_known_pixels():
    image, hole = photo(33), boxes(33, (4, 4, 9, 9))
    level = shrunk(Level(torch.where(hole, torch.nan, image), hole), (17, 17))
    assert torch.isfinite(level.image).all()
    assert 9 <= int(level.hole.sum()) <= 16
    whole = torch.nn.functional.interpolate(image, (17, 17), mode="area")
    assert torch.allclose(level.image[~level.hole.expand_as(whole)], whole[~level.hole.expand_as(whole)], atol=1e-6)


def test_coarse_to_fine_keeps_the_structure_of_the_smallest_level(small):
    image, hole = photo(128), boxes(128, (8, 8, 120, 120))
    result = fill_batch(AnySize(small, "coarse_to_fine"), image, hole)
    least = shrunk(Level(image, hole), (32, 32))
    coarse = fill_batch(iz.optimize(small), *least)
    difference = torch.nn.functional.interpolate(result, (32, 32), mode="area") - coarse
    assert float(difference[least.hole.expand_as(difference)].abs().mean()) < 0.1


def small_lama():
    """Return a LaMa of two blocks with random weights that counts images of up to 64 px as small."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = LaMaGenerator(blocks=2, width=8, downsamplings=2).eval()
    net.training_size = 32
    return net


def test_refinement_reduces_the_difference_to_the_scale_below():
    net = iz.create_model("glama_tiny", weights="shipped")
    image, hole = photo(64), boxes(64, (12, 12, 52, 52))
    coarse = (
        fill_batch(net, *shrunk(Level(image, hole), (32, 32))) * 0.8 + 0.1
    )  # a target that the network does not meet
    inside = torch.nn.functional.interpolate(hole.float(), (32, 32), mode="area") > 0.99

    def difference(result):
        small = torch.nn.functional.interpolate(result, (32, 32), mode="bilinear", antialias=True)
        return float((small - coarse).abs()[inside.expand_as(small)].mean())

    before = {name: value.clone() for name, value in net.state_dict().items()}
    refined = Refiner(net, math.inf)(image, hole, coarse)
    assert difference(refined) < 0.99 * difference(fill_batch(net, image, hole))
    assert torch.equal(refined[~hole.expand_as(image)], image[~hole.expand_as(image)])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert Refiner(net, 0)(image, hole, coarse) is None


def test_refine_is_an_option_of_lama_alone(small):
    hole = boxes(96, (8, 8, 80, 80))
    net = small_lama()
    plain, refined = (fill_batch(AnySize(net, refine=refine), photo(96), hole) for refine in (False, True))
    assert not torch.equal(plain, refined)
    with pytest.raises(ZooError, match="does not have: use lama"):
        AnySize(small, refine=True)
    with pytest.raises(ZooError, match="coarse_to_fine only, got 'tile'"):
        AnySize(net, "tile", refine=True)


def test_inpaint_and_arrays_take_strategies(small):
    image = np.rint(255 * photo(128)[0].permute(1, 2, 0).numpy()).astype(np.uint8)
    hole = boxes(128, (8, 8, 100, 100))[0, 0].numpy()
    results = [iz.inpaint(small, image, hole, strategy=strategy) for strategy in ("full", *DIVIDING)]
    assert all(np.array_equal(result[~hole], image[~hole]) for result in results)
    assert not np.array_equal(results[0], results[3])
    filler = AnySize(small, "crop", max_memory=parse_bytes("4GiB"))
    np.testing.assert_array_equal(iz.inpaint(filler, image, hole), results[1])
    assert filler.choices[0].size == (128, 128)
    with pytest.raises(UnknownNameError, match="Did you mean 'tile'"):
        iz.inpaint(small, image, hole, strategy="tiles")
    with pytest.raises(ZooError, match=r"such as 4GiB or 800MB, got '4 apples'"):
        iz.inpaint(small, image, hole, max_memory="4 apples")


@pytest.mark.parametrize(("text", "count"), [("4GiB", 4 * 2**30), ("800 mb", 800 * 10**6), ("2e9", 2 * 10**9)])
def test_sizes_of_memory(text, count):
    assert parse_bytes(text) == count
    assert format_bytes(count).endswith("iB")


def test_depth_of_holes():
    assert hole_depth(boxes(64, (10, 0, 20, 64))[0, 0].numpy()) == pytest.approx(5, abs=0.6)
    assert hole_depth(np.ones((8, 8), bool)) == math.inf


def test_tiles_of_a_small_image_are_recorded_with_its_size(small):
    model = AnySize(small, "tile")
    hole = torch.zeros(1, 1, 24, 40, dtype=torch.bool)
    hole[..., 8:12, 8:12] = True
    fill_batch(model, torch.rand(1, 3, 24, 40), hole)
    assert model.choices[0].largest == (24, 40)
    assert model.choices[0].strategy == "tile"
