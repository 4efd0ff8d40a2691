"""Chromium for tests of pages; they are skipped where it or Playwright is missing."""

import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
LOCAL = ("file:", "data:", "blob:")


@contextmanager
def launched():
    """Yield a browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: the page is not tried")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: the page is not tried in a browser")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield chromium
        chromium.close()


def watched(context, complaints):
    """Return a new page whose console messages, errors and requests to a network are added to ``complaints``."""
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: request.url[:5] in LOCAL or complaints.append(request.url))
    return page
