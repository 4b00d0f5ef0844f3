"""The report in headless Chromium: nothing asked for, nothing broken, nothing wider than a phone."""

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser
from tests.view.conftest import MakeRun

from numnist.view import RunRecord, write_report


@pytest.fixture(scope="module")
def report(make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, dataset = make_run()
    other, _ = make_run("a-run-with-a-rather-long-name-of-more-than-forty-characters", convolves=False)
    out = tmp_path_factory.mktemp("report") / "both.html"
    write_report([RunRecord.load(folder), RunRecord.load(other)], out, dataset)
    return out


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_is_whole(
    browser: Browser, report: Path, scheme: Literal["light", "dark"], width: int
) -> None:
    page = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    broken = "[...document.images].filter(image => !image.complete || !image.naturalWidth).length"
    assert page.evaluate(broken) == 0
    assert page.evaluate("document.images.length") > 20
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(background.removeprefix("rgb(").split(",")[0])
    assert (red < 60) is (scheme == "dark")
    ink = page.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
    assert (int(ink.removeprefix("rgb(").split(",")[0]) > 150) is (scheme == "dark")
