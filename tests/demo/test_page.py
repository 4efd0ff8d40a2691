"""The page in a browser, as a visitor uses it, and its limits, as an attacker tries them."""

import http.client
import json
import re
import signal
import subprocess
import sys
from contextlib import closing, contextmanager

import numpy as np
import pytest
from PIL import Image

import inpaint_zoo as iz
from tests.helpers.browser import launched

pytest.importorskip("gradio", reason="gradio is not installed: the page is not tried")

COMMAND = [sys.executable, "-m", "inpaint_zoo.cli.main", "demo"]
MODELS = ["--model", "telea", "--model", "glama_tiny", "--model", "lgnet_tiny"]
WAIT = 40_000


@contextmanager
def served(*words, stop=signal.SIGINT):
    """Serve the page by its command, and yield its address. At the end, a signal stops it and its other process."""
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            yield re.search(r"http://127\.0\.0\.1:\d+/", line)[0]
            process.send_signal(stop)
            assert process.wait(60) == 0
        finally:
            process.kill()


@pytest.fixture(scope="module")
def address():
    with served(*MODELS, "--max-upload", "1", "--max-pixels", "200000") as url:
        yield url


@pytest.fixture(scope="module")
def browser():
    with launched() as chromium:
        yield chromium


@pytest.fixture
def visit(browser, address):
    """Return a function that opens the page; afterwards, check that it asked for nothing outside this machine."""
    contexts, outside = [], []
    addresses = {address}

    def start(width, at=address, **options):
        addresses.add(at)
        context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("request", lambda request: is_local(request.url) or outside.append(request.url))
        page.on("pageerror", lambda error: outside.append(str(error)))
        page.goto(at)
        page.wait_for_selector("#run")
        return page

    def is_local(url):
        return url.startswith((*addresses, "data:", "blob:"))

    yield start
    for context in contexts:
        context.close()
    assert outside == []


def text_of(page, selector, wanted):
    """Wait until the text of an element contains ``wanted``, and return it."""
    page.wait_for_function(
        "([selector, wanted]) => document.querySelector(selector)?.innerText.includes(wanted)", arg=[selector, wanted]
    )
    return page.locator(selector).first.inner_text()


def choose_image(page, path, status):
    page.locator("#upload input[type=file]").set_input_files(path)
    text_of(page, "#status", status)
    page.wait_for_selector("#editor canvas")


def paint(page):
    """Paint a stroke in the middle of the image, and wait until the browser has sent it."""
    page.locator("#editor").scroll_into_view_if_needed()
    page.wait_for_timeout(1500)  # the editor fits its canvas to the image
    box = page.locator("#editor canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 30, y)
    page.mouse.down()
    for step in range(10):
        page.mouse.move(x - 30 + 6 * step, y)
    page.mouse.up()
    page.wait_for_timeout(500)


def message(page, wanted):
    """Wait for a message of the page, close it, and return its text."""
    text = text_of(page, ".toast-wrap", wanted)
    page.locator(".toast-close").first.click()
    return text


@pytest.fixture
def image(tmp_path):
    """Return the path of an image with transparency, whose colors are known."""
    path = tmp_path / "my <b>image.png"
    y, x = np.mgrid[:96, :160]
    rgb = np.stack([x, 2 * y, 255 - x], axis=-1).astype(np.uint8)
    alpha = np.full((96, 160, 1), 255, np.uint8)
    alpha[:8] = 100
    Image.fromarray(np.concatenate([rgb, alpha], axis=2)).save(path)
    return path


@pytest.mark.slow
def test_paint_run_two_models_compare_and_download(visit, image, tmp_path):
    page = visit(1280)
    choose_image(page, image, "image: 160 x 96 pixels")
    paint(page)
    page.locator("#run").click()
    text_of(page, "#status", "done: 2 of 2 models")
    downloads = {}
    for label in ("glama_tiny", "telea"):
        if label == "telea":
            page.get_by_label("right").click()
            page.get_by_role("option", name="telea").click()
        text_of(page, "#save", f"Download {label} as PNG")
        with page.expect_download() as download:
            page.locator("#save").click()
        assert re.fullmatch(rf"my [\w ]*image_{label}\.png", download.value.suggested_filename)
        download.value.save_as(tmp_path / f"{label}.png")
        downloads[label] = np.asarray(Image.open(tmp_path / f"{label}.png"))
    before = np.asarray(Image.open(image))
    hole = (downloads["glama_tiny"] != downloads["telea"]).any(2)
    assert 100 < hole.sum() < 6000
    for result in downloads.values():
        changed = (result != before).any(2)
        assert changed.any()
        assert not changed[:8].any()
        assert np.array_equal(result[..., 3], before[..., 3])
    page.screenshot(path=tmp_path / "page_1280.png", full_page=True)


@pytest.mark.slow
def test_an_uploaded_mask_gives_the_bytes_of_inpaint_on_a_phone(visit, image, tmp_path):
    hole = np.zeros((96, 160), np.uint8)
    hole[30:60, 50:99] = 255
    Image.fromarray(hole).save(tmp_path / "mask.png")
    page = visit(390, has_touch=True, is_mobile=True)
    choose_image(page, image, "160 x 96 pixels")
    page.get_by_text("Upload a mask").tap()
    page.locator("#mask input[type=file]").set_input_files(tmp_path / "mask.png")
    page.wait_for_timeout(2000)
    page.get_by_label("also show stages").check()
    page.get_by_label("glama_tiny").uncheck()
    page.get_by_label("lgnet_tiny").check()
    page.locator("#run").tap()
    text_of(page, "#status", "done: 2 of 2 models")
    text_of(page, "#inside", "lgnet_tiny: local")
    with page.expect_download() as download:
        page.locator("#save").tap()
    download.value.save_as(tmp_path / "got.png")
    expected = iz.inpaint("lgnet_tiny", image, tmp_path / "mask.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "got.png")), np.asarray(expected))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=tmp_path / "page_390.png", full_page=True)


@pytest.mark.slow
def test_wrong_input_is_named(visit, image, tmp_path):
    page = visit(1280)
    page.locator("#run").click()
    assert "There is no image yet" in message(page, "There is no image")
    (tmp_path / "text.png").write_text("no image")
    page.locator("#upload input[type=file]").set_input_files(tmp_path / "text.png")
    assert "text.png: " in message(page, "text.png")
    Image.new("RGB", (500, 401)).save(tmp_path / "bomb.png")
    page.reload()
    page.locator("#upload input[type=file]").set_input_files(tmp_path / "bomb.png")
    assert "200,500 pixels are more than the 200,000 allowed" in message(page, "bomb.png")
    page.reload()
    choose_image(page, image, "160 x 96")
    page.locator("#run").click()
    assert "There is no mask yet" in message(page, "There is no mask")
    page.get_by_text("Upload a mask").click()
    page.locator("#mask input[type=file]").set_input_files(tmp_path / "bomb.png")
    message(page, "bomb.png")
    for name in ("telea", "glama_tiny"):
        page.get_by_label(name, exact=True).uncheck()
    page.locator("#run").click()
    assert "No model is chosen" in message(page, "No model")


@pytest.mark.slow
def test_the_time_and_the_queue_are_limited(visit, tmp_path, monkeypatch):
    """One visitor's slow model is stopped and does not stop the fast one; with a full queue, a third one is refused.

    At the end, the images of all visitors are deleted.
    """
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (700, 800, 3), np.uint8)).save(tmp_path / "noise.png")
    mask = np.zeros((700, 800), np.uint8)
    mask[100:600, 100:700] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    models = ["--model", "progressive:isnet_tiny", "--model", "telea"]
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with served(*models, "--max-seconds", "10", "--max-queue", "1", stop=signal.SIGTERM) as url:
        pages = [visit(1280, at=url) for _ in range(3)]
        for page in pages:
            choose_image(page, tmp_path / "noise.png", "800 x 700 pixels")
            upload_mask(page, tmp_path / "mask.png")
            page.get_by_label("progressive:isnet_tiny", exact=True).check()
        pages[0].locator("#run").click()
        text_of(pages[0], "#status", "1 of 2")
        pages[1].locator("#run").click()
        pages[1].wait_for_timeout(500)
        pages[2].locator("#run").click()
        refused = message(pages[2], "queue")
        for page in pages[:2]:
            text = text_of(page, "#status", "done: 1 of 2 models")
            assert "needed more than 10 seconds for 800 x 700 pixels and was stopped" in text
    assert "The queue is full: 1 jobs are waiting. Try again in a minute." in refused
    assert not list(tmp_path.glob("inpaint-zoo-demo-*"))


def upload_mask(page, path):
    page.get_by_text("Upload a mask").click()
    page.locator("#mask input[type=file]").set_input_files(path)
    page.wait_for_timeout(2000)


@pytest.mark.slow
def test_an_upload_that_is_too_large_is_named(visit, tmp_path):
    page = visit(1280)
    noise = np.random.default_rng(0).integers(0, 256, (700, 800, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")  # 1.7 MB
    page.locator("#upload input[type=file]").set_input_files(tmp_path / "large.png")
    assert 'exceed the maximum allowed size of 976.6 Kb: "large.png"' in message(page, "exceed")


@pytest.mark.slow
def test_the_strategy_can_be_chosen_and_the_keyboard_starts_a_run(visit, image, tmp_path):
    hole = np.zeros((96, 160), np.uint8)
    hole[10:20, 10:30] = hole[70:90, 120:150] = 255
    Image.fromarray(hole).save(tmp_path / "mask.png")
    page = visit(1280)
    choose_image(page, image, "160 x 96 pixels")
    upload_mask(page, tmp_path / "mask.png")
    page.get_by_label("telea", exact=True).uncheck()
    page.locator("#strategy input").focus()
    page.keyboard.press("ArrowDown")  # opens the list
    page.get_by_role("option", name="crop").wait_for()
    page.get_by_role("option", name="crop").click()
    page.locator("#run").focus()
    page.keyboard.press("Enter")
    text_of(page, "#status", "done: 1 of 1 models")
    page.get_by_role("gridcell", name="crop").first.wait_for()
    with page.expect_download() as download:
        page.locator("#save").focus()
        page.keyboard.press("Enter")
    download.value.save_as(tmp_path / "got.png")
    expected = np.asarray(iz.inpaint("glama_tiny", image, tmp_path / "mask.png", strategy="crop"))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "got.png")), expected)
    assert not np.array_equal(np.asarray(iz.inpaint("glama_tiny", image, tmp_path / "mask.png")), expected)


@pytest.mark.slow
def test_the_keyboard_reaches_every_control(visit):
    page = visit(1280)
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.id || document.activeElement.ariaLabel || "
                "document.activeElement.closest('label, button')?.innerText || ''"
            ).strip()
        )
    assert any("run" in each for each in reached)
    assert any("telea" in each for each in reached)
    assert any("Make a mask" in each for each in reached)
    assert any("chelsea" in each.lower() or "thumbnail" in each.lower() for each in reached)


# --- without a browser: what an attacker sends ---


def ask(address, method, path, body=None, headers=None):
    """Send a request as it is, and return its status and body."""
    with closing(http.client.HTTPConnection(re.fullmatch("http://(.*)/", address)[1], timeout=60)) as connection:
        connection.request(method, path, body, headers or {})
        with connection.getresponse() as answer:
            return answer.status, answer.read()


def multipart(size):
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    return head + b"0" * size + b"\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/environ", "../../etc/passwd", "README.md", __file__])
def test_files_of_the_server_are_not_readable(address, path):
    for route in ("/gradio_api/file=", "/gradio_api/file/", "/file=", "/static/", "/assets/", "/theme/"):
        status, _ = ask(address, "GET", f"{route}{path}")
        assert status >= 400, route
    data = {"path": path, "meta": {"_type": "gradio.FileData"}}
    for index in range(3):
        body = json.dumps({"fn_index": index, "data": [data, None], "session_hash": "s"})
        status, text = ask(address, "POST", "/gradio_api/run/predict", body, {"Content-Type": "application/json"})
        assert status >= 400
        assert b"root:" not in text


def test_uploads_are_limited(address):
    body, headers = multipart(900_000)
    assert ask(address, "POST", "/gradio_api/upload", body, headers)[0] == 200
    body, headers = multipart(1_100_000)
    status, text = ask(address, "POST", "/gradio_api/upload", body, headers)
    assert (status, text) == (413, b"The upload is larger than 1 MB.")


def test_an_upload_without_a_stated_length_is_limited(address):
    body, headers = multipart(3_000_000)
    pieces = (body[at : at + 100_000] for at in range(0, len(body), 100_000))
    try:
        status, _ = ask(address, "POST", "/gradio_api/upload", pieces, headers)
    except (ConnectionError, http.client.HTTPException):
        return
    assert status >= 400


def test_other_host_names_are_refused(address):
    assert ask(address, "GET", "/", headers={"Host": "evil.example"})[0] == 400
    assert ask(address, "GET", "/")[0] == 200
    for path in ("/docs", "/openapi.json", "/monitoring"):
        assert ask(address, "GET", path)[0] >= 400
