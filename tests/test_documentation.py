"""The pages of the documentation: links lead somewhere, tables and figures are current, nothing is left out."""

import re
import runpy
from urllib.parse import urlsplit

import numpy as np
import pytest
import yaml
from PIL import Image

import inpaint_zoo as iz
from tests.conftest import REPOSITORY
from tests.helpers.documents import PAGES, anchors, links

DOCS = REPOSITORY / "docs"
FAMILIES = sorted(DOCS.glob("families/*.md"))
TABLES = runpy.run_path(str(DOCS / "scripts" / "generated.py"))
WITHOUT_HTTPS = {"places2.csail.mit.edu"}
NAVIGATION = (REPOSITORY / "mkdocs.yml").read_text()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_to_files_and_headings(page):
    folder = (REPOSITORY / page).parent
    for link in links(page):
        path, _, anchor = link.partition("#")
        if re.match(r"\w+:", link):
            continue
        target = (folder / path).resolve() if path else REPOSITORY / page
        assert target.exists(), f"{page} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.relative_to(REPOSITORY)), f"{page} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_to_other_hosts_are_well_formed(page):
    for link in links(page):
        if not re.match(r"\w+:", link) or link.startswith("mailto:"):
            continue
        parts = urlsplit(link)
        assert parts.scheme == "https" or parts.netloc in WITHOUT_HTTPS, f"{page}: {link}"
        assert re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", parts.netloc, re.IGNORECASE), f"{page}: {link}"
        assert parts.path or not parts.query, f"{page}: {link}"


@pytest.mark.parametrize("page", FAMILIES, ids=lambda page: page.stem)
def test_tables_of_a_family_are_current(page):
    text = page.read_text()
    assert TABLES["BLOCK"].search(text)
    assert text == TABLES["written"](text), "run: python docs/scripts/generated.py"


def shown(kind):
    """Return what the generated tables of all family pages name."""
    texts = [match[3] for page in FAMILIES for match in TABLES["BLOCK"].finditer(page.read_text()) if match[2] == kind]
    return [word for text in texts for word in text.split()]


def test_each_model_is_on_the_page_of_one_family():
    names = [name for page in FAMILIES for name in re.findall(r"^\| `(\w+)` \|", page.read_text(), re.MULTILINE)]
    assert sorted(names) == sorted(iz.list_models()), "add the model to a page in docs/families"


def test_each_configuration_and_suite_is_on_the_page_of_one_family():
    general = {"augment", "data", "logger", "masks", "tiny", "trainer"}
    folders = {path.name for path in (REPOSITORY / "configs").iterdir() if path.is_dir()} - general
    assert sorted(shown("configurations")) == sorted(folders)
    suites = {path.parent.name for path in REPOSITORY.glob("benchmarks/*/*.yaml")}
    assert sorted(shown("suites")) == sorted(suites)


def test_each_page_is_in_the_navigation():
    text = NAVIGATION.split("\nnav:\n")[1]
    named = re.findall(r"[\w/]+\.md", text)
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    others = ("CONTRIBUTING.md", "CHANGELOG.md", "notebooks/README.md")
    assert sorted(named) == sorted([*pages, *(f"repository/{name}" for name in others)])


def test_the_site_loads_nothing_from_other_hosts():
    # `.ci/site.py` checks the built pages
    settings = yaml.safe_load(re.sub(r"!!python\S+", "", NAVIGATION))
    assert settings["theme"]["font"] is False
    assert "repo_url" not in settings  # the theme would ask GitHub for the number of stars
    assert not [key for key in ("extra_javascript", "site_url") if key in settings]


def test_figures_of_networks_are_current_and_complete():
    script = runpy.run_path(str(DOCS / "scripts" / "architectures.py"))
    for name in script["NETWORKS"]:
        blocks = script["blocks_of"](name)
        assert sum(block.parameters for block in blocks) == iz.model_info(name).parameters, name
        mask = int(name == "partial_conv")  # its layers return masks, too
        assert blocks[-1].shapes == ((3 + mask, script["NETWORKS"][name].size, script["NETWORKS"][name].size),), name
        drawn = script["draw"](name, blocks, script["NETWORKS"][name].size)
        assert (DOCS / "figures" / f"{name}.svg").read_text() == drawn, "run: python docs/scripts/architectures.py"


def test_the_lines_of_a_figure_are_the_skip_connections():
    """LGNet's U-Net: each level of the decoder reads the encoder's feature map of its size and the level below."""
    script = runpy.run_path(str(DOCS / "scripts" / "architectures.py"))
    blocks = script["blocks_of"]("lgnet")
    encoder, decoder = range(8), range(8, 16)
    for index in decoder:
        skip = {15 - index} if index > 8 else set()
        assert blocks[index].sources == {index - 1} | skip
    assert all(blocks[index].sources == {index - 1} for index in encoder if index)


def test_the_gallery_shows_every_mask_that_needs_no_files():
    script = runpy.run_path(str(DOCS / "scripts" / "mask_gallery.py"))
    page = (DOCS / "mask_gallery.md").read_text()
    assert script["listing"]() in page, "run: python docs/scripts/mask_gallery.py"
    for name in set(iz.list_masks(ready=False)) - set(iz.list_masks()):
        assert f"`{name}`" in page or name.startswith("nvidia_"), name
    for title, names in script["sections"]().items():
        drawn = np.asarray(script["sheet"](names[:1]).convert("L"), np.int16)
        figure = np.asarray(Image.open(DOCS / "figures" / script["file_name"](title)).convert("L"), np.int16)
        assert figure.shape[0] == (drawn.shape[0] - script["GAP"]) * len(names) + script["GAP"], title
        # a share is rounded to a gray level, on either side of a tie
        assert np.abs(figure[: len(drawn)] - drawn).max() <= 17, title


def test_pages_of_the_api_name_all_public_names():
    pages = runpy.run_path(str(DOCS / "scripts" / "api_pages.py"))["API_PAGES"]
    for name in iz.__all__:
        assert name.startswith("__") or f"'{name}'" in pages["index"] or f".{name}.{name}\n" in pages["index"]
    for name, function in (("masks", iz.create_mask), ("metrics", iz.create_metric)):
        assert f"'{function.__name__}'" not in pages[name]  # on the first page, to which a link leads
        assert f"[`{function.__name__}`](index.md#" in pages[name]
    assert "inpaint_zoo.models.isnet.module" in pages["models"]


def test_the_api_reference_has_functions_with_the_names_of_their_modules():
    """mkdocstrings documents the module under such a name, so they need directives of their own."""
    pages = runpy.run_path(str(DOCS / "scripts" / "api_pages.py"))["API_PAGES"]
    hidden = [name for name in iz.__all__ if getattr(getattr(iz, name), "__module__", "").endswith(f".{name}")]
    assert {"inpaint", "optimize"} <= set(hidden)
    for name in hidden:
        assert f"::: {getattr(iz, name).__module__}.{name}\n" in pages["index"]
    assert "::: inpaint_zoo.ops.composite.composite\n" in pages["ops"]
