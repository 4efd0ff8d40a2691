"""What the page knows about one visitor: the image, its hole, and the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.data.sample import sample_files
from inpaint_zoo.demo.task import Filled
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.drawing import HOLE
from inpaint_zoo.io.images import DecodedImage, decode_image, write_image
from inpaint_zoo.masks import create_mask
from inpaint_zoo.masks.read import mask_of

__all__ = [
    "MASKED",
    "ORIGINAL",
    "Session",
    "generated_hole",
    "open_image",
    "open_sample",
    "painted_hole",
    "uploaded_hole",
]

ORIGINAL, MASKED = "original", "masked"  # what is compared beside the results of the models


class Session:
    """The work of one visitor.

    It is no dataclass, because Gradio would send the fields of one to the browser.

    Attributes:
        results: Result of each model, by the model's name.

    Args:
        image: The image to fill; None before one is chosen.
        name: Its name without extension, for the names of downloads.
        hole: (H, W), the hole of the results; None if there are none.
        folder: Folder with the result files; None if there are none.
        made: (H, W), the mask that was made or uploaded, to which painted pixels are added; None if there is none.
    """

    def __init__(
        self,
        image: DecodedImage | None = None,
        name: str = "",
        hole: NDArray[np.bool_] | None = None,
        folder: Path | None = None,
        made: NDArray[np.bool_] | None = None,
    ) -> None:
        self.image, self.name, self.hole, self.folder, self.made = image, name, hole, folder, made
        self.results: dict[str, Filled] = {}

    def opened(self) -> DecodedImage:
        """Return the image.

        Raises:
            ZooError: If there is none.
        """
        if self.image is None:
            raise ZooError("There is no image yet. Upload one, or choose one of the sample images.")
        return self.image

    def file(self, label: str) -> Path:
        """Return the path of an image of the comparison; visitors download results under this name.

        Args:
            label: `ORIGINAL`, `MASKED` or the name of a model.
        """
        assert self.folder is not None
        name = f"{self.name[:40]}_{label}"  # a file name has at most 255 bytes
        return self.folder / f"{''.join(letter if letter.isalnum() or letter in '-_ ' else '_' for letter in name)}.png"

    def write(self, label: str, rgb: NDArray[np.uint8]) -> None:
        """Write an image of the comparison with the transparency and the color profile of the input."""
        image = self.opened()
        write_image(self.file(label), rgb, image.alpha, icc_profile=image.icc_profile, gray=image.gray)

    def write_inputs(self) -> None:
        """Write the image, and the image with its hole."""
        assert self.hole is not None
        image = self.opened()
        self.write(ORIGINAL, image.rgb)
        write_image(self.file(MASKED), _marked(image.rgb, self.hole))  # in color, whatever the input is

    def background(self) -> NDArray[np.uint8]:
        """Return what visitors paint on, (H, W, 3) uint8: the image with the mask that was made or uploaded.

        The mask is not a layer of the editor, which places layers wrongly while it changes its size.
        """
        image = self.opened().rgb
        return image if self.made is None else _marked(image, self.made)

    def marked(self, editor: dict[str, Any] | None) -> NDArray[np.bool_]:
        """Return the hole: the mask that was made or uploaded, and what is painted.

        Raises:
            ZooError: If there is no hole, or the painting has another size.
        """
        size = self.opened().size
        hole = painted_hole(editor, size)
        if self.made is not None:
            hole |= self.made
        if not hole.any():
            raise ZooError("There is no mask yet. Paint over the part to fill, or make a mask, or upload one.")
        return hole


def _marked(image: NDArray[np.uint8], hole: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(hole[..., None], np.array(HOLE, np.uint8), image)


def open_image(path: str, limit: int) -> tuple[DecodedImage, str]:
    """Read an uploaded image, and return it with its name without extension.

    Args:
        path: The uploaded file. Messages contain only its name.
        limit: Largest number of pixels.

    Raises:
        ImageError: If it cannot be read or has too many pixels.
    """
    file = Path(path)
    return decode_image(file.read_bytes(), file.name, max_pixels=limit), file.stem


def open_sample(name: str) -> DecodedImage:
    """Read a sample image of scikit-image by its name."""
    path = sample_files("unseen")[name]
    return decode_image(path.read_bytes(), path.name)


def painted_hole(editor: dict[str, Any] | None, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return what a visitor has painted: every pixel of a layer that is not fully transparent.

    Args:
        editor: Value of Gradio's ImageEditor with layers (H, W, 4) uint8.
        size: Height and width of the image.

    Raises:
        ZooError: If the layers have another size.
    """
    hole = np.zeros(size, np.bool_)
    for layer in (editor or {}).get("layers", []):
        if layer.shape[:2] != size:
            raise ZooError(
                f"The painted mask has {layer.shape[1]} x {layer.shape[0]} pixels, but the image has "
                f"{size[1]} x {size[0]}. Choose the image again."
            )
        hole |= layer[..., 3] > 0
    return hole


def generated_hole(name: str, size: tuple[int, int], seed: int) -> NDArray[np.bool_]:
    """Return a mask of a generator of the library, (H, W), True = hole.

    Raises:
        ZooError: If the generator cannot make a mask of this size.
    """
    return create_mask(name, size=size, seed=seed).astype(np.bool_)


def uploaded_hole(path: str, size: tuple[int, int], invert: bool, limit: int) -> tuple[NDArray[np.bool_], list[str]]:
    """Read an uploaded mask, and return it with what looks wrong with it.

    Args:
        path: The uploaded file.
        size: Height and width of the image.
        invert: Use black as hole, not white.
        limit: Largest number of pixels.

    Raises:
        ZooError: If it cannot be read, or does not have the size of the image.
    """
    image, _ = open_image(path, limit)
    if image.size != size:
        H, W = image.size
        raise ZooError(f"The mask has {W} x {H} pixels, but the image has {size[1]} x {size[0]}.")
    mask, doubts = mask_of(image, invert=invert)
    return mask.astype(np.bool_), list(doubts.values())
