"""Programs as methods."""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from inpaint_zoo.benchmark import Options, run_suite
from inpaint_zoo.benchmark.methods import MethodInput, Task
from inpaint_zoo.errors import ZooError
from tests.helpers.suites import Diary, make_image, methods_of, results_bytes, small_suite

ONE = Options(workers=1, device="cpu")
TASK = Task("images", "center", ("a",))
PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image

*names, images, masks, outputs = sys.argv[1:]
images, masks, outputs = Path(images), Path(masks), Path(outputs)
pairs = [(images, masks, outputs)]
if images.is_dir():
    pairs = [(path, masks / path.name, outputs / path.name) for path in sorted(images.iterdir())]
for image, mask, output in pairs:
    image, mask = np.asarray(Image.open(image)).copy(), np.asarray(Image.open(mask))
    assert image.dtype == mask.dtype == np.uint8 and image.shape == (*mask.shape, 3)
    assert set(np.unique(mask)) <= {0, 255}
    image[mask > 127] = 128
    image[0, 0] = 255
    Image.fromarray(image).save(output)
"""
SINGLE, ALL = "{image} {mask} {output}", "{images} {masks} {outputs}"


def command(tmp_path, arguments, **entry):
    (tmp_path / "theirs.py").write_text(PROGRAM)
    return {"cmd": f"{{python}} theirs.py {arguments}", "label": "Theirs", **entry}


def item(key="a", size=(64, 64)):
    mask = np.zeros(size, dtype=bool)
    mask[20:40, 16:44] = True
    return MethodInput(key, np.where(mask[..., None], np.uint8(0), make_image(0, size)), mask)


def started(tmp_path, **entry):
    method = methods_of(small_suite(tmp_path, methods=[entry]))[0]
    method.start(TASK, torch.device("cpu"), "fp32")
    return method


@pytest.mark.parametrize("arguments", [SINGLE, ALL])
def test_a_program_is_scored_like_a_function_that_does_the_same(tmp_path, arguments):
    (tmp_path / "gray_of_commands.py").write_text("def fill(image, mask):\n    image[mask] = 128\n    return image\n")
    masks = [{"name": "center", "size": 24}, "lama_box"] if arguments == ALL else [{"name": "center", "size": 24}]
    mine = small_suite(tmp_path, methods=[{"callable": "gray_of_commands:fill", "label": "Theirs"}], masks=masks)
    run_suite(mine, tmp_path / "mine", ONE)
    diary = Diary()
    outcome = run_suite(
        small_suite(tmp_path, methods=[command(tmp_path, arguments)], masks=masks), tmp_path / "out", ONE, diary
    )
    assert outcome.failed == ()
    assert diary.notes == []
    assert results_bytes(tmp_path / "out") == results_bytes(tmp_path / "mine")
    timings = pd.read_parquet(tmp_path / "out" / "timings.parquet")
    assert (timings["seconds"] > 0).all()
    assert (timings.groupby("mask")["seconds"].nunique() == (1 if arguments == ALL else 5)).all()


def test_words_are_passed_without_a_shell(tmp_path):
    """Names with spaces and characters of shells arrive unchanged; nothing else is started."""
    place = tmp_path / "a $(touch oops); b"
    place.mkdir()
    method = started(place, **command(place, f"'*' '; touch oops' \"it's\" {SINGLE}"))
    assert (method.fill([item()])[0].image[item().mask] == 128).all()
    method.close()
    assert not list(tmp_path.rglob("oops"))


def test_sizes_and_polarity_of_a_convention(tmp_path):
    """The program fills where the mask is white, so with `mask_hole: 0` the known pixels."""
    convention = {"size": [32, 48], "hole_value": "mean"}
    method = started(tmp_path, **command(tmp_path, SINGLE, convention=convention))
    result = method.fill([item()])[0]
    np.testing.assert_allclose(result.image[28:32, 26:34], 128, atol=1)
    assert result.unrounded is None
    method.close()
    method = started(tmp_path, **command(tmp_path, SINGLE, convention={"mask_hole": 0}))
    message = r"'Theirs', image 'a': it left the hole as it was .*set `mask_hole: 1` \(it is 0\)"
    with pytest.raises(ZooError, match=message):
        method.fill([item()])
    method.close()


def fails(tmp_path, code, arguments=SINGLE, **entry):
    (tmp_path / "fails.py").write_text(code)
    method = started(tmp_path, cmd=f"{{python}} fails.py {arguments}", label="Theirs", **entry)
    try:
        if arguments == ALL:
            method.prepare([item("a"), item("b")])
        method.fill([item()])
    finally:
        place = method._folder()
        method.close()
        assert not place.exists()


COPY_ONE = "import shutil, sys\nshutil.copy(sys.argv[1] + '/000000.png', sys.argv[3])"
WRITE_SMALL = "import sys\nfrom PIL import Image\nImage.new('RGB', (8, 9)).save(sys.argv[3])"
WRITE_JPEG = "import sys\nfrom PIL import Image\nImage.new('RGB', (8, 9)).save(sys.argv[3].replace('png', 'jpg'))"
WRITE_ARRAY = "import sys\nopen(sys.argv[3] + '/000000.npy', 'w').write('no image')"
WRITE_CLEAR = """
import sys
from PIL import Image, ImageOps
image = Image.open(sys.argv[1])
image.putalpha(ImageOps.invert(Image.open(sys.argv[2]).convert('L')))
image.save(sys.argv[3])
"""
WRITE_TEXT = "import sys\nopen(sys.argv[3], 'w').write('no image')"


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        ("import sys\nprint('one')\nsys.exit('two')", SINGLE, r"'Theirs', image 'a': .* exit code 1: one \| two"),
        ("raise SystemExit(3)", ALL, r"'Theirs': the program ended with exit code 3, and wrote nothing"),
        ("import os\nos.kill(os.getpid(), 9)", SINGLE, r"was killed by signal 9 \(SIGKILL\), and wrote nothing"),
        ("", SINGLE, r"did not write \{output\}, a PNG file$"),
        (WRITE_JPEG, SINGLE, r"did not write \{output\}, a PNG file; it wrote output\.jpg$"),
        (WRITE_ARRAY, ALL, r"wrote 0 of 2 results into \{outputs\}; .*, for the image 'a'$"),
        (WRITE_CLEAR, SINGLE, "the result is transparent in the whole hole, so the hole is not filled"),
        (COPY_ONE, ALL, r"wrote 1 of 2 results into \{outputs\}; the first .* is 000001\.png, for the image 'b'"),
        (WRITE_SMALL, SINGLE, "the result has 9x8 px, but the image has 64x64 px"),
        (WRITE_TEXT, SINGLE, r"output\.png"),
    ],
)
def test_what_a_program_does_wrong_is_said(tmp_path, code, arguments, message):
    with pytest.raises(ZooError, match=message):
        fails(tmp_path, code, arguments)


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_a_program_that_takes_too_long_is_stopped_with_its_children(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('pid', 'w').write(str(child.pid))\nprint('waiting', flush=True)\ntime.sleep(60)\n"
    )
    with pytest.raises(ZooError, match=r"took longer than 2 s and was stopped; `timeout` gives it more: waiting"):
        fails(tmp_path, code, timeout=2)
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not running(pid):
            break
        time.sleep(0.05)
    assert not running(pid)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_identity_contains_the_files_of_the_command_line(tmp_path):
    entry = command(tmp_path, SINGLE, files=["weights"])
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a.bin").write_bytes(b"1")

    def identity(**changes):
        return methods_of(small_suite(tmp_path, methods=[{**entry, **changes}]))[0].identity(TASK)

    first = identity()
    assert set(first["files_sha256"]) == {"theirs.py", "weights"}
    assert identity(label="another", timeout=5) == first
    (tmp_path / "weights" / "a.bin").write_bytes(b"2")
    second = identity()
    assert second != first
    (tmp_path / "theirs.py").write_text(PROGRAM + "\n")
    third = identity()
    assert third != second
    assert identity(version="2") != third


def test_a_missing_program_or_file_is_named(tmp_path):
    methods = [
        {"cmd": f"no-such-program {SINGLE}", "label": "None"},
        command(tmp_path, SINGLE, files=["weights.pth"]),
        "mean_fill",
    ]
    outcome = run_suite(small_suite(tmp_path, methods=methods), tmp_path / "out", ONE)
    assert {part.what for cell in outcome.missing for part in cell.parts} == {
        "program of 'None'",
        "file weights.pth of 'Theirs'",
    }
    assert outcome.computed == 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"cmd": "x {image} {mask}"},
            r"must contain either \{image\}, \{mask\}, \{output\} .* it contains \{image\}, \{mask\}",
        ),
        ({"cmd": "x {image} {masks} {output}"}, "must contain either"),
        ({"cmd": "x"}, "it contains none of them"),
        ({"cmd": "x {image} {mask} {ouput}"}, r"Unknown placeholder of 'cmd': '\{ouput\}'. Did you mean '\{output\}'"),
        ({"cmd": "x 'a {image} {mask} {output}"}, "'cmd' cannot be split into words: No closing quotation"),
        ({"cmd": f"x {SINGLE}", "timeout": "long"}, "'timeout' of a method must be a number"),
        ({"cmd": f"x {SINGLE}", "timeout": 0}, "'timeout' of a method must be at least 0.1"),
    ],
)
def test_wrong_keys_are_named(tmp_path, entry, message):
    with pytest.raises(ZooError, match=message):
        small_suite(tmp_path, methods=[entry])
