"""User studies: the plans, the page's secrecy, its behavior in a browser, and the scores from answers."""

import json
import re
from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.benchmark.study import StudyOptions, build_study, score_study
from inpaint_zoo.benchmark.study.checksum import checksum
from inpaint_zoo.benchmark.study.design import pair_plans, rank_plans
from inpaint_zoo.benchmark.study.key import TRUTH, read_key
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from tests.helpers.browser import launched, watched
from tests.helpers.synthetic_run import write_run

PNG_PARTS = {b"IHDR", b"IDAT", b"IEND"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Four methods on six images with two mask sets, all results kept."""
    out = tmp_path_factory.mktemp("run") / "run"
    datasets, metrics = (("images", 4), ("sample", 2)), ("psnr",)
    return write_run(out, methods=4, size=48, datasets=datasets, metrics=metrics, gallery=6, failed=(), missing=())


def build(run, out, **options):
    return build_study(read_run(run), out, StudyOptions(**options))


def label_of(key, name):
    return key.files[name].method


# --- the plans ---


@pytest.mark.parametrize(("items", "methods"), [(12, 4), (7, 3), (5, 5)])
def test_each_method_is_at_each_place_once_for_each_image(items, methods):
    questions = [each for plan in rank_plans(items, methods, items, methods, seed=3) for each in plan]
    places = Counter((each.item, method, place) for each in questions for place, method in enumerate(each.methods))
    assert set(places.values()) == {1}
    assert len(places) == items * methods * methods


def test_places_are_balanced_within_a_plan():
    for plan in rank_plans(30, 5, 20, 6, seed=1):
        assert len({each.item for each in plan}) == 20
        places = Counter((method, place) for each in plan for place, method in enumerate(each.methods))
        assert max(places.values()) <= 6  # 4 on average; each block of 5 images has every place once


def test_each_pair_is_shown_once_for_each_image():
    plans = pair_plans(8, 4, 8, 6, seed=2)
    assert all(len({each.item for each in plan}) == 8 for plan in plans)
    pairs = Counter((each.item, tuple(sorted(each.methods))) for plan in plans for each in plan)
    assert set(pairs.values()) == {1}
    assert len(pairs) == 8 * 6
    twice = Counter((each.item, each.methods) for plan in pair_plans(8, 4, 8, 12, seed=2) for each in plan)
    assert set(twice.values()) == {1}  # the second time with exchanged places


def test_sides_of_a_pair_are_balanced():
    for plan in pair_plans(48, 4, 48, 5, seed=0):
        first = Counter(tuple(sorted(each.methods)) for each in plan if each.methods[0] < each.methods[1])
        assert set(first.values()) == {4}  # of 8


def test_plans_depend_on_the_seed_alone():
    assert rank_plans(9, 3, 5, 4, seed=1) == rank_plans(9, 3, 5, 4, seed=1)
    assert rank_plans(9, 3, 5, 4, seed=1) != rank_plans(9, 3, 5, 4, seed=2)
    orders = [tuple(each.item for each in plan) for plan in rank_plans(9, 3, 9, 4, seed=1)]
    assert len(set(orders)) == 4


# --- the page ---


def chunks(path):
    """Return the types of the parts of a PNG file."""
    data, at, found = path.read_bytes(), 8, set()
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.add(data[at + 4 : at + 8])
        at += 12 + length
    return found


@pytest.mark.parametrize("mode", ["rank", "pairs"])
def test_the_page_does_not_say_which_method_is_which(run, tmp_path, mode):
    build(run, tmp_path / "study", mode=mode, show="both", include_truth=True)
    page = tmp_path / "study" / "page"
    text = (page / "index.html").read_text()
    data = text[text.index('id="study-data"') :]
    for secret in (*read_run(run).methods, "images,", "astronaut", "lama_thick", "synthetic", TRUTH, "telea"):
        assert secret not in data
    assert not re.search(r"https?://", text)
    images = sorted((page / "images").iterdir())
    assert [path.stem for path in images] == [f"{n:02d}" for n in range(1, len(images) + 1)]
    assert all(chunks(path) == PNG_PARTS for path in images)
    assert len({np.asarray(Image.open(path)).shape for path in images}) == 1
    methods = [read_key(tmp_path / "study").files[path.stem].method for path in images]
    assert methods != sorted(methods, key=str)
    assert {path.name for path in page.iterdir()} == {"index.html", "images"}


def test_files_are_what_the_key_says(run, tmp_path):
    build(run, tmp_path / "study", show="masked")
    key, source = read_key(tmp_path / "study"), read_run(run)
    for name, shown in key.files.items():
        item = key.items[shown.item]
        pixels = np.asarray(Image.open(tmp_path / "study" / "page" / "images" / f"{name}.png"))
        number = list(source.image_groups(item.dataset)).index(item.image)
        truth = np.asarray(Image.open(source.target_file(item.dataset, number)))
        hole = np.asarray(Image.open(source.mask_file(item.dataset, item.mask, number))) > 127
        assert (pixels[~hole] == truth[~hole]).all()
        if shown.method is not None:
            file = source.result_file((shown.method, item.dataset, item.mask), number)
            assert (pixels == np.asarray(Image.open(file))).all()
    for plan in key.plans:
        for files in plan:
            assert len({key.files[name].item for name in files}) == 1
            assert {label_of(key, name) for name in files} == set(source.methods)


def test_equal_options_give_equal_studies(run, tmp_path):
    studies = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        build(run, tmp_path / name, seed=seed)
        studies[name] = {file.name: file.read_bytes() for file in (tmp_path / name).rglob("*") if file.is_file()}
    assert studies["a"] == studies["b"]
    assert read_key(tmp_path / "a").study != read_key(tmp_path / "c").study


def test_selection_of_methods_masks_and_images(run, tmp_path, capsys):
    words = [
        "--mode=pairs",
        "--only=method=t*",
        "--only=method=mean*",
        "--only=mask=center",
        "--images=3",
        "--raters=5",
    ]
    assert main(["study", str(run), "--out", str(tmp_path / "study"), *words]) == 0
    text = capsys.readouterr().out
    assert "2 methods, 3 images; 3 questions for each of 5 raters" in text
    key = read_key(tmp_path / "study")
    assert key.methods == ("mean_fill", "telea")
    assert {item.mask for item in key.items} == {"center"}
    assert len(key.plans) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": ("method=telea",)}, r"needs 2 to 9 methods, got 1"),
        ({"only": ("method=lama",)}, r"--only method=lama: no method matches; available: mean_fill, telea"),
        ({"images": 50}, r"--images 50: only 12 images have .* kept the results of 4 images"),
        ({"questions": 13}, r"--questions 13: there are only 12 images"),
        ({"mode": "pairs", "questions": 73}, r"--questions 73: there are only 72 pairs"),
    ],
)
def test_impossible_studies_are_explained(run, tmp_path, options, message):
    with pytest.raises(ZooError, match=message):
        build(run, tmp_path / "study", **options)
    assert not (tmp_path / "study").exists()


def test_results_that_were_not_kept_are_named(tmp_path):
    run = write_run(tmp_path / "run", methods=3, size=32, metrics=("psnr",))
    built = build(run, tmp_path / "study")
    assert built.images == 2  # those of the other mask set
    cells = [f"{method} on sample, lama_thick" for method in ("telea", "navier_stokes")]
    assert built.notes == tuple(f"{cell}: 2 images have no result and are left out." for cell in cells)
    with pytest.raises(ZooError, match="is not empty; --out needs a new folder"):
        build(run, tmp_path / "study")


def test_pairs_of_identical_images_are_not_asked(tmp_path):
    run = write_run(tmp_path / "run", methods=3, size=32, metrics=("psnr",), failed=(), missing=(), masks=("center",))
    source = read_run(run)
    for number in source.gallery_numbers("sample"):
        same = source.result_file(("telea", "sample", "center"), number).read_bytes()
        source.result_file(("navier_stokes", "sample", "center"), number).write_bytes(same)
    built = build(run, tmp_path / "study", mode="pairs", raters=3)
    assert built.notes[0] == (
        "telea, navier_stokes: identical results for 2 of 2 images; questions about them were left out."
    )
    key = read_key(tmp_path / "study")
    asked = {frozenset(label_of(key, name) for name in files) for plan in key.plans for files in plan}
    assert frozenset(("telea", "navier_stokes")) not in asked
    assert len(asked) == 2


# --- the scores ---


def answer(folder, rater, plan, choose, questions=None, started="2026-01-01"):
    """Write a file of answers as the page does; `choose` orders the labels of a question, best first."""
    key = read_key(folder)
    asked = list(enumerate(key.plans[plan]))[:questions]
    answers = [
        {"question": at, "files": sorted(files, key=lambda name: choose.index(label_of(key, name))), "seconds": 1.5}
        for at, files in asked
    ]
    content = {"format": 1, "study": key.study, "mode": key.mode, "rater": rater, "plan": plan, "started": started}
    content |= {"questions": len(key.plans[plan]), "answers": answers}
    content["checksum"] = checksum(key.study, rater, plan, [(each["question"], each["files"]) for each in answers])
    path = folder / "answers" / f"{rater}{'' if questions is None else f'-{questions}'}.json"
    path.write_text(json.dumps(content))
    return path


def test_average_ranks(run, tmp_path, capsys):
    build(run, tmp_path / "study", raters=6)
    methods = list(read_run(run).methods)
    other = [methods[1], methods[0], *methods[2:]]
    for rater in range(6):
        answer(tmp_path / "study", f"r{rater}", rater, methods if rater % 3 else other)
    scored = score_study(tmp_path / "study")
    table = scored.tables[0]
    assert [row.method for row in table.rows] == methods
    ranks = [row.score.value for row in table.rows]
    assert ranks == pytest.approx([1 + 1 / 3, 2 - 1 / 3, 3, 4])
    assert [row.share.value for row in table.rows] == pytest.approx([2 / 3, 1 / 3, 0, 0])
    assert [row.votes for row in table.rows] == [6 * 12] * 4
    assert table.rows[2].score.low == table.rows[2].score.high == 3
    assert 1 <= table.rows[0].score.low < ranks[0] < table.rows[0].score.high
    assert table.rows[3].differs
    assert not table.rows[1].differs
    assert [each.dataset for each in scored.tables] == ["all images", "images", "sample"]
    assert main(["study", "score", str(tmp_path / "study")]) == 0
    text = capsys.readouterr().out
    assert "Kendall's W" in text
    assert f"{methods[0]} is best; no significant difference: {methods[1]}." in text
    votes = pd.read_csv(tmp_path / "study" / "votes.csv")
    by_hand = votes.groupby("method")["rank"].mean()
    written = pd.read_csv(tmp_path / "study" / "scores.csv").query("dataset == 'all images'")
    assert by_hand[written["method"]].tolist() == pytest.approx(written["average_rank"].tolist())
    assert "| average rank ↓ |" in (tmp_path / "study" / "scores.md").read_text()


def test_pairwise_choices(run, tmp_path, capsys):
    build(run, tmp_path / "study", mode="pairs", raters=12, questions=12)
    methods = list(read_run(run).methods)
    for rater in range(12):
        answer(tmp_path / "study", str(rater), rater, methods if rater % 4 else methods[::-1])
    table = score_study(tmp_path / "study").tables[0]
    assert [row.method for row in table.rows] == methods
    scores = [row.score.value for row in table.rows]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(0)
    assert table.wins.sum() == 12 * 12
    assert (table.wins + table.wins.T)[np.triu_indices(4, 1)].tolist() == [24] * 6
    shares = [row.share.value for row in table.rows]
    assert shares == pytest.approx([table.wins[at].sum() / row.votes for at, row in enumerate(table.rows)])
    assert main(["study", "score", str(tmp_path / "study")]) == 0
    assert "kappa" in capsys.readouterr().out
    assert "row preferred to column" in (tmp_path / "study" / "scores.md").read_text()


def test_files_that_do_not_belong_to_the_study_are_named(run, tmp_path, capsys):
    build(run, tmp_path / "study", raters=4)
    build(run, tmp_path / "foreign", raters=4, seed=1)
    methods = list(read_run(run).methods)
    study, files = tmp_path / "study", tmp_path / "study" / "answers"
    for rater in range(2):
        answer(study, f"good{rater}", rater, methods)
    answer(study, "good0", 0, methods, questions=5)  # an earlier state
    answer(study, "part", 2, methods, questions=3)
    foreign = answer(tmp_path / "foreign", "foreign", 3, methods)
    foreign.rename(files / "foreign.json")
    changed = answer(study, "changed", 3, methods)
    changed.write_text(changed.read_text().replace('"rater": "changed"', '"rater": "somebody"'))
    (files / "torn.json").write_text(changed.read_text()[:200])
    (files / "deep.json").write_text('{"study":' * 100_000)
    other = answer(study, "other", 3, methods)
    content = json.loads(other.read_text())
    content["answers"][0]["files"] = content["answers"][1]["files"]
    pairs = [(each["question"], each["files"]) for each in content["answers"]]
    content["checksum"] = checksum(content["study"], "other", 3, pairs)
    other.write_text(json.dumps(content))
    assert main(["study", "score", str(study)]) == 1
    shown = capsys.readouterr()
    for line in (
        "refused: changed.json: it was changed after it was saved",
        "refused: foreign.json: it belongs to another study",
        "refused: other.json: question 0: the images are not those of the plan",
        "refused: torn.json: it is not a file of answers, or it is incomplete",
        "refused: deep.json: it is not a file of answers, or it is incomplete",
        "part-3.json is partial: 3 of 12 questions are answered",
        "good0-5.json is an earlier state of good0.json",
    ):
        assert line in shown.err
    assert "27 answers of 3 raters" in shown.out


def test_a_study_without_usable_answers(run, tmp_path):
    build(run, tmp_path / "study", raters=2)
    with pytest.raises(ZooError, match=r"contains no \*\.json file"):
        score_study(tmp_path / "study")
    (tmp_path / "study" / "answers" / "a.json").write_text("[]")
    with pytest.raises(ZooError, match=r"No file in .* can be used\. a\.json: it is not a file of answers"):
        score_study(tmp_path / "study")
    with pytest.raises(ZooError, match=r"is not the folder of a study: it has no key\.json"):
        score_study(tmp_path / "study" / "page")
    key = tmp_path / "study" / "key.json"
    key.write_text(key.read_text().replace("telea", "lama"))
    with pytest.raises(ZooError, match=r"key\.json was changed after the study was made"):
        score_study(tmp_path / "study")


# --- in a browser ---


@pytest.fixture(scope="module")
def browser():
    with launched() as chromium:
        yield chromium


@pytest.fixture
def visit(browser, tmp_path):
    """Return a function that opens the page as a new rater; afterwards, check that nothing was reported."""
    contexts, complaints = [], []

    def start(width, **options):
        context = browser.new_context(viewport={"width": width, "height": 844}, accept_downloads=True, **options)
        contexts.append(context)
        page = watched(context, complaints)
        page.goto((tmp_path / "study" / "page" / "index.html").as_uri())
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []


def wait(page):
    """Wait until a question can be answered, and return the files that it shows."""
    page.wait_for_selector("#choices[aria-busy=false]")
    return [each.get_attribute("data-file") for each in page.locator("#choices button").all()]


def save(page, folder):
    with page.expect_download() as download:
        page.locator("#save").click()
    download.value.save_as(folder / download.value.suggested_filename)


def fits(page, width):
    return page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_two_raters_rank_by_keyboard_and_by_touch(run, tmp_path, visit):
    build(run, tmp_path / "study", raters=2, questions=4)
    key, methods = read_key(tmp_path / "study"), list(read_run(run).methods)

    page = visit(1280)
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    for number in range(4):
        files = wait(page)
        assert page.locator("#count").inner_text() == f"Question {number + 1} of 4"
        assert files == list(key.plans[0][number])
        assert page.locator("#references figure").count() == 2
        wanted = sorted(range(4), key=lambda place, files=files: methods.index(label_of(key, files[place])))
        if number == 1:  # a wrong start is undone, and the page is closed and opened again
            page.keyboard.press(str(wanted[2] + 1))
            page.keyboard.press("Backspace")
            assert page.locator(".place").count() == 0
            page.reload()
            assert "Not finished on this device: 1." in page.locator("#unfinished").inner_text()
            page.keyboard.press("Enter")
            assert wait(page) == files
        for place in wanted[:3]:  # the last place is left to the last image
            page.keyboard.press("abcd"[place] if number % 2 else str(place + 1))
        label = page.locator("#choices button").nth(wanted[3]).get_attribute("aria-label")
        assert label == f"Image {'ABCD'[wanted[3]]}, place 4"
        if number == 0:
            page.screenshot(path=tmp_path / "rank_1280.png", full_page=True)
        page.keyboard.press("Enter")
    assert page.locator("#end-title").inner_text() == "Thank you!"
    save(page, tmp_path / "study" / "answers")

    page = visit(390, has_touch=True, is_mobile=True, device_scale_factor=2)
    page.fill("#rater", "2")
    page.locator("#begin button").tap()
    for _ in range(4):
        files = wait(page)
        assert fits(page, 390)
        wanted = sorted(range(4), key=lambda place, files=files: methods.index(label_of(key, files[place])))
        wanted[:2] = wanted[1::-1]
        for place in wanted[:3]:
            page.locator("#choices button").nth(place).tap()
        page.screenshot(path=tmp_path / "rank_390.png", full_page=True)
        page.locator("#next").tap()
    save(page, tmp_path / "study" / "answers")

    scored = score_study(tmp_path / "study")
    assert scored.answers.refused == {}
    assert scored.answers.raters == ("1", "2")
    assert [row.score.value for row in scored.tables[0].rows] == [1.5, 1.5, 3, 4]
    assert scored.answers.notes == ()


@pytest.mark.slow
def test_two_raters_choose_by_keyboard_and_by_touch(run, tmp_path, visit):
    build(run, tmp_path / "study", mode="pairs", raters=2, questions=6)
    key, methods = read_key(tmp_path / "study"), list(read_run(run).methods)
    best = {}

    def better(files):
        return min(range(2), key=lambda place: methods.index(label_of(key, files[place])))

    page = visit(1280)
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    for number in range(6):
        files = wait(page)
        if number == 3:  # go back, choose the other image, and return to the right one
            page.keyboard.press("Backspace")
            before = wait(page)
            assert page.locator("#choices button[aria-pressed=true]").count() == 1
            page.keyboard.press("ArrowLeft" if better(before) == 0 else "ArrowRight")
            assert wait(page) == files
        best[number] = files[better(files)]
        if number == 0:
            page.screenshot(path=tmp_path / "pairs_1280.png", full_page=True)
        page.keyboard.press(str(better(files) + 1) if number % 2 else ("ArrowLeft", "ArrowRight")[better(files)])
    page.wait_for_selector("#end:not([hidden])")
    save(page, tmp_path / "study" / "answers")

    page = visit(390, has_touch=True, is_mobile=True, device_scale_factor=2)
    page.fill("#rater", "Zoë 修復")
    page.locator("#begin button").tap()
    for number in range(5):
        files = wait(page)
        assert fits(page, 390)
        if number == 0:
            page.screenshot(path=tmp_path / "pairs_390.png", full_page=True)
        page.locator("#choices button").nth(better(files)).tap()
    wait(page)
    page.locator("#pause").tap()
    assert page.locator("#end-title").inner_text() == "1 of 6 questions are left"
    page.screenshot(path=tmp_path / "end_390.png", full_page=True)
    save(page, tmp_path / "study" / "answers")

    scored = score_study(tmp_path / "study")
    assert scored.answers.refused == {}
    assert [note.split(" is ")[1] for note in scored.answers.notes] == ["partial: 5 of 6 questions are answered."]
    table = scored.tables[0]
    assert np.tril(table.wins, -1).sum() == 0  # the raters always agree with the order of the methods
    assert table.wins.sum() == 11
    stored = [json.loads(path.read_text()) for path in (tmp_path / "study" / "answers").glob("*.json")]
    first = next(each for each in stored if each["rater"] == "1")
    assert {each["question"]: each["files"][0] for each in first["answers"]} == best
    assert all(each["seconds"] > 0 for each in first["answers"])


def test_the_methods_of_all_pairs_are_compared(run, tmp_path):
    build(run, tmp_path / "study", mode="pairs")
    key = read_key(tmp_path / "study")
    asked = {frozenset(label_of(key, name) for name in files) for plan in key.plans for files in plan}
    assert asked == {frozenset(pair) for pair in combinations(read_run(run).methods, 2)}
