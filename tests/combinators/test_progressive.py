"""Test `progressive`: schedules against a direct implementation, passes and synchronizations, names and weights."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.utils._python_dispatch import TorchDispatchMode

import inpaint_zoo as iz
from inpaint_zoo.interfaces import InpaintingNetwork
from tests.helpers.fill import read_vector, vector_image
from tests.helpers.recorded import close, recorded_net
from tests.helpers.toy import toy

WAITS = {"item", "tolist", "numpy", "cpu", "nonzero", "__bool__", "__int__", "__float__", "__index__", "__array__"}


class Recorder(InpaintingNetwork):
    """Network that fills with the mean of its input plus a ramp, so that passes differ, and records its inputs.

    Its value range and padding differ from those of the outer network.
    """

    value_range = (-1.0, 1.0)
    hole_value = -1.0
    divisor = 16

    def __init__(self):
        super().__init__()
        self.fed = []

    def predict(self, image, mask):
        self.fed.append((image.clone(), mask.clone()))
        ramp = torch.linspace(-0.5, 0.5, image.shape[-1])
        return {"prediction": image.mean(dim=(1, 2, 3), keepdim=True) + ramp.expand_as(image)}


def hole(rows, columns, side=64):
    mask = torch.zeros(1, 1, side, side)
    mask[..., slice(*rows), slice(*columns)] = 1
    return mask


def scene(batch, side=64, seed=0):
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(seed))


def plain(net, image, mask, kernel_size, threshold, max_iterations):
    """Process one sample like the released code: SciPy's gray dilation of the known region, one pass at a time."""

    def share(known):
        return np.count_nonzero(known == 0) / known.size

    def filled(completed, known):
        pixels = torch.from_numpy(1 - known)[None, None].float()
        *_, raw = net.stages(completed, pixels).values()
        return torch.where(pixels > 0, raw.clamp(0, 1), completed)

    known = 1 - mask[0, 0].numpy()
    frames = [(filled(image, known), known)]
    while share(known) > threshold and len(frames) <= max_iterations:
        known = ndimage.grey_dilation(known, size=(kernel_size, kernel_size))
        frames.append((filled(frames[-1][0], known), known))
    return frames


# what docs/papers/isnet.md, "Progressive reconstruction" counts: rows, columns, kernel -> passes, hole pixels of the
# last one, its share
COUNTED = [
    ((48, 208), (48, 208), 5, 10_816, 0.165039),
    ((0, 256), (0, 100), 8, 13_056, 0.199219),  # it does not shrink from the border
    ((10, 246), (10, 246), 10, 12_100, 0.184631),
]


@pytest.mark.parametrize(("rows", "columns", "passes", "pixels", "share"), COUNTED)
def test_schedules_of_the_specification(rows, columns, passes, pixels, share):
    frames = iz.progressive(iz.create_model("mean_fill")).frames(scene(1, 256), hole(rows, columns, 256))[0]
    assert len(frames) == passes
    assert int(frames[-1].hole.sum()) == pixels
    assert frames[-1].hole.mean().item() == pytest.approx(share, abs=1e-6)


def test_one_stray_known_pixel_opens_a_window():
    mask = hole((48, 208), (48, 208), 256)
    mask[..., 128, 128] = 0
    net = iz.progressive(iz.create_model("mean_fill"))
    frames = net.frames(scene(1, 256), mask)[0]
    assert (len(frames), int(frames[-1].hole.sum())) == (4, 12_075)


@pytest.mark.parametrize(
    ("kernel_size", "threshold", "limit"), [(15, 0.2, 10), (3, 0.05, 4), (9, 0.5, 10), (5, 0.0, 10)]
)
def test_every_sample_goes_as_the_released_code(kernel_size, threshold, limit):
    net = iz.progressive(toy().eval(), kernel_size, threshold, limit)
    noise = (torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(3)) > 0.02).float()
    masks = [hole((8, 56), (10, 58)), hole((0, 64), (0, 30)), hole((3, 5), (7, 20)), noise, hole((0, 50), (20, 64))]
    image, mask = scene(len(masks)), torch.cat(masks)
    with torch.no_grad():
        together = net.frames(image, mask)
        out = net(image, mask)
        for k, frames in enumerate(together):
            expected = plain(net.network, image[k : k + 1], mask[k : k + 1], kernel_size, threshold, limit)
            assert len(frames) == len(expected)
            for frame, (completed, known) in zip(frames, expected, strict=True):
                assert torch.equal(frame.hole[0], torch.from_numpy(1 - known))
                torch.testing.assert_close(frame.image, completed[0], atol=1e-5, rtol=0)
            assert torch.equal(out[k], frames[-1].image)
    assert len({len(frames) for frames in together}) > 1
    untouched = (mask == 0).expand_as(image)
    assert torch.equal(out[untouched], image[untouched])


def test_the_recorded_output_around_isnet():
    vector = read_vector("isnet_pra_64")
    net = iz.progressive(recorded_net("isnet"))
    mask = hole((8, 56), (10, 58))
    with torch.no_grad():
        (frames,) = net.frames(vector_image(64, 64), mask)
    assert [frame.hole.mean().item() for frame in frames] == vector["hole_ratio_sequence"]
    assert int(frames[-1].hole.sum()) == vector["final_hole_pixels"]
    close(frames[-1].image[None], vector, 1e-5)


def test_a_rim_that_is_known_never_changes_again():
    net = iz.progressive(Recorder(), kernel_size=7, threshold=0.1)
    frames = net.frames(scene(1), hole((4, 60), (6, 61)))[0]
    assert len(frames) > 4
    for before, after in pairwise(frames):
        kept = (after.hole == 0).expand_as(after.image)
        assert torch.equal(after.image[kept], before.image[kept])
        assert not torch.equal(after.image, before.image)


def test_the_share_is_compared_strictly_and_by_whole_pixels():
    def passes(mask, threshold):
        return len(iz.progressive(Recorder(), threshold=threshold).frames(scene(1, 40), mask)[0])

    fifth = hole((16, 24), (0, 40), 40)  # 320 of 1600 pixels: 0.2 in float32 is more than 0.2 in double
    assert passes(fifth, 0.2) == 1
    fifth[..., 30, 30] = 1
    assert passes(fifth, 0.2) == 2
    share = hole((0, 29), (0, 16), 40)  # 464 of 1600: 0.29 * 1600 is less than 464 in double
    assert passes(share, 0.29) == 1
    share[..., 39, 39] = 1
    assert passes(share, 0.29) > 1


def test_finished_samples_are_not_passed_again_and_the_network_sees_its_own_range_and_sides():
    net = iz.progressive(Recorder(), kernel_size=7, threshold=0.2)
    masks = [hole((3, 5), (3, 5), 40), hole((2, 38), (2, 38), 40), hole((8, 32), (8, 32), 40)]
    image, mask = scene(3, 40), torch.cat(masks)
    counts = [len(frames) for frames in net.frames(image, mask)]
    assert counts == [1, 5, 3]  # 30, 24, 18 and 12 pixels a side of 40; 18 and 12
    net.network.fed.clear()
    net(image, mask)
    fed = net.network.fed
    assert [len(images) for images, _ in fed] == [sum(count > number for count in counts) for number in range(5)]
    for images, holes in fed:
        assert images.shape[-2:] == (48, 48)
        assert (images[holes.expand_as(images) > 0] == -1).all()
        assert images.amax() <= 1
        assert images.amin() >= -1


@pytest.mark.parametrize(("side", "together"), [(256, [1, 1, 1]), (176, [2, 1]), (144, [3])])
def test_a_cpu_is_given_what_its_caches_hold(side, together):
    net = iz.progressive(Recorder(), max_iterations=0)
    masks = torch.cat([hole((8, 20 * k), (8, 100), side) for k in (1, 2, 3)])
    image = scene(3, side)
    out = net(image, masks)
    assert [len(images) for images, _ in net.network.fed] == together
    singles = torch.cat([net(image[k : k + 1], masks[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(out, singles, atol=1e-6, rtol=0)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("limit", [0, 3, 10])
def test_the_device_is_waited_for_once(batch, limit):
    waits = []

    class Functions(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            name = getattr(function, "__name__", "")
            waits.extend([name] if name in WAITS else [])
            return function(*args, **(kwargs or {}))

    class Operations(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            name = operation.__name__.split(".")[0]
            indices = args[1] if name in {"index", "index_put_"} else []
            data_dependent = any(index is not None and index.dtype == torch.bool for index in indices)
            counted = name in {"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero"}
            waits.extend([name] if counted or data_dependent else [])
            return operation(*args, **(kwargs or {}))

    net = iz.progressive(toy().eval(), kernel_size=5, threshold=0.05, max_iterations=limit)
    mask = torch.cat([hole((2, 12 + 10 * k), (4, 60)) for k in range(batch)])
    image = scene(batch)
    with torch.no_grad(), Operations(), Functions():
        net.stages_unchecked(image, mask)
        assert waits == ["tolist"]
        image[mask.expand_as(image) > 0].sum().item()  # what is counted is seen
    assert len(waits) > 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_waits_once_and_gives_the_same():
    net = iz.progressive(toy().eval(), kernel_size=5)
    image, mask = scene(3), torch.cat([hole((2, 60), (4, 60)), hole((8, 40), (4, 60)), hole((8, 9), (4, 60))])
    with torch.no_grad():
        expected = net(image, mask)
        net.cuda()
        image, mask = image.cuda(), mask.cuda()
        torch.testing.assert_close(net(image, mask).cpu(), expected, atol=1e-2, rtol=0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                net.stages_unchecked(image, mask)
            finally:
                torch.cuda.set_sync_debug_mode("default")
    assert sum("called a synchronizing" in str(warning.message) for warning in caught) == 1


def test_where_nothing_is_known_one_pass_and_a_warning():
    net = iz.progressive(Recorder())
    mask = torch.cat([hole((8, 56), (8, 56)), torch.ones(1, 1, 64, 64)])
    image = scene(2)
    with pytest.warns(UserWarning, match=r"Sample 1 has no known pixels .* one pass"):
        counts = [len(frames) for frames in net.frames(image, mask)]
    assert counts == [3, 1]
    nothing = torch.zeros_like(mask)
    assert torch.equal(net(image, nothing), image)
    assert [len(frames) for frames in net.frames(image, nothing)] == [1, 1]


def test_the_contract():
    net = iz.progressive(toy().eval(), kernel_size=5)
    image, mask = scene(2)[..., :41], torch.cat([hole((2, 60), (4, 39)), hole((8, 20), (4, 30))])[..., :41]
    with torch.no_grad():
        out = net(image, mask)
        assert list(net.stages(image, mask)) == ["prediction"]
        for rubbish in (float("nan"), -7.0):
            spoilt = image.masked_fill(mask > 0, rubbish)
            assert torch.equal(net(spoilt, mask), out)
            assert torch.equal(net.frames(spoilt, mask)[0][-1].image, out[0])
        singles = torch.cat([net(image[k : k + 1], mask[k : k + 1]) for k in range(2)])
    torch.testing.assert_close(out, singles, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="`mask` must hold only 0"):
        net.frames(image, mask * 0.5)
    with pytest.raises(ValueError, match="to match `image`"):
        net.frames(image, mask[:1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 4}, "`kernel_size` must be odd and at least 3, got 4"),
        ({"kernel_size": 1}, "`kernel_size` must be odd and at least 3, got 1"),
        ({"threshold": 20}, "`threshold` must be a hole ratio from 0 to 1, got 20"),
        ({"max_iterations": -1}, "`max_iterations` must be at least 0, got -1"),
    ],
)
def test_arguments_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        iz.progressive(toy(), **options)


def test_by_name_it_takes_the_weights_of_the_network(tmp_path):
    info = iz.model_info("progressive:autoencoder_tiny")
    assert info.options == {"kernel_size": 15, "threshold": 0.2, "max_iterations": 10, "difference": False}
    assert info.ready
    assert info.parameters == iz.model_info("autoencoder_tiny").parameters
    assert not iz.model_info("progressive:telea").learned
    assert not iz.model_info("progressive:local_global:autoencoder_tiny").ready
    image, mask = scene(1), hole((8, 56), (10, 58))
    alone = iz.create_model("autoencoder_tiny", weights="shipped")
    path = iz.save_weights(alone, tmp_path / "alone.safetensors", licence="Apache-2.0", training={"data": "none"})
    with torch.no_grad():
        expected = iz.progressive(alone, kernel_size=9)(image, mask)
        for weights in ("shipped", path):
            net = iz.create_model("progressive:autoencoder_tiny", weights=weights, kernel_size=9)
            assert torch.equal(net(image, mask), expected)
        own = iz.save_weights(net, tmp_path / "own.safetensors", licence="Apache-2.0", training={"data": "none"})
        twin = iz.create_model("progressive:autoencoder_tiny", weights=own)
        assert twin.kernel_size == 9
        assert torch.equal(twin(image, mask), expected)
        assert not torch.equal(alone(image, mask), expected)
    with pytest.raises(ValueError, match="holds weights of 'progressive:autoencoder_tiny', not of 'autoencoder_tiny'"):
        iz.create_model("autoencoder_tiny", weights=own)
    with pytest.raises(ValueError, match="not of 'local_global:autoencoder_tiny'"):
        iz.create_model("local_global:autoencoder_tiny", weights=path)


def test_its_state_dict_is_the_networks_wherever_it_stands():
    inner = toy()
    net = torch.nn.ModuleDict({"outer": iz.progressive(iz.progressive(inner))})
    state = net.state_dict()
    assert {key.removeprefix("outer.") for key in state} == set(inner.state_dict())
    other = torch.nn.ModuleDict({"outer": iz.progressive(iz.progressive(toy(width=8)))})
    with torch.no_grad():
        other["outer"].network.network.coarse.weight.zero_()
    other.load_state_dict(state, strict=True)
    assert torch.equal(other["outer"].network.network.coarse.weight, inner.coarse.weight)
    state["outer.unknown"] = torch.zeros(1)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*unknown"):
        other.load_state_dict(state, strict=True)


def test_the_fast_form_gives_the_same():
    net = iz.create_model("progressive:autoencoder_tiny", weights="shipped", kernel_size=9)
    image, mask = scene(2), torch.cat([hole((8, 56), (10, 58)), hole((8, 30), (10, 58))])
    with torch.no_grad():
        torch.testing.assert_close(iz.optimize(net)(image, mask), net(image, mask), atol=1e-4, rtol=0)
