"""The page as people use it: pen, keyboard, phone, night; nothing asked for, nothing broken."""

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect
from tests.interop.page.conftest import Open, Points, draw, seen, wait_for

from numnist.arrays import Array

DIGITS: dict[str, tuple[Points, ...]] = {
    "0": (
        (
            (0.5, 0.15),
            (0.3, 0.3),
            (0.27, 0.6),
            (0.4, 0.85),
            (0.6, 0.84),
            (0.72, 0.6),
            (0.68, 0.3),
            (0.5, 0.15),
        ),
    ),
    "1": (((0.5, 0.15), (0.49, 0.85)),),
    "2": (((0.3, 0.3), (0.45, 0.16), (0.65, 0.22), (0.65, 0.42), (0.3, 0.83), (0.72, 0.82)),),
    "4": (((0.35, 0.15), (0.28, 0.55), (0.72, 0.53)), ((0.63, 0.25), (0.6, 0.88))),
    "7": (((0.28, 0.2), (0.72, 0.2), (0.42, 0.86)),),
}


def text(page: Page, name: str) -> str:
    return page.locator(f"#{name}").text_content() or ""


def shown(page: Page) -> Array:
    """The image that the networks were given, which there is."""
    image = seen(page)
    assert image is not None
    return image


def test_strokes_are_recognised_while_they_are_drawn(page: Page) -> None:
    for digit, strokes in DIGITS.items():
        draw(page, *strokes, steps=3)
        assert text(page, "digit") == digit
        assert text(page, "status").startswith(f"I read {digit}, ")
        best = page.locator("#bars .best")
        assert best.locator("b").text_content() == digit
        assert float((best.locator(".share").text_content() or "").removesuffix(" %")) > 50
        page.locator("#clear").click()
        assert (text(page, "digit"), text(page, "status")) == ("?", "The pad is empty.")


def test_the_answer_comes_before_the_pen_is_lifted(page: Page) -> None:
    box = page.locator("#pad").bounding_box()
    assert box is not None
    for number, (x, y) in enumerate(DIGITS["7"][0]):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        if number == 0:
            page.mouse.down()
    wait_for(page, "document.getElementById('digit').textContent === '7'")
    assert text(page, "status") == ""  # a screen reader is not told of every move
    page.mouse.up()
    assert text(page, "status").startswith("I read 7, ")


def test_undo_goes_back_stroke_by_stroke_and_over_a_clear(page: Page) -> None:
    draw(page, *DIGITS["4"], steps=2)
    both = shown(page)
    page.locator("#clear").click()
    assert seen(page) is None
    page.locator("#undo").click()
    assert (shown(page) == both).all()
    page.locator("#undo").click()
    assert (shown(page) != both).any()
    assert page.evaluate("numnist.drawing.strokes.length") == 1
    page.locator("#undo").click()
    assert seen(page) is None
    expect(page.locator("#undo")).to_be_disabled()


def test_samples_are_drawn_and_recognised(page: Page) -> None:
    for digit in "0123456789":
        for _ in range(4):
            page.get_by_role("button", name=f"Draw a {digit}").click()
            assert text(page, "digit") == digit


def test_a_sample_is_drawn_before_ones_eyes_and_gives_way_to_the_pen(visit: Open, written: Path) -> None:
    page = visit(written, reduced_motion="no-preference")
    wait_for(page, "numnist.current() !== null")
    wait_for(page, "document.getElementById('status').textContent.startsWith('I read 3')")
    page.get_by_role("button", name="Draw a 8").click()
    draw(page, *DIGITS["1"], steps=2)
    page.wait_for_timeout(200)
    assert text(page, "digit") == "1"
    assert page.evaluate("numnist.drawing.strokes.length") == 1
    page.locator("#undo").click()
    assert text(page, "digit") == "8"


def test_everything_is_done_by_the_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "pad"
    assert page.evaluate("document.activeElement.matches(':focus-visible')")
    for key in ("ArrowLeft", *["Shift+ArrowLeft"] * 2):
        page.keyboard.press(key)
    page.keyboard.press("Space")
    assert text(page, "status") == "Pen down."
    for _ in range(15):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert text(page, "status").startswith("I read 1, ")
    page.keyboard.press("U")  # with Shift, or Caps Lock
    assert seen(page) is None
    page.keyboard.press("7")
    assert text(page, "digit") == "7"
    page.keyboard.press("c")
    assert seen(page) is None
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {"open", "method", "undo"} <= reached
    assert any("cnn-best" in name for name in reached)
    page.locator("#open").focus()
    page.keyboard.press("7")  # a key is a command on the pad alone
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("7")
    assert seen(page) is None


def test_only_what_was_drawn_is_read(page: Page) -> None:
    draw(page, *DIGITS["7"], steps=2)
    course = "document.getElementById('course').toDataURL()"
    drawn = page.evaluate(course)
    page.evaluate("void (globalThis.read = numnist.current())")
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")  # back on the pad, with the keyboard's pen
    for key in ("ArrowLeft", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
        page.evaluate("() => new Promise(requestAnimationFrame)")
    assert page.evaluate(course) == drawn
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 700, "height": 500})
    page.locator("#models button").nth(1).click()
    page.evaluate("() => new Promise(requestAnimationFrame)")
    assert page.evaluate("numnist.current() === read")
    page.locator("#pad").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert page.evaluate("numnist.current() !== read")


def test_a_class_can_be_asked_about_and_a_model_chosen(page: Page) -> None:
    draw(page, *DIGITS["7"], steps=2)
    heat = "document.getElementById('heat').toDataURL()"
    own = page.evaluate(heat)
    page.locator("#bars button").nth(2).click()
    assert text(page, "why") == " for 2"
    assert page.evaluate(heat) != own
    assert page.locator("#bars button").nth(2).get_attribute("aria-pressed") == "true"
    page.locator("#bars button").nth(2).click()
    assert (text(page, "why"), page.evaluate(heat)) == (" for 7", own)
    page.locator("#method").select_option("gradient")
    assert page.evaluate(heat) != own
    assert page.locator("#layers li").count() == 10
    page.locator("#models button").nth(2).click()
    assert page.locator("#layers li").count() == page.evaluate("numnist.networks[2].layers.length") != 10
    pressed = [button.get_attribute("aria-pressed") for button in page.locator("#models button").all()]
    assert pressed == ["false", "false", "true"]


def test_the_maps_of_the_layers_move_with_the_pen(page: Page) -> None:
    page.locator("#layers canvas").nth(1).scroll_into_view_if_needed()
    maps = "document.querySelectorAll('#layers canvas')[1].toDataURL()"
    page.evaluate("document.getElementById('pad').focus({preventScroll: true})")
    page.keyboard.press("7")
    seven = page.evaluate(maps)
    page.keyboard.press("3")
    assert page.evaluate(maps) != seven


def test_a_map_is_large_under_the_pointer(page: Page) -> None:
    page.get_by_role("button", name="Draw a 7").click()
    maps = page.locator("#layers canvas").nth(2)
    maps.scroll_into_view_if_needed()
    maps.hover(position={"x": 5, "y": 5})
    expect(page.locator("#lens")).to_be_visible()
    assert (page.locator("#lens p").text_content() or "").startswith("map 0: 0.00 to ")  # behind a ReLU
    page.locator("h1").hover()
    expect(page.locator("#lens")).to_be_hidden()


LEGIBLE = ((7, "--ink", "--card"), (4.5, "--quiet", "--card"), (4.5, "--for", "--paper"),
           (4.5, "--against", "--paper"), (4.5, "--wrong", "--card"), (3, "--accent", "--card"))  # fmt: skip


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (360, "dark"), (768, "dark"), (1280, "light")])
def test_the_page_fits_the_screen(
    visit: Open, written: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = visit(written, viewport={"width": width, "height": 800}, color_scheme=scheme)
    draw(page, *DIGITS["2"], steps=2)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(background.removeprefix("rgb(").split(",")[0]) < 60) is (scheme == "dark")
    for least, *names in LEGIBLE:
        assert contrast(*(themed(page, name) for name in names)) >= least, (names, scheme)
    for colour, ink in page.evaluate("numnist.CLASS_COLOURS.map((c) => [c, numnist.inkOn(c)])"):
        assert contrast(colour, ink) >= 4.5, colour
    boxes = [button.bounding_box() for button in page.locator("button:visible").all()]
    assert min(min(box["width"], box["height"]) for box in boxes if box) >= 24
    shares = page.locator("#bars .share").evaluate_all(
        """(all) => all.map((share) => {
            share.textContent = "100.0 %"; // the longest
            const room = share.parentElement.getBoundingClientRect().width;
            return [parseFloat(getComputedStyle(share).fontSize), share.getBoundingClientRect().width, room];
        })"""
    )
    assert len(shares) == 10
    assert all(size >= 10 and needed <= room for size, needed, room in shares), shares


def themed(page: Page, name: str) -> str:
    """A colour of the page's style, "#rrggbb"."""
    colour: str = page.evaluate(
        f"getComputedStyle(document.documentElement).getPropertyValue('{name}').trim()"
    )
    return colour


def contrast(*colours: str) -> float:
    """The ratio of two colours' luminances, 1 to 21, as WCAG 2.2 defines it."""
    luminances = []
    for colour in colours:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        luminances.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    low, high = sorted(luminances)
    return (high + 0.05) / (low + 0.05)


def test_a_finger_draws_and_the_page_does_not_scroll(visit: Open, written: Path) -> None:
    page = visit(written, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    box = page.locator("#pad").bounding_box()
    assert box is not None
    session = page.context.new_cdp_session(page)
    for kind, points in (
        ("touchStart", DIGITS["1"][0][:1]),
        ("touchMove", DIGITS["1"][0][1:]),
        ("touchEnd", ()),
    ):
        touch = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touch})
    wait_for(page, "document.getElementById('digit').textContent === '1'")
    assert page.evaluate("scrollY") == 0
