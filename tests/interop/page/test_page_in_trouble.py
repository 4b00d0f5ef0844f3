"""The page where something is wrong: a model from a stranger, numbers without bounds, files that are none."""

import json
from pathlib import Path

from playwright.sync_api import Browser, Page, expect
from tests.interop.page.conftest import Open, draw, seen
from tests.interop.page.test_page_in_a_browser import DIGITS, text

from numnist.data import prepare_image, read_image
from numnist.interop.page import write_page
from numnist.nn import Model, Preprocess, build
from numnist.train import Stream, generator

EVIL = ('</script><img src=x onerror="console.log(1)">', "<b>&amp;", "{{STYLE}}", "a\u2028b")


def test_nothing_in_a_model_is_run(visit: Open, tmp_path: Path) -> None:
    preprocess = Preprocess((12, 12), classes=EVIL)
    model = Model(build("linear", (1, 12, 12), 4), preprocess).initialise(generator(0, Stream.INITIALISATION))
    page = visit(write_page([model], [EVIL[0]], tmp_path / "page.html"))
    draw(page, *DIGITS["7"], steps=2)
    assert [b.text_content() for b in page.locator("#bars b").all()] == list(EVIL)
    assert page.locator("#models .name").text_content() == EVIL[0]
    assert page.locator("img").count() == 0
    assert page.title() == f"numnist: {EVIL[0]}"
    expect(page.locator("#sampling")).to_be_hidden()


def test_the_page_can_reach_nobody(browser: Browser, written: Path) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.goto(written.as_uri())
    outcomes, forbidden = page.evaluate(
        """async () => {
            const forbidden = [];
            const note = (event) => forbidden.push(event.violatedDirective);
            document.addEventListener("securitypolicyviolation", note);
            const image = new Promise((loaded, failed) => {
                Object.assign(new Image(), {onload: loaded, onerror: failed, src: "https://example.org/x.png"});
            });
            const tried = await Promise.allSettled([fetch("https://example.org/"), image]);
            return [tried.map((each) => each.status), forbidden];
        }"""
    )
    page.close()
    assert outcomes == ["rejected", "rejected"]
    assert set(forbidden) == {"connect-src", "img-src"}  # by the page's own policy, not for want of a network
    assert [url for url in asked if url.startswith("http")] == []


def test_numbers_that_overflow_are_no_answer(visit: Open, tmp_path: Path, shipped: list[Model]) -> None:
    model = Model(build("linear", (1, 28, 28), 10), shipped[0].preprocess)
    model.initialise(generator(0, Stream.INITIALISATION))
    for values in model.named_parameters().values():
        values[...] = 3e38
    model.mark_changed()
    page = visit(write_page([model, shipped[0]], ["great", "cnn"], tmp_path / "page.html"))
    draw(page, *DIGITS["7"], steps=2)
    assert (text(page, "digit"), text(page, "sure")) == ("?", "this model's numbers overflow")
    assert text(page, "status") == "No answer: this model's numbers overflow."
    assert page.locator("#models b").all_text_contents() == ["–", "7"]
    assert "NaN" not in page.locator("body").inner_text()
    page.locator("#models button").nth(1).click()
    assert text(page, "digit") == "7"


def test_nothing_is_taken_away_under_the_pen(page: Page) -> None:
    box = page.locator("#pad").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 50, box["y"] + 150, steps=3)
    page.evaluate(
        "document.getElementById('undo').disabled = document.getElementById('clear').disabled = false"
    )
    page.evaluate("['undo', 'clear'].forEach((name) => document.getElementById(name).click())")
    page.mouse.move(box["x"] + 50, box["y"] + 200)
    page.mouse.up()
    assert page.evaluate("numnist.drawing.strokes.length") == 1


def test_a_file_that_is_no_picture_is_told(page: Page) -> None:
    page.evaluate(
        """() => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File(["a"], "a.txt", { type: "text/plain" }));
            const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
            document.body.dispatchEvent(event);
        }"""
    )
    assert text(page, "status") == "What was dropped is no picture: try PNG or JPEG."


def test_what_is_saved_is_what_was_read(page: Page, tmp_path: Path) -> None:
    draw(page, *DIGITS["2"], steps=2)
    with page.expect_download() as download:
        page.locator("#save").click()
    download.value.save_as(tmp_path / "digit.png")
    assert (prepare_image(read_image(tmp_path / "digit.png")) == seen(page)).all()


def test_the_description_is_json(written: Path) -> None:
    page = written.read_text("utf-8")
    content = page.partition('id="content">')[2].partition("</script>")[0]
    assert [model["name"] for model in json.loads(content)["models"]] == ["cnn", "cnn-best", "small"]
