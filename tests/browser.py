"""A headless Chromium for tests of pages: what a page asked for and complained of, and whether everyone can use it.

The browser is the system's own (``chromium-headless-shell``, which takes the least, ``chromium``, ``google-chrome`` or
``$CHROMIUM``), driven by Playwright. Where there is none the tests that need one are skipped, except in continuous
integration, where that is an error.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


def executable() -> str | None:
    """Return where the system's Chromium is, None where there is none."""
    names = (os.environ.get("CHROMIUM", ""), "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@dataclass
class Visit:
    """An open page, and what it did so far: its errors, and the addresses that it asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def beyond(self, *allowed: str) -> list[str]:
        """Return the requests to addresses that start with none of those allowed."""
        return [url for url in self.requests if not url.startswith((*allowed, "data:", "blob:"))]

    def faults(self) -> list[str]:
        """Return the serious and critical faults that axe finds, one line each."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [
            f"{v['id']} ({v['impact']}): {v['help']}: {v['nodes'][0]['target']}"
            for v in found
            if v["impact"] in ("serious", "critical")
        ]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium, with a new empty profile; close it at the end."""
    path = executable()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium: .ci/run should have installed it")
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(browser: Browser, url: str, **context: Any) -> Iterator[Visit]:
    """Open an address in a context of its own and note errors and requests from the start.

    Parameters
    ----------
    context
        Further settings of Playwright's ``new_context``, such as ``viewport`` or ``color_scheme``.
    """
    room = browser.new_context(**{"viewport": DESKTOP, **context})
    seen = Visit(room.new_page())
    seen.page.on("console", lambda m: seen.errors.append(m.text) if m.type == "error" else None)
    seen.page.on("pageerror", lambda e: seen.errors.append(str(e)))
    seen.page.on("request", lambda r: seen.requests.append(r.url))
    try:
        seen.page.goto(url)
        yield seen
    finally:
        room.close()
