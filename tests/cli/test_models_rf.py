"""`inpaint-zoo models rf`."""

import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.cli.main import main
from tests.helpers.toy import registered_toy


def test_the_table_and_the_image(capsys, tmp_path):
    out = tmp_path / "field.png"
    with registered_toy():
        assert main(["models", "rf", "toy", "--size", "60", "--out", str(out)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    # 3x3 of stride 2, 2x2 transposed, 3x3, 3x3: 3, + 2 (1/2) 2 = 4 over both phases, 8
    assert "whole network 32 x 32 3 px 64 x 64 8 px" in text
    assert "95 % of the gradient" in text
    assert "random weights, mean over 4 noise images" in text
    with Image.open(out) as image:
        assert len(np.unique(np.asarray(image))) > 10


def test_a_global_one_says_why(capsys):
    assert main(["models", "rf", "glama_tiny", "--size", "32"]) == 0
    out = capsys.readouterr().out
    assert "everything" in out
    assert "global through a Fourier transform" in out
    assert "the shipped weights" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["tela"], "Did you mean 'telea'?"),
        (["telea"], "'telea' is not learned"),
        (["autoencoder_tiny", "--size", "0"], "--size must be at least 1"),
    ],
)
def test_refusals(capsys, args, message):
    assert main(["models", "rf", *args]) == 2
    assert message in capsys.readouterr().err
