"""The records of the registry: the data sets of the papers' tables, one record for each way to split a data set.

The numbers of images are those that the papers or the sources of the data sets state. Where a paper's split is
unpublished, the rule draws one with a fixed seed, and the record says so. Licenses without `license_read` were not read
at their source and are shown as unconfirmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from inpaint_zoo.data.records import DatasetRecord, Folder, SplitName, SplitRule

__all__ = ["RECORDS"]

_RESEARCH = "non-commercial research"


def _drawn(train: int | None, val: int, test: int, rules: Mapping[str, Any]) -> dict[SplitName, SplitRule]:
    """Return splits that are drawn from all images by ``rules``, with ``val`` of the training images for validation."""
    numbers: dict[SplitName, int | None] = {"train": train, "val": val, "test": test}
    return {part: SplitRule(count, select={**rules, "val": val, "part": part}) for part, count in numbers.items()}


def _held_out(train: int, val: int, folder: str, test: SplitRule) -> dict[SplitName, SplitRule]:
    """Return splits of a set with folders for training and testing; ``val`` images are drawn from the training set."""
    parts: dict[SplitName, int] = {"train": train, "val": val}
    drawn = {part: SplitRule(n, folder, {"val": val, "part": part}) for part, n in parts.items()}
    return {**drawn, "test": test}


CELEBA = DatasetRecord(
    name="celeba",
    title="CelebA, aligned",
    folder="celeba",
    layout="000001.jpg to 202599.jpg, with or without the folder img_align_celeba. The partition by number is "
    "official; 500 of the 19,867 validation images are used.",
    folders={"": Folder("img_align_celeba/*.jpg", 202_599)},
    splits={
        "train": SplitRule(162_770, select={"first": 162_770}),
        "val": SplitRule(500, select={"after": 162_770, "first": 500}),
        "test": SplitRule(19_962, select={"after": 182_637}),
    },
    license=_RESEARCH,
    url="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    license_read="its agreement, as a copy of the data set quotes it",
    source="ISNet, Table 4",
)
CELEBA_ISNET = replace(
    CELEBA,
    name="celeba_isnet",
    title="CelebA, ISNet's 5,000 test images",
    layout="As celeba. Testing uses the first 5,000 of the 19,962 test images, validation every 20th validation image.",
    splits={
        "train": CELEBA.splits["train"],
        "val": SplitRule(994, select={"after": 162_770, "first": 19_867, "every": 20}),
        "test": SplitRule(5000, select={"after": 182_637, "first": 5000}),
    },
    source="ISNet, section IV and Table 6",
    tables=("ISNet 6",),
    note="The authors' selection of 5,000 images is unpublished.",
)
CELEBA_HQ = DatasetRecord(
    name="celeba_hq",
    title="CelebA-HQ",
    folder="celeba_hq",
    layout="30,000 images in one folder. A random split into 27,000 and 3,000; 200 of the 27,000 are for validation.",
    folders={"": Folder("*.jpg or *.png", 30_000)},
    splits=_drawn(26_800, 200, 3000, {"holdout": 3000}),
    license=_RESEARCH,
    url="https://github.com/tkarras/progressive_growing_of_gans",
    source="LGNet, section IV-A",
    tables=("LGNet I", "LGNet VI", "LGNet VIII"),
    note="LGNet's own split is unpublished; this one is drawn with seed 0.",
)
CELEBA_HQ_GRIG = replace(
    CELEBA_HQ,
    name="celeba_hq_grig",
    title="CelebA-HQ, GRIG's split",
    layout="As celeba_hq. A random split into 28,000 and 2,000; 200 of the 28,000 are for validation.",
    splits=_drawn(27_800, 200, 2000, {"holdout": 2000}),
    source="GRIG, section 4.1 and Table 1",
    tables=("GRIG 3", "GRIG 5", "GRIG Fig. 8"),
    note="GRIG's own split is unpublished; this one is drawn with seed 0.",
)
FFHQ = DatasetRecord(
    name="ffhq",
    title="FFHQ",
    folder="ffhq",
    layout="70,000 images, with or without folders of 1,000. The first 60,000 by number are for training, the last "
    "10,000 for testing; 500 of the 60,000, drawn with seed 0, are for validation.",
    folders={"": Folder("*/*.png", 70_000)},
    splits={
        "train": SplitRule(59_500, select={"flat": True, "first": 60_000, "val": 500, "part": "train"}),
        "val": SplitRule(500, select={"flat": True, "first": 60_000, "val": 500, "part": "val"}),
        "test": SplitRule(10_000, select={"flat": True, "after": 60_000}),
    },
    license="CC BY-NC-SA 4.0; each image has its own license",
    url="https://github.com/NVlabs/ffhq-dataset",
    license_read="the README of its repository",
    source="the data set's authors, who name the first 60,000 images for training",
)
FFHQ_GRIG = replace(
    FFHQ,
    name="ffhq_grig",
    title="FFHQ, GRIG's split",
    layout="As ffhq. A random split into 60,000 and 10,000; 500 of the 60,000 are for validation.",
    splits=_drawn(59_500, 500, 10_000, {"holdout": 10_000}),
    source="GRIG, section 4.1 and Table 1",
    tables=("GRIG 2", "GRIG Fig. 8"),
    note="GRIG's own split is unpublished; this one is drawn with seed 0.",
)
FFHQ_GLAMA = replace(
    FFHQ,
    name="ffhq_glama",
    title="FFHQ, GLaMa's split",
    layout="As ffhq. The first 60,000 are for training, the next 2,000 for testing, the next 500 for validation.",
    splits={
        "train": SplitRule(60_000, select={"flat": True, "first": 60_000}),
        "val": SplitRule(500, select={"flat": True, "after": 62_000, "first": 500}),
        "test": SplitRule(2000, select={"flat": True, "after": 60_000, "first": 2000}),
    },
    source="GLaMa, section 4.1",
    tables=("GLaMa 1", "GLaMa 2", "GLaMa 3", "GLaMa 4", "GLaMa 5"),
    note="GLaMa's own selection of 2,000 images is unpublished.",
)
PLACES2 = DatasetRecord(
    name="places2",
    title="Places365-Standard (Places2)",
    folder="places2",
    layout="The images at their original size: data_large with a folder for each of the 365 categories, and val_large, "
    "all of which are test images. 500 of data_large, drawn with seed 0, are for validation.",
    folders={"data_large": Folder("<letter>/<category>/*.jpg", 1_803_460), "val_large": Folder("*.jpg", 36_500)},
    splits=_held_out(1_802_960, 500, "data_large", SplitRule(36_500, "val_large")),
    license=f"{_RESEARCH} and education",
    url="http://places2.csail.mit.edu/download.html",
    source="GRIG, section 4.1 and Table 1",
    tables=("GRIG Fig. 8",),
)
# LGNet does not name its 20 categories. These are every 18th of the 365 in the official numbering, 0 to 342. This rule
# includes indoor, urban and natural scenes without manual selection.
_CATEGORIES = (
    *("a/airfield", "a/army_base", "b/bamboo_forest", "b/beer_hall", "b/butchers_shop", "c/church/indoor"),
    *("c/courthouse", "d/dressing_room", "f/fire_station", "g/gift_shop", "h/hot_spring", "j/jewelry_shop"),
    *("l/loading_dock", "m/mountain_snowy", "p/palace", "p/plaza", "r/river", "s/sky", "s/swimming_hole"),
    "u/underwater/ocean_deep",
)
_LABELS = ("places365_val.txt", "categories_places365.txt")
_OF_CLASSES = {"classes": _CATEGORIES, "val": 500}
PLACES2_20 = replace(
    PLACES2,
    name="places2_20",
    title="Places2, LGNet's 20 categories",
    layout="As places2, with the official lists places365_val.txt and categories_places365.txt "
    "(filelist_places365-standard.tar). 2,000 training images of each of 20 categories, drawn with seed 0; the 100 "
    "images of each category in val_large are for testing, 500 other training images for validation.",
    splits={
        "train": SplitRule(40_000, "data_large", {**_OF_CLASSES, "part": "train", "per_class": [2000, 0]}),
        "val": SplitRule(500, "data_large", {**_OF_CLASSES, "part": "val"}),
        "test": SplitRule(2000, "val_large", {"classes": _CATEGORIES}, _LABELS),
    },
    source="LGNet, section IV-A",
    tables=("LGNet II", "LGNet VI", "LGNet VIII"),
    note="LGNet does not name its categories; these are every 18th of the 365 in the official numbering.",
)
PLACES2_GLAMA = replace(
    PLACES2,
    name="places2_glama",
    title="Places2, GLaMa's split",
    layout="As places2. All of data_large is for training; the first 3,650 images of val_large are for testing, the "
    "next 500 for validation.",
    splits={
        "train": SplitRule(1_803_460, "data_large"),
        "val": SplitRule(500, "val_large", {"after": 3650, "first": 500}),
        "test": SplitRule(3650, "val_large", {"first": 3650}),
    },
    source="GLaMa, section 4.1",
    tables=("GLaMa 1", "GLaMa 2", "GLaMa 5"),
    note="GLaMa's own selection of 3,650 images is unpublished.",
)
PLACES2_ISNET = replace(
    PLACES2,
    name="places2_isnet",
    title="Places2, ISNet's test images",
    layout="As places2, with test_large. All of data_large is for training, every 20th image of val_large for "
    "validation, every 33rd of test_large for testing.",
    folders={**PLACES2.folders, "test_large": Folder("*.jpg", 328_500)},
    splits={
        "train": SplitRule(1_803_460, "data_large"),
        "val": SplitRule(1825, "val_large", {"every": 20}),
        "test": SplitRule(9955, "test_large", {"every": 33}),
    },
    source="ISNet, section IV and Table 5",
    tables=("ISNet 3", "ISNet 5", "ISNet 7", "ISNet 8"),
    note="The authors take every 32.85th image, which gives 10,000 of 328,500. The paper's Table 4 states 36,000 test "
    "images.",
)
IMAGENET = DatasetRecord(
    name="imagenet",
    title="ImageNet 2012, 50,000 training images",
    folder="imagenet",
    layout="train with a folder for each class, and val with or without folders. 50,000 training images are drawn with "
    "seed 0. Of val, 2,000 images are for testing and 500 others for validation; with folders, both cover all classes.",
    folders={"train": Folder("<class>/*.JPEG", 1_281_167), "val": Folder("*.JPEG or <class>/*.JPEG", 50_000)},
    splits={
        "train": SplitRule(50_000, "train", {"few_shot": [50_000, 0]}),
        "val": SplitRule(500, "val", {"after": 2000, "first": 500}),
        "test": SplitRule(2000, "val", {"first": 2000}),
    },
    license=f"{_RESEARCH} and education, on request",
    url="https://www.image-net.org/download.php",
    license_read="its terms of access, as copies of the data set quote them",
    source="GLCIC/CA, section IV-A",
    tables=("GLCIC/CA II",),
    note="The study's 50,000 training images are unpublished. Its table tests these models on Animals-90.",
)
IMAGENET_GLAMA = replace(
    IMAGENET,
    name="imagenet_glama",
    title="ImageNet 2012, GLaMa's split",
    layout="As imagenet, with all training images.",
    splits={**IMAGENET.splits, "train": SplitRule(1_281_167, "train")},
    source="GLaMa, section 4.1",
    tables=("GLaMa 1", "GLaMa 2", "GLaMa 5"),
    note="GLaMa trains on about 1,000,000 images and does not say which; its selection of 2,000 images is unpublished.",
)
PARIS_STREETVIEW = DatasetRecord(
    name="paris_streetview",
    title="Paris StreetView",
    folder="paris_streetview",
    layout="The official folders of 14,900 and 100 images. 100 of the 14,900, drawn with seed 0, are for validation.",
    folders={"paris_train_original": Folder("*.JPG", 14_900), "paris_eval_gt": Folder("*.png", 100)},
    splits=_held_out(14_800, 100, "paris_train_original", SplitRule(100, "paris_eval_gt")),
    license="research, on request from its authors",
    url="https://github.com/pathak22/context-encoder",
    source="LGNet, section IV-A; GRIG, Table 1",
    tables=("LGNet III", "LGNet V", "LGNet VI", "LGNet VII", "LGNet VIII", "GRIG 2", "GRIG 3", "GRIG 5", "GRIG Fig. 8"),
)
WIKIART = DatasetRecord(
    name="wikiart",
    title="WikiArt",
    folder="wikiart",
    layout="A folder for each style. 2,000 images, drawn with seed 0, are for testing, and 500 others for validation.",
    folders={"": Folder("<style>/*.jpg", None)},
    splits=_drawn(None, 500, 2000, {"holdout": 2000}),
    license=f"{_RESEARCH}, under the terms of WikiArt.org",
    url="https://github.com/cs-chan/ArtGAN/tree/master/WikiArt%20Dataset",
    license_read="the README of its repository",
    source="GLaMa, section 4.1",
    tables=("GLaMa 1", "GLaMa 2", "GLaMa 5"),
    note="GLaMa's own selection of 2,000 paintings is unpublished, and copies of WikiArt differ in their numbers.",
)
ANIMALS90 = DatasetRecord(
    name="animals90",
    title="Animals-90",
    folder="animals90",
    layout="A folder for each of 90 animals, with 60 images in each. Of these, 5 are for testing, 1 is for validation "
    "and 54 are for training.",
    folders={"": Folder("<animal>/*.jpg", 5400)},
    splits=_drawn(4860, 90, 450, {"by_class": [1, 11]}),
    license="terms of its Kaggle page",
    url="https://www.kaggle.com/datasets/iamsouravbanerjee/animal-image-dataset-90-different-animals",
    source="GLCIC/CA, section IV-A",
    tables=("GLCIC/CA II",),
    note="The study's choice of images is unpublished; this one is drawn with seed 0.",
)
CHASE = DatasetRecord(
    name="chase",
    title="CHASE_DB1",
    folder="chase_db1",
    layout="The 28 images of retinas, without the vessel maps, in the folder images. A random split into 18 and 10.",
    folders={"images": Folder("*.jpg", 28)},
    splits={
        "train": SplitRule(18, "images", {"holdout": 10, "part": "train"}),
        "val": SplitRule(10, "images", {"holdout": 10, "part": "test"}),
        "test": SplitRule(10, "images", {"holdout": 10, "part": "test"}),
    },
    license="CC BY 4.0",
    url="https://researchdata.kingston.ac.uk/96/",
    license_read="the license file of a copy, dataset-ninja/chase-db1",
    source="GRIG, section 4.1 and Table 1",
    tables=("GRIG 5", "GRIG 6", "GRIG Fig. 4", "GRIG Fig. 5"),
    note="GRIG's own split is unpublished; this one is drawn with seed 0. The set is too small to hold images out, so "
    "the validation images are the test images.",
)


def _small(name: str, train: int, test: int, origin: str, *tables: str) -> DatasetRecord:
    """Return one of the small sets that GRIG's authors distribute in two folders."""
    return DatasetRecord(
        name=name,
        title=f"{name.capitalize()} ({origin})",
        folder=name,
        layout="The folders train and test, as GRIG's authors distribute them.",
        folders={"train": Folder("*", train), "test": Folder("*", test)},
        splits={"train": SplitRule(train, "train"), "val": SplitRule(test, "test"), "test": SplitRule(test, "test")},
        license="not stated",
        url="https://longlongaaago.github.io/GRIG_few_shot_inpainting/",
        source="GRIG, section 4.1 and Table 1",
        tables=(*tables, "GRIG Fig. 4", "GRIG Fig. 5"),
        note="The set is too small to hold images out, so the validation images are the test images.",
    )


_FASTGAN = "from FastGAN's few-shot sets"
_ANIMAL_FACE = "from AnimalFace, by Si and Zhu"
SMALL = (
    _small("shell", 48, 16, _FASTGAN, "GRIG 3"),
    _small("skull", 72, 25, _FASTGAN, "GRIG 3"),
    _small("anime", 90, 30, _FASTGAN, "GRIG 3", "GRIG 5", "GRIG 6", "GRIG Fig. 23"),
    _small("fauvism", 94, 30, _FASTGAN, "GRIG 3"),
    _small("moongate", 106, 30, _FASTGAN, "GRIG 3"),
    _small("cat", 120, 40, _ANIMAL_FACE, "GRIG 3"),
    _small("dog", 309, 80, _ANIMAL_FACE, "GRIG 3", "GRIG 5", "GRIG 6", "GRIG Fig. 23"),
    _small("pokemon", 633, 200, "from pokemon.com"),
    _small("art", 750, 250, "from wikiart.org", "GRIG 3", "GRIG 5", "GRIG 6"),
)
TEXT = DatasetRecord(
    name="text_removal",
    title="Scene text erasing of Bian et al.",
    folder="text_removal",
    layout="The folders train and test with the images after erasing, which are free of text. 200 of the training "
    "images, drawn with seed 0, are for validation.",
    folders={"train": Folder("*", 11_040), "test": Folder("*", 1080)},
    splits=_held_out(10_840, 200, "train", SplitRule(1080, "test")),
    license="not stated",
    url="https://arxiv.org/abs/2011.09768",
    source="LGNet, section IV-E",
    tables=("LGNet Fig. 11",),
    note="LGNet states only the numbers of images. No official source with a published split is known; the page is "
    "that of the paper that LGNet cites.",
)
LOGO = DatasetRecord(
    name="openlogo",
    title="QMUL-OpenLogo",
    folder="openlogo",
    layout="The folders train and test with the images of the official fully supervised split; the official archive "
    "lists them. 200 of the training images, drawn with seed 0, are for validation.",
    folders={"train": Folder("*.jpg", 15_975), "test": Folder("*.jpg", 8331)},
    splits=_held_out(15_775, 200, "train", SplitRule(8331, "test")),
    license="not stated; images of seven other data sets",
    url="https://hangsu0730.github.io/qmul-openlogo/",
    source="LGNet, section IV-E",
    tables=("LGNet Fig. 12",),
    note="The numbers are LGNet's; the official archive has 27,083 images.",
)
KODAK18 = DatasetRecord(
    name="kodak18",
    title="Kodak, 18 of its 24 images",
    folder="kodak18",
    layout="kodim01.png to kodim24.png without 05, 08, 13, 16, 20 and 22; all of them are for testing.",
    folders={"": Folder("*.png", 18)},
    splits={"test": SplitRule(18)},
    license="unrestricted use, according to common statements; no formal license",
    url="https://r0k.us/graphics/kodak/",
    license_read="the README of a copy; there is no license file",
    source="no paper; for tests and examples",
)
SAMPLE = DatasetRecord(
    name="sample",
    title="Images that come with scikit-image",
    folder="sample",
    layout="Five images for training and four for testing; nothing has to be downloaded.",
    folders={"": Folder("*.png or *.jpg", 9)},
    splits={"train": SplitRule(5), "test": SplitRule(4)},
    license="terms in scikit-image's data folder",
    url="https://scikit-image.org",
    license_read="the README in that folder",
    source="no paper; for tests and examples",
    included=True,
)

RECORDS = (
    *(SAMPLE, KODAK18, CELEBA, CELEBA_ISNET, CELEBA_HQ, CELEBA_HQ_GRIG, FFHQ, FFHQ_GLAMA, FFHQ_GRIG),
    *(PLACES2, PLACES2_20, PLACES2_GLAMA, PLACES2_ISNET, IMAGENET, IMAGENET_GLAMA, PARIS_STREETVIEW, WIKIART),
    *(ANIMALS90, CHASE, *SMALL, TEXT, LOGO),
)
