"""Export a model to ONNX, run the file with ONNX Runtime and NumPy alone, and check it against PyTorch.

    python examples/deploy_onnx.py --model glama_tiny --out runs/onnx --size 256

`run_onnx` is all that a program needs to use the file: it imports neither PyTorch nor this package. The extra `export`
has the packages for both steps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def run_onnx(path: Path, image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Fill the hole of an image with an exported file.

    Args:
        path: The ONNX file.
        image: (H, W, 3) uint8, RGB, of the size that the file was exported for.
        mask: (H, W), True = hole.

    Returns:
        (H, W, 3) uint8; known pixels are those of ``image``.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {
        "image": np.where(mask[..., None], 0, image).astype(np.float32).transpose(2, 0, 1)[None] / 255,
        "mask": mask.astype(np.float32)[None, None],
    }
    (filled,) = session.run(None, inputs)
    pixels = (filled[0].transpose(1, 2, 0) * 255).round().clip(0, 255).astype(np.uint8)
    return np.where(mask[..., None], pixels, image)


def deploy(model: str, out: Path, size: int) -> tuple[Path, int]:
    """Export a model with its shipped weights and compare both runtimes on the sample images.

    Args:
        model: Name of a learned model that ships with weights (`inpaint-zoo models`).
        out: Folder of the file and of compared.png, with image, result of ONNX Runtime and result of PyTorch.
        size: Height and width in pixels of the images that the file takes.

    Returns:
        The file, and the largest difference between both results in 8-bit levels.
    """
    from PIL import Image

    import inpaint_zoo as iz
    from inpaint_zoo.data import create_dataset

    out.mkdir(parents=True, exist_ok=True)
    net = iz.create_model(model, weights="shipped")
    path = iz.export_model(net, out / f"{model}_{size}.onnx", size=(size, size)).path
    images = create_dataset({"name": "sample", "size": size})
    mask = iz.create_mask("lama_thick_256", size=(size, size), seed=1).astype(bool)
    largest, rows = 0, []
    for index in range(len(images)):
        image = images.load(index)
        results = [run_onnx(path, image, mask), iz.inpaint(net, image, mask)]
        largest = max(largest, int(np.abs(results[0].astype(int) - results[1]).max()))
        rows.append(np.hstack([np.where(mask[..., None], np.uint8(255), image), *results]))
    Image.fromarray(np.vstack(rows)).save(out / "compared.png")
    return path, largest


def main() -> None:
    """Read the command line, export and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="glama_tiny", help="name of the model (default: glama_tiny)")
    parser.add_argument("--size", type=int, default=256, help="height and width of the images (default: 256)")
    parser.add_argument("--out", type=Path, default=Path("runs/onnx"), help="folder of the file")
    options = parser.parse_args()
    path, difference = deploy(options.model, options.out, options.size)
    print(f"{path}: at most {difference} of 255 levels from PyTorch on the sample images")


if __name__ == "__main__":
    main()
