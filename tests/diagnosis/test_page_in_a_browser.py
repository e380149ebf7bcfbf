"""The page of a diagnosis in headless Chromium: where playwright and a browser are installed.

The browser is the one that WELLBEGUN_CHROMIUM names, else a chromium or google-chrome on the path.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import wellbegun as wb

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = "<img src=x onerror=alert(2)><script>alert(1)</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = os.environ.get("WELLBEGUN_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium: name one in WELLBEGUN_CHROMIUM")
    with playwright.sync_playwright() as started:
        # as root, which containers are, Chromium has no sandbox
        running = started.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    hidden = {f"layer{k}": nn.Sequential(nn.Linear(32, 32), nn.ReLU()) for k in range(20)}
    model = nn.Sequential()
    for name, module in {HOSTILE: nn.Linear(32, 32), **hidden, "head": nn.Linear(32, 4)}.items():
        model.add_module(name, module)
    path = tmp_path_factory.mktemp("page") / "page.html"
    made = torch.Generator().manual_seed(3)
    batch = torch.randn(48, 32, generator=made), torch.randint(4, (48,), generator=made)
    wb.diagnose(model, batch, theory=True).save_html(path)
    return path


class Opened:
    """A page, with what it said and what it asked for."""

    def __init__(self, browser: Any, file: Path, **given: Any) -> None:
        self.page, self.said, self.asked = browser.new_page(**given), [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())

    def column(self, place: int) -> list[str]:
        return self.page.locator(f"tbody tr > :nth-child({place})").all_text_contents()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_loads_nothing_says_nothing_and_fits(browser, file, width: int, scheme: str) -> None:
    opened = Opened(browser, file, viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened.page.wait_for_timeout(100)
    assert opened.said == []
    assert opened.asked == [file.as_uri()]
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    for drawing in opened.page.locator("svg[role=img]").all():
        box = drawing.bounding_box()
        assert box["width"] > 300
        assert box["x"] + box["width"] <= width
    paper = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(244, 246, 248)", "dark": "rgb(13, 16, 20)"}[scheme]
    ink = opened.page.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
    assert ink in {"light": ("rgb(91, 102, 115)", "rgb(29, 39, 51)"), "dark": ("rgb(154, 165, 177)",)}[scheme]
    opened.page.close()


def test_the_table_is_sorted_by_keyboard_alone(browser, file) -> None:
    opened = Opened(browser, file, viewport={"width": 1280, "height": 900})
    order = opened.column(1)
    assert order == [str(place) for place in range(1, 23)]
    opened.page.keyboard.press("Tab")  # to the table, which scrolls where it is too wide
    assert opened.page.evaluate("document.activeElement.getAttribute('role')") == "region"
    for _ in range(6):
        opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.textContent") == "gradient"
    opened.page.keyboard.press("Enter")
    gradients = [float(text) for text in opened.column(6)]
    assert gradients == sorted(gradients)
    assert opened.page.locator("[aria-sort]").all_text_contents() == ["gradient"]
    assert opened.page.locator("[role=status]").text_content() == "sorted by gradient, smallest first"
    opened.page.keyboard.press("Space")
    assert [float(text) for text in opened.column(6)] == sorted(gradients, reverse=True)
    assert opened.page.locator("[aria-sort=descending]").count() == 1
    opened.page.close()


def test_empty_cells_stay_last_names_go_by_their_numbers_and_order_comes_back(browser, file) -> None:
    opened = Opened(browser, file)
    dead = opened.page.get_by_role("button", name="dead")
    for reverse in (False, True):
        dead.click()
        shares = opened.column(8)
        full = [float(text.rstrip("%")) for text in shares if text]
        assert 0 < shares.count("") < len(shares)
        assert shares[len(full) :] == [""] * shares.count("")
        assert full == sorted(full, reverse=reverse)
    opened.page.get_by_role("button", name="layer").click()
    named = [text for text in opened.column(2) if text.startswith("layer")]
    assert named == [f"layer{k}.0.weight" for k in range(20)]
    opened.page.get_by_role("button", name="#").click()
    assert opened.column(1) == [str(place) for place in range(1, 23)]
    assert opened.said == []
    opened.page.close()


def test_on_paper_it_is_light_whole_and_without_buttons_marks(browser, file) -> None:
    opened = Opened(browser, file, viewport={"width": 718, "height": 1000}, color_scheme="dark")
    opened.page.emulate_media(media="print")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    marks = "getComputedStyle(document.querySelector('th button'), '::after').content"
    assert opened.page.evaluate(marks) == "none"
    assert opened.page.locator(".screen").is_hidden()
    opened.page.close()
