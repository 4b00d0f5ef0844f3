"""Draw docs/results/draw.png: the drawing page with a digit on it, on a wide screen and on a phone at night.

    python tools/page_picture.py

Needs Chromium and playwright.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from rows import ROOT

from numnist.cli.draw import SHIPPED, names_of
from numnist.interop.page import write_page
from numnist.interop.page.samples import sample_strokes
from numnist.nn import load_model
from numnist.predict import pretrained

DIGIT, SAMPLE = "3", 0
PICTURE = ROOT / "docs" / "results" / "draw.png"
WIDE, PHONE = (1200, 1180), (380, 780)
GAP = 24
COLOURS = 160


def photographed(
    browser: Browser, page_file: Path, size: tuple[int, int], scheme: Literal["light", "dark"], scale: float
) -> Image.Image:
    """The page in a window of this size, after the digit was drawn with the mouse."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        device_scale_factor=scale,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(page_file.as_uri())
    box = page.locator("#pad").bounding_box()
    assert box is not None
    for stroke in sample_strokes()[DIGIT][SAMPLE]:
        for number, (x, y) in enumerate(zip(stroke[::2], stroke[1::2], strict=True)):
            left, top = 0.22 + 0.0075 * x, 0.125 + 0.0075 * y
            page.mouse.move(box["x"] + left * box["width"], box["y"] + top * box["height"])
            if number == 0:
                page.mouse.down()
            page.wait_for_timeout(30)  # a frame of the page for each point
        page.mouse.up()
    page.mouse.move(1, 1)
    page.wait_for_timeout(300)
    drawn = page.screenshot()
    context.close()
    return Image.open(io.BytesIO(drawn))


def main() -> None:
    """Draw it."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("page_picture.py: there is no chromium here")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        models = [load_model(pretrained(name)) for name in SHIPPED]
        page_file = write_page(models, names_of(SHIPPED), Path(folder) / "digits.html")
        wide = photographed(browser, page_file, WIDE, "light", 1)
        phone = photographed(browser, page_file, PHONE, "dark", WIDE[1] / PHONE[1])
        browser.close()
    picture = Image.new("RGB", (wide.width + GAP + phone.width, wide.height), "white")
    picture.paste(wide, (0, 0))
    picture.paste(phone, (wide.width + GAP, 0))
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    print(f"wrote {PICTURE.relative_to(ROOT)}, {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
