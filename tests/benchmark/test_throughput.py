"""Test that inputs are made once for all methods, that batches change no value, and the breakdown of the time."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_zoo.benchmark import Options, run_suite
from inpaint_zoo.benchmark.breakdown import STAGES, Clock, added, overhead
from inpaint_zoo.benchmark.methods import pasted
from inpaint_zoo.benchmark.scoring import Pair, Scorer
from inpaint_zoo.cli.main import main
from inpaint_zoo.data.datasets import ImageDataset
from inpaint_zoo.io import scratch
from inpaint_zoo.io.scratch import Scratch
from inpaint_zoo.masks import MaskGenerator
from inpaint_zoo.metrics import FID, list_metrics, metric_info
from tests.helpers.suites import METRICS, make_image, results_bytes, small_suite, write_images, write_suite

TWO = Options(workers=2, device="cpu")
LIGHT = [name for name in list_metrics() if metric_info(name).per_image and not metric_info(name).needs]


@pytest.fixture
def decoded(monkeypatch):
    """Return a list that gets the stem of every image that is decoded."""
    stems = []
    decode = ImageDataset._decoded
    monkeypatch.setattr(
        ImageDataset, "_decoded", lambda self, stem, file: stems.append(stem) or decode(self, stem, file)
    )
    return stems


@pytest.fixture
def generated(monkeypatch):
    """Return a list that gets the number of every mask that is generated."""
    numbers = []
    generate = MaskGenerator.__call__
    monkeypatch.setattr(
        MaskGenerator, "__call__", lambda self, index, size: numbers.append(index) or generate(self, index, size)
    )
    return numbers


def test_images_and_masks_are_made_once_for_all_cells(tmp_path, decoded, generated):
    suite = small_suite(tmp_path, methods=["mean_fill", "telea", "navier_stokes"])
    assert run_suite(suite, tmp_path / "out", TWO).computed == 6
    assert Counter(decoded) == dict.fromkeys(("p0", "p1", "p2", "p3", "more/p4"), 1)  # the check included
    assert Counter(generated) == dict.fromkeys(range(5), 2)  # two mask sets
    again = Options(workers=2, device="cpu", fresh=True)
    assert run_suite(suite, tmp_path / "out", again).computed == 6
    assert set(Counter(decoded).values()) == {2}  # another run, which checks nothing
    assert set(Counter(generated).values()) == {4}


def test_all_crops_of_an_image_are_decoded_together(tmp_path, decoded):
    write_images(tmp_path / "images", count=2, size=(96, 128))
    suite = small_suite(tmp_path, datasets=[{"name": "images", "root": "images", "size": 32, "crop": "grid"}])
    for run in (1, 2):
        run_suite(suite, tmp_path / "out", Options(workers=3, device="cpu", fresh=True))
        assert Counter(decoded) == {"p0": run, "more/p1": run}


def test_a_full_disk_costs_time_and_no_results(tmp_path, decoded, monkeypatch):
    suite = small_suite(tmp_path)
    run_suite(suite, tmp_path / "a", TWO)
    monkeypatch.setattr(scratch, "SHARE", 0)
    decoded.clear()
    run_suite(suite, tmp_path / "b", TWO)
    assert len(decoded) > 5 * 4  # for each cell, and for the check
    assert results_bytes(tmp_path / "b") == results_bytes(tmp_path / "a")


def test_scratch_returns_what_was_stored_and_leaves_no_file(tmp_path):
    store = Scratch(tmp_path / "not" / "yet")
    arrays = {("a", k): np.arange(6 * k, dtype=kind).reshape(2, -1) for k, kind in enumerate("ifBd", start=1)}
    for key, values in arrays.items():
        store.keep(key, values)
        store.keep(key, np.zeros(3))
    store.keep("strided", make_image(1)[::2, ::2])
    for key, values in arrays.items():
        found = store.get(key)
        np.testing.assert_array_equal(found, values)
        assert (found.dtype, found.flags.writeable) == (values.dtype, True)
    np.testing.assert_array_equal(store.get("strided"), make_image(1)[::2, ::2])
    assert store.get("b") is None
    assert list(tmp_path.iterdir()) == []


def pairs(count=5, size=(52, 56)):
    """Return results, ground truth and masks; the last pair is equal, and its hole is empty."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        target = make_image(number, size)
        pred = np.clip(target + rng.integers(-30, 30, target.shape), 0, 255).astype(np.uint8)
        unrounded = np.clip(pred.transpose(2, 0, 1) / 255 + 1e-3, 0, 1).astype(np.float32)
        found.append(Pair(pred, target, rng.random(size) > 0.6, unrounded))
    return [*found[:-1], found[-1]._replace(pred=found[-1].target, mask=np.zeros(size, bool))]


def test_values_do_not_depend_on_the_batch():
    scorer = Scorer(list_metrics(), torch.device("cpu"), stand_ins=True)
    mixed = [*pairs(), *pairs(2, (60, 52)), *(pair._replace(unrounded=None) for pair in pairs(2))]
    alone = [scorer.score([pair])[0].values for pair in mixed]
    np.testing.assert_equal([score.values for score in scorer.score(mixed)], alone)
    np.testing.assert_equal([score.values for score in scorer.score(mixed)], alone)  # the batches are known now
    assert alone[0] != alone[1]
    features = [scorer.score([pair])[0].features["stand_in"] for pair in mixed]
    np.testing.assert_array_equal([score.features["stand_in"] for score in scorer.score(mixed)], features)
    found = scorer.features([pair.pred for pair in mixed])
    np.testing.assert_array_equal([each["stand_in"] for each in found], features)


def test_a_result_is_pasted_from_any_layout():
    image, onto = make_image(1), make_image(2)
    mask = np.random.default_rng(0).random(image.shape[:2]) > 0.5
    expected = np.where(mask[..., None], image[:, ::-1], onto)
    for mirrored in (image[:, ::-1], np.asfortranarray(image[:, ::-1])):
        np.testing.assert_array_equal(pasted(mirrored, mask, onto.copy()), expected)
    np.testing.assert_array_equal(pasted(image[:, ::-1], mask.T.copy().T, onto.copy()), expected)


class Mean(torch.nn.Module):
    """Feature extractor: the mean color, and in ``centered`` form minus that of the batch."""

    def __init__(self, centered):
        super().__init__()
        self.centered, self.sizes = centered, []

    def forward(self, images):
        self.sizes.append(len(images))
        means = images.mean((2, 3))
        return means - means.mean(0) if self.centered else means


@pytest.mark.parametrize("centered", [False, True])
def test_batches_are_used_only_if_they_change_no_bit(centered):
    extractor = Mean(centered)
    scorer = Scorer([], torch.device("cpu"))
    scorer.set_metrics["fid"] = fid = FID(extractor=extractor)
    images = [pair.pred for pair in pairs(4)]
    first, second = (np.stack([row[fid.feature_key] for row in scorer.features(images)]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    expected = np.zeros((4, 3)) if centered else np.stack([image.mean((0, 1)) / 255 for image in images])
    np.testing.assert_allclose(first, expected, atol=1e-6)
    assert sorted(extractor.sizes) == ([1] * 8 + [4] if centered else [1] * 4 + [4] * 2)


def test_results_of_a_folder_are_scored_in_any_number_of_threads(tmp_path):
    for number in range(5):
        path = tmp_path / "theirs" / ("more" if number == 4 else "") / f"p{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(make_image(number + 10)).save(path)
    suite = small_suite(tmp_path, methods=[{"folder": "theirs", "label": "Theirs"}], masks=["lama_box"])
    for name, workers, batch in (("a", 1, 1), ("b", 3, 1), ("c", 2, 4)):
        outcome = run_suite(suite, tmp_path / name, Options(workers=workers, batch_size=batch, device="cpu"))
        assert outcome.failed == ()
        assert results_bytes(tmp_path / name) == results_bytes(tmp_path / "a")


def test_time_is_divided_between_threads_and_adds_up():
    clock = Clock(iter([0.0, 1.0, 2.0, 5.0, 7.0, 10.0]).__next__)
    with clock.stage("decode"), clock.stage("metrics"):  # as in two threads, from 1 and from 2 on
        pass  # until 5 and until 7
    lap = clock.lap()
    assert {name: seconds for name, seconds in lap.items() if seconds} == {"decode": 4.5, "metrics": 1.5, "idle": 4.0}
    assert overhead(lap) == 10 / 1.5


def test_every_cell_and_run_states_its_time(tmp_path, capsys):
    path, out = write_suite(tmp_path, metrics=METRICS), tmp_path / "out"
    assert main(["benchmark", str(path), "--out", str(out), "--device", "cpu", "--workers", "2"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("time: ")]
    assert all(f" {stage} " in line for stage in STAGES)
    assert "times forward and metrics" in line
    provenance = json.loads((out / "provenance.json").read_text())
    cells = [record["seconds"] for record in provenance["cells"].values()]
    for seconds in cells:
        assert list(seconds) == list(STAGES)
        assert min(seconds[name] for name in ("decode", "mask", "forward", "metrics", "write", "start")) > 0
    assert provenance["seconds"] == added(cells)
    assert "time of all cells" in (out / "report.html").read_text()
    assert main(["benchmark", str(path), "--out", str(out), "--device", "cpu"]) == 0
    assert "time: " not in capsys.readouterr().out  # nothing was computed
