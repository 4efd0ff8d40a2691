"""Test datasets that are joined from parts, and folders that INPAINT_ZOO_DATA names."""

import numpy as np
import pytest

from inpaint_zoo.data import InpaintingDataModule, create_dataset
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import write_image


@pytest.fixture
def folder(tmp_path):
    """Return a folder with two datasets of gray images: `dark` (values 20 and 21) and `bright` (200)."""
    for name, value in (("dark/a", 20), ("dark/b", 21), ("bright/sub/a", 200)):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, np.full((20, 24, 3), value, np.uint8))
    return tmp_path


def test_parts_are_joined_in_order_with_their_names(folder):
    parts = [{"name": "bright", "root": str(folder / "bright")}, {"name": "dark", "root": str(folder / "dark")}]
    data = create_dataset({"name": "both", "parts": parts})
    assert data.keys == ["bright/sub/a", "dark/a", "dark/b"]
    assert [data.load(k)[0, 0, 0] for k in range(3)] == [200, 20, 21]
    first = create_dataset({"name": "both", "parts": [{**parts[0]}, {**parts[1], "select": {"first": 1}}]})
    assert first.keys == ["bright/sub/a", "dark/a"]
    assert create_dataset({"name": "x", "parts": [parts[1], {"name": "sample", "split": "test"}]}).keys[:3] == [
        "dark/a",
        "dark/b",
        "sample/astronaut",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"root": "x", "parts": [{"name": "sample"}]}, "give `parts` or `root`, not both"),
        ({"parts": []}, "`parts` must be a list of datasets"),
        ({"parts": "dark"}, "`parts` must be a list of datasets"),
        ({"parts": [{"name": "sample"}, {"name": "sample"}]}, "different names, got sample, sample"),
        ({"parts": [{"name": "sample", "size": 64}]}, "Unknown dataset key 'size'"),
        ({"parts": [{"split": "test"}]}, "a dataset needs a `name`"),
    ],
)
def test_wrong_parts_are_refused(change, message):
    with pytest.raises(ZooError, match=message):
        create_dataset({"name": "both", **change})


def test_a_dataset_without_a_path_is_the_folder_of_its_name(folder, monkeypatch):
    with pytest.raises(ZooError, match=r"must be called dark in the folder set in INPAINT_ZOO_DATA"):
        create_dataset({"name": "dark"})
    monkeypatch.setenv("INPAINT_ZOO_DATA", str(folder))
    assert create_dataset({"name": "dark"}).keys == ["a", "b"]
    with pytest.raises(ZooError, match="gray"):
        create_dataset({"name": "gray"})


def test_the_data_module_finds_named_folders(folder, monkeypatch):
    def stems(train, **options):
        return list(InpaintingDataModule(train=train, size=16, **options).files("train"))

    joined = {"name": "both", "parts": [{"name": "dark"}, {"name": "light", "root": "bright/sub"}]}
    assert stems(joined, root=str(folder)) == ["dark/a", "dark/b", "light/a"]
    assert stems({"name": "anything", "root": "dark"}, root=str(folder)) == ["a", "b"]
    monkeypatch.setenv("INPAINT_ZOO_DATA", str(folder))
    assert stems(joined) == ["dark/a", "dark/b", "light/a"]
    assert stems({"name": "dark"}) == ["a", "b"]
    assert stems({"name": "sample", "split": "test"})[0] == "astronaut"
    assert stems({"name": "dark"}, root=str(folder / "bright" / "sub")) == ["a"]
