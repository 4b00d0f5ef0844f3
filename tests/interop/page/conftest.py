"""A page with the shipped models in headless Chromium, and what the tests do there."""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from numnist.arrays import Array
from numnist.interop.page import write_page
from numnist.nn import Model, load_model
from numnist.predict import pretrained

SHIPPED = ("cnn", "cnn-best", "small")

Points = Sequence[tuple[float, float]]
"""A stroke, in sides of the pad."""

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def shipped() -> list[Model]:
    return [load_model(pretrained(f"pretrained:{name}")) for name in SHIPPED]


@pytest.fixture(scope="session")
def written(shipped: list[Model], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(shipped, SHIPPED, tmp_path_factory.mktemp("page") / "digits.html")


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Open a page; at the end nothing may have been said on its console, nor asked of anybody."""
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def open_page(path: Path, **options: Any) -> Page:
        context = browser.new_context(**{"reduced_motion": "reduce", **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("data:", "blob:", "file:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == len(contexts)


@pytest.fixture
def page(visit: Open, written: Path) -> Page:
    return visit(written)


def draw(page: Page, *strokes: Points, steps: int = 6) -> None:
    """Strokes of the mouse."""
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    assert box is not None
    for stroke in strokes:
        for number, (x, y) in enumerate(stroke):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=steps)
            if number == 0:
                page.mouse.down()
        page.mouse.up()


def seen(page: Page) -> Array | None:
    """The image that the networks were given, (H, W) uint8; None where no ink was found."""
    found = page.evaluate("numnist.current() && [...numnist.current().pixels]")
    height, width = page.evaluate("numnist.networks[0].size")
    return None if found is None else np.array(found, np.uint8).reshape(height, width)


def sheet(page: Page) -> bytes:
    """What was drawn, as the PNG that one saves."""
    url: str = page.evaluate("(numnist.sheet.read(numnist.drawing), numnist.sheet.canvas.toDataURL())")
    return base64.b64decode(url.partition(",")[2])


def run_logits(page: Page, network: str, images: Array) -> Array:
    """The page's logits of images (N, H, W) uint8; network: an expression for the network."""
    text = base64.b64encode(images.tobytes()).decode()
    found = page.evaluate(
        f"""(text) => {{
            const network = {network};
            const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            const n = network.size[0] * network.size[1];
            const logits = (i) => [...network.logits(bytes.subarray(i * n, (i + 1) * n))];
            return Array.from({{length: bytes.length / n}}, (_, i) => logits(i));
        }}""",
        text,
    )
    return np.array(found)


def png(pixels: Array, mode: str | None = None) -> bytes:
    memory = io.BytesIO()
    Image.fromarray(pixels, mode).save(memory, "PNG")
    return memory.getvalue()


def wait_for(page: Page, condition: str) -> None:
    """Wait until an expression is true; Playwright's own wait needs an `eval` that the page forbids."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"still not true: {condition}")
