"""What each command imports: a command that only lists or checks something starts in a fraction of a second."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from inpaint_zoo.benchmark import Options, run_suite
from tests.helpers.suites import small_suite

SUITES = Path(__file__).parents[2] / "benchmarks"

# Runs the commands one after the other. `allowed` grows, so the order is from light to heavy.
PROGRAM = """
import json, os, sys
from inpaint_zoo.cli.main import main

HEAVY = {
    "IPython", "cv2", "diffusers", "einops", "jinja2", "jsonargparse", "lightning", "lpips", "matplotlib", "onnx",
    "onnxruntime", "pandas", "pyarrow", "safetensors", "scipy", "skimage", "sympy", "timm", "torch", "torchmetrics",
    "torchvision", "transformers", "wandb", "webdataset",
}
allowed = set()
for words, more in json.load(sys.stdin):
    allowed |= set(more)
    sys.stdout = open(os.devnull, "w")
    try:
        code = main(words)
    except SystemExit as end:  # argparse, after --help
        code = end.code
    if code:
        sys.exit(f"{words} ended with {code}")
    if loaded := HEAVY & sys.modules.keys() - allowed:
        sys.exit(f"inpaint-zoo {' '.join(words)} imports {', '.join(sorted(loaded))}")
"""


def commands(suite, run, images, mask, out):
    """Return the words of each command, and what it may import in addition to the ones before it."""
    image, to = str(images / "p0.png"), ("--mask", str(mask), "--out", out)
    return [
        (["--help"], ()),
        (["--version"], ()),
        (["models"], ()),
        (["masks"], ()),
        (["masks", "show", "lama_thick_256", "--out", f"{out}.png", "--n", "2"], ["cv2"]),
        (["metrics"], ()),
        (["data", "list"], ()),
        (["data", "check", "--root", str(images)], ()),
        *(([name, "--help"], ()) for name in ("benchmark", "convert", "inpaint", "report", "ship", "study", "sweep")),
        (["benchmark", "--list", str(SUITES)], ()),
        (["report", str(run)], ["jinja2", "pandas", "pyarrow"]),
        (["inpaint", image, *to, "--model", "telea"], ["einops", "torch"]),
        # the memory that a network needs is estimated on meta tensors, for which PyTorch imports sympy
        (
            ["inpaint", image, *to, "--model", "aot_gan_tiny", "--weights", "shipped", "--overwrite"],
            ["safetensors", "sympy"],
        ),
        # metrics are classes of torchmetrics, which imports all that follows
        (
            ["benchmark", str(suite), "--out", str(run), "--device", "cpu"],
            ["scipy", "torchmetrics", "torchvision"],
        ),
    ]


def test_a_command_imports_only_what_it_needs(tmp_path):
    run_suite(small_suite(tmp_path, methods=["telea"]), tmp_path / "run", Options(workers=1, device="cpu"))
    mask = tmp_path / "mask.png"
    Image.fromarray(np.pad(np.full((20, 20), 255, np.uint8), 22)).save(mask)
    steps = commands(tmp_path / "suite.yaml", tmp_path / "run", tmp_path / "images", mask, str(tmp_path / "out"))
    subprocess.run([sys.executable, "-c", PROGRAM], input=json.dumps(steps), text=True, check=True)


def test_a_pipe_that_is_closed_ends_a_command_quietly():
    """As `inpaint-zoo models | head -1`."""
    words = [sys.executable, "-m", "inpaint_zoo.cli.main", "models"]
    command = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    command.stdout.close()
    assert (command.wait(), command.stderr.read()) == (141, "")
    command.stderr.close()
