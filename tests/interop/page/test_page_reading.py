"""What is drawn, pasted and uploaded comes to the form that `numnist predict` gives it."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page
from tests.data.test_ink import PAGES
from tests.data.test_ink import Page as Paper
from tests.data.test_ink import written as typed
from tests.interop.page.conftest import Open, Points, draw, png, seen, sheet, wait_for

from numnist.arrays import Array
from numnist.data import NoInkError, prepare_image, read_image, synthetic_digits
from numnist.interop.page import write_page
from numnist.nn import Model, Preprocess, build
from numnist.train import Stream, generator

SEVEN: Points = ((0.25, 0.2), (0.75, 0.22), (0.45, 0.85))

SHAPES: dict[str, tuple[Points, ...]] = {
    "seven": (SEVEN,),
    "crossed seven": (SEVEN, ((0.35, 0.5), (0.7, 0.48))),
    "four": (((0.35, 0.15), (0.25, 0.55), (0.75, 0.55)), ((0.6, 0.2), (0.58, 0.9))),
    "round": (tuple((0.5 + 0.3 * np.cos(t), 0.5 + 0.4 * np.sin(t)) for t in np.linspace(0, 6.2, 20)),),
    "tiny": (((0.8, 0.1), (0.84, 0.1), (0.82, 0.15)),),
    "flat": (((0.1, 0.5), (0.9, 0.52)),),
    "upright": (((0.5, 0.02), (0.5, 0.98)),),
    "along the edge": (((0.05, 0.05), (-0.1, 0.4), (-0.1, 1.1), (1, 1)),),
    "around": (((0.05, 0.05), (1, 0), (1, 1), (0, 1), (0, 0)),),
    "dot": (((0.5, 0.5), (0.5, 0.5)),),
    "two far apart": (((0.1, 0.1), (0.1, 0.5)), ((0.9, 0.85), (0.93, 0.95))),
    "black": (tuple((x, y) for i, y in enumerate(np.linspace(0.1, 1, 12)) for x in ((0, 1), (1, 0))[i % 2]),),
}


def expected_of(data: bytes, tmp_path: Path, size: tuple[int, int] = (28, 28)) -> Array | None:
    """What `numnist predict` makes of a file; None where it finds no ink."""
    path = tmp_path / "picture"
    path.write_bytes(data)
    try:
        return prepare_image(read_image(path), image_size=size)
    except NoInkError:
        return None


def require_same(found: Array | None, expected: Array | None) -> None:
    assert (found is None) is (expected is None)
    if found is None or expected is None:
        return
    assert expected.max() == 255
    assert int(np.abs(found.astype(int) - expected.astype(int)).max()) <= 1


FEW = ("seven", "four", "tiny", "dot")


@pytest.mark.slow
@pytest.mark.parametrize(("pen", "names"), [("thin", FEW), ("usual", tuple(SHAPES)), ("thick", FEW)])
def test_drawn_strokes(page: Page, tmp_path: Path, pen: str, names: tuple[str, ...]) -> None:
    page.locator(f"label[title='{pen} pen']").click()
    images = set()
    for name in names:
        draw(page, *SHAPES[name], steps=1)
        found = seen(page)
        require_same(found, expected_of(sheet(page), tmp_path))
        images.add(None if found is None else found.tobytes())
        page.locator("#clear").click()
    assert len(images) == len(names)


@pytest.mark.parametrize("size", [(20, 20), (15, 32)])
def test_other_sizes_of_images(visit: Open, tmp_path: Path, size: tuple[int, int]) -> None:
    preprocess = Preprocess(size)
    model = Model(build("linear", (1, *size), 10), preprocess).initialise(generator(0, Stream.INITIALISATION))
    page = visit(write_page([model], ["own"], tmp_path / "page.html"))
    draw(page, SEVEN)
    require_same(seen(page), expected_of(sheet(page), tmp_path, size))


def upload(page: Page, name: str, data: bytes) -> None:
    """Choose a file; what is found afterwards is of it."""
    kind = "image/jpeg" if name.endswith("jpg") else "image/png"
    count = page.evaluate("numnist.drawing.entries.length")
    page.locator("#file").set_input_files({"name": name, "mimeType": kind, "buffer": data})
    wait_for(page, f"numnist.drawing.entries.length > {count}")


@pytest.mark.parametrize("paper", PAGES, ids=lambda paper: paper.__name__)
def test_pictures_as_a_camera_takes_them(page: Page, tmp_path: Path, paper: Paper) -> None:
    rng = np.random.default_rng(1)
    for text in "37":
        data = png(np.clip(np.rint(paper(typed(text), rng)), 0, 255).astype(np.uint8))
        upload(page, "photo.png", data)
        require_same(seen(page), expected_of(data, tmp_path))


def test_large_coloured_and_narrow_pictures(page: Page, tmp_path: Path) -> None:
    ink = typed("5", height=1500, width=2100, size=900, x=500, y=200)[..., None]
    for pixels in (
        255 * (1 - ink) + np.array([40, 30, 130]) * ink,
        np.array([30, 60, 120]) * (1 - ink) + np.array([250, 240, 120]) * ink,
        (255 * (1 - ink) + 0 * np.ones(3))[200:1300:9, 500:1200:3],
    ):
        data = png(np.rint(pixels).astype(np.uint8))
        upload(page, "photo.png", data)
        require_same(seen(page), expected_of(data, tmp_path))


def test_a_transparent_background(page: Page, tmp_path: Path) -> None:
    alpha = np.rint(255 * typed("2")).astype(np.uint8)
    for grey in (0, 255):  # black ink is laid on white, white ink on black
        data = png(np.dstack([np.full_like(alpha, grey)] * 3 + [alpha]))
        upload(page, "ink.png", data)
        require_same(seen(page), expected_of(data, tmp_path))


def test_images_in_mnists_form_stay_as_they_are(page: Page, tmp_path: Path) -> None:
    for image in synthetic_digits(10, seed=2).images:
        upload(page, "digit.png", png(image))
        require_same(seen(page), expected_of(png(image), tmp_path))


def test_a_jpeg_is_turned_as_the_camera_says(page: Page, tmp_path: Path) -> None:
    """Two decoders of JPEG need not agree in the last bit of every pixel: a few grey levels are allowed."""
    picture = Image.fromarray(np.rint(255 * (1 - typed("7"))).astype(np.uint8)).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90, exif=exif)
    upload(page, "photo.jpg", stream.getvalue())
    found, expected = seen(page), expected_of(stream.getvalue(), tmp_path)
    assert found is not None
    assert expected is not None
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 4
    assert page.locator("#digit").text_content() == "7"


def test_blank_pages_and_files_that_are_no_pictures(page: Page) -> None:
    upload(page, "blank.png", png(np.full((90, 90), 250, np.uint8)))
    assert seen(page) is None
    assert "No ink found" in (page.locator("#status").text_content() or "")
    assert page.locator("#digit").text_content() == "?"
    for name, data, words in (
        ("broken.png", b"no picture at all", "no picture that the browser can read"),
        ("small.png", png(np.zeros((3, 9), np.uint8)), "A picture of 9×3 pixels holds no digit."),
    ):
        page.locator("#file").set_input_files({"name": name, "mimeType": "image/png", "buffer": data})
        wait_for(page, f"document.getElementById('status').textContent.includes({words!r})")
    assert seen(page) is None


def test_a_pasted_picture(page: Page, tmp_path: Path) -> None:
    data = png(np.rint(255 * (1 - typed("4"))).astype(np.uint8))
    page.evaluate(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "pasted.png", {type: "image/png"}));
            document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true}));
        }""",
        list(data),
    )
    wait_for(page, "numnist.drawing.entries.length > 0")
    require_same(seen(page), expected_of(data, tmp_path))
