"""Known released weights: where they are published, how a file is recognized, and where imported ones are stored.

Only facts that the publishers or several independent users state are recorded; what is unknown is None. Nothing is
downloaded: most files are on services that need a browser. `inpaint-zoo weights import NAME FILE` checks and converts a
file that the user fetched. `create_model(model, weights="official")` and every command then find it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from inpaint_zoo.errors import MissingError, unknown_name
from inpaint_zoo.weights.backbones import weights_folder

__all__ = [
    "OFFICIAL",
    "RELEASES",
    "Release",
    "ReleasedFile",
    "find_release",
    "is_official",
    "official_weights",
    "release_path",
]

OFFICIAL = "official"
"""Value of ``weights`` for imported weights; ``official:VARIANT`` names one of several of a model."""


class ReleasedFile(NamedTuple):
    """A file that a publisher released.

    Attributes:
        name: Its name, or a pattern of it.
        url: Where it is published; None if unknown.
        size: Its size in bytes; None if unknown.
        sha256: Its SHA-256; None if unknown.
    """

    name: str
    url: str | None
    size: int | None = None
    sha256: str | None = None


class Release(NamedTuple):
    """Released weights of a model.

    Attributes:
        model: Registry name of the model.
        variant: What the weights were trained on, or in which form they are.
        publisher: Who published them: the authors, or the repository of a port.
        licence: Licence of the weights as their publisher states it; "unknown" if none is stated.
        files: Accepted files. Any one of them holds all weights, except for a release in parts.
        parts: Whether every file is a part and all are needed; they are named as the converter names its parts.
        options: Options of the model that the weights need.
        note: What a user has to know.
    """

    model: str
    variant: str
    publisher: str
    licence: str
    files: tuple[ReleasedFile, ...]
    parts: bool = False
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    note: str = ""

    @property
    def name(self) -> str:
        """Name of the release: model and variant."""
        return f"{self.model}:{self.variant}"

    @property
    def fetch(self) -> str:
        """What to fetch, in words."""
        places = [f"{file.name} from {file.url or 'its publisher (no address is known)'}" for file in self.files]
        return (" and " if self.parts else " or ").join(places)


_LAMA_LICENCE = "Apache-2.0 (license of the authors' repository)"
_GRIG = "https://drive.google.com/drive/folders/1aEfGKuC0ozuLmkIAEF9Pa2LbBbkcf6dy"
_LGNET = "https://drive.google.com/drive/folders/1waZDA4-ubmZXGjkd_FQIAx-gb0Hd76bI"
_NO_SHA = "The publisher states neither size nor hash, so the file can be checked only by the names and shapes in it."

_ALL = (
    Release(
        "big_lama",
        "places",
        "the authors (advimman/lama); the TorchScript file by Sanster/models",
        _LAMA_LICENCE,
        (
            ReleasedFile(
                "big-lama.pt",
                "https://github.com/Sanster/models/releases/download/add_big_lama/big-lama.pt",
                205_669_692,
                "344c77bbcb158f17dd143070d1e789f38a66c04202311ae3a258ef66667a9ea9",
            ),
            ReleasedFile("big-lama.zip", "https://huggingface.co/smartywu/big-lama/resolve/main/big-lama.zip"),
        ),
        note="Unpack big-lama.zip, and import the folder or its models/best.ckpt. The TorchScript file, which most "
        "tools use, is read without running its code.",
    ),
    *(
        Release(
            "lama",
            variant,
            "the authors (advimman/lama)",
            _LAMA_LICENCE,
            (ReleasedFile("lama-models.zip", "https://disk.yandex.ru/d/EgqaSnLohjuzAg"),),
            note="Unpack lama-models.zip, and import one of its folders with nine Fourier blocks. " + _NO_SHA,
        )
        for variant in ("places", "celeba")
    ),
    *(
        Release(
            "aot_gan",
            variant,
            "the authors (researchmm/AOT-GAN-for-Inpainting)",
            "Apache-2.0 (license of the authors' repository)",
            (ReleasedFile("G0000000.pt", f"https://drive.google.com/drive/folders/{folder}"),),
            note=_NO_SHA,
        )
        for variant, folder in (
            ("celebahq", "1Zks5Hyb9WAEpupbTdBqsCafmb25yqsGJ"),
            ("places2", "1bSOH-2nB3feFRyDEmiX81CEiWkghss3i"),
        )
    ),
    Release(
        "grig",
        "large-scale",
        "the authors (LonglongaaaGo/GRIG_few_shot_inpainting)",
        "unknown",
        (ReleasedFile("*_model*", _GRIG),),
        note="The folder holds one file for each data set. " + _NO_SHA,
    ),
    Release(
        "lgnet",
        "celebahq",
        "the authors (weizequan/LGNet)",
        "unknown (the repository has no license file)",
        tuple(ReleasedFile(f"latest_net_G{number}.pth", _LGNET) for number in (1, 2, 3)),
        parts=True,
        note="Import the folder with all three files. " + _NO_SHA,
    ),
    Release(
        "isnet",
        "places2",
        "the authors (GuardSkill/Large-Scale-Feature-Inpainting, branch journal)",
        "CC BY-NC 4.0 (license of the authors' repository)",
        (ReleasedFile("InpaintingModel_gen.pth", None),),
        note=_NO_SHA,
    ),
    Release(
        "contextual_attention",
        "imagenet-tf",
        "daa233/generative-inpainting-pytorch, converted from the authors' TensorFlow checkpoint",
        "unknown",
        (ReleasedFile("torch_model.p", "https://drive.google.com/file/d/1vz2Qp12_iwOiuvLWspLHrC1UIuhSLojx/view"),),
        options={"norm": "tf", "tf_resize": True, "tf_same": True},
        note="The options follow TensorFlow's padding and resizing. " + _NO_SHA,
    ),
    *(
        Release(
            "gated_conv",
            variant,
            "nipponjo/deepfillv2-pytorch, fine-tuned from the authors' TensorFlow checkpoint",
            "unknown for the weights",
            (ReleasedFile(f"states_pt_{variant}.pth", f"https://drive.google.com/u/0/uc?id={file}&export=download"),),
            note="The authors released TensorFlow checkpoints only. Files for `networks_tf.py` (states_tf_*.pth) do "
            "not fit. " + _NO_SHA,
        )
        for variant, file in (
            ("places2", "1L63oBNVgz7xSb_3hGbUdkYW1IuRgMkCa"),
            ("celebahq", "17oJ1dJ9O3hkl2pnl8l2PtNVf2WhSDtB7"),
        )
    ),
    Release(
        "partial_conv",
        "places2",
        "naoto0804/pytorch-inpainting-with-partial-conv, an unofficial port",
        "unknown",
        (ReleasedFile("*.pth", "https://drive.google.com/open?id=1SYjJ-Vlu2cpAlgBG5FiJueN9W4lf48w8"),),
        note="The authors released no inpainting weights. " + _NO_SHA,
    ),
    Release(
        "context_encoder",
        "streetview",
        "BoyuanJiang/context_encoder_pytorch, an unofficial port",
        "unknown",
        (ReleasedFile("netG_streetview.pth", "https://drive.google.com/open?id=0B6oeoQaX0xmzS0RXXzNYZkZ3ZUk"),),
        options={"region": "center"},
        note="The weights predict the central half of height and width only. " + _NO_SHA,
    ),
)
RELEASES = {release.name: release for release in _ALL}
"""Known releases by name, `model:variant`."""


def find_release(name: str) -> Release:
    """Return a release by its name, or by its model if there is only one of the model.

    Raises:
        UnknownNameError: If there is no such release, or several of the model.
    """
    if name in RELEASES:
        return RELEASES[name]
    of_model = _of_model(name)
    if len(of_model) == 1:
        return of_model[0]
    hint = f"Choose one of: {', '.join(each.name for each in of_model)}." if of_model else ""
    raise unknown_name("release", name, RELEASES, hint or "`inpaint-zoo weights list` lists all.")


def release_path(release: Release) -> Path:
    """Return where the converted weights of a release are stored.

    This is the folder `official` in INPAINT_ZOO_WEIGHTS or, without this variable, in PyTorch's hub folder.
    """
    folder = weights_folder()
    if folder is None:
        import torch

        folder = Path(torch.hub.get_dir()) / "inpaint_zoo"
    return folder / OFFICIAL / f"{release.model}_{release.variant}.safetensors"


def official_weights(model: str, stated: str) -> Path:
    """Return the imported weights of a model.

    Args:
        model: Registry name of the model.
        stated: "official", or "official:VARIANT".

    Raises:
        MissingError: If they were not imported; the message says what to fetch and how to import it.
        UnknownNameError: If no released weights of the model are known, or the variant is unknown or must be chosen.
    """
    variant = stated.removeprefix(OFFICIAL).removeprefix(":")
    candidates = [each for each in _of_model(model) if variant in ("", each.variant)]
    if not candidates:
        known = sorted({each.model for each in _ALL})
        if variant and _of_model(model):
            raise unknown_name(f"release of '{model}':", variant, [each.variant for each in _of_model(model)])
        raise unknown_name(
            "model with released weights:", model, known, f"Released weights are known of {', '.join(known)}."
        )
    found = [each for each in candidates if release_path(each).is_file()]
    if len(found) > 1:
        raise unknown_name(
            "release:", stated, [f"{OFFICIAL}:{each.variant}" for each in found], f"Choose one: {_choices(found)}."
        )
    if not found:
        raise MissingError(
            f"The released weights of '{model}' are not on this machine. Fetch "
            + "; or ".join(
                f"{each.fetch}, then run `inpaint-zoo weights import {each.name} FILE`" for each in candidates
            )
            + "."
        )
    return release_path(found[0])


def is_official(weights: object) -> bool:
    """Return whether ``weights`` means imported weights: "official" or "official:VARIANT"."""
    return isinstance(weights, str) and (weights == OFFICIAL or weights.startswith(f"{OFFICIAL}:"))


def _of_model(model: str) -> list[Release]:
    return [each for each in _ALL if each.model == model]


def _choices(releases: Iterable[Release]) -> str:
    return ", ".join(f"{OFFICIAL}:{each.variant}" for each in releases)
