"""The report: one page, whole in itself, whatever the run was and whatever is left of it."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.view.conftest import MakeRun

from numnist.data import Dataset
from numnist.errors import InputError
from numnist.view import MOST_RUNS, RunRecord, write_report


class Page(HTMLParser):
    """What stands in a page: tags in order, addresses, text; and whether all tags are closed."""

    VOID = frozenset({"meta", "link", "img", "br", "path", "use", "rect", "image"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.headings: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "xlink:href")]
        self.ids += [value or "" for name, value in attributes if name == "id"]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        assert self._open
        assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("h1", "h2", "h3"):
            self.headings.append(data.strip())
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(records: list[RunRecord], out: Path, dataset: Dataset | None) -> Page:
    write_report(records, out, dataset)
    text = out.read_text(encoding="utf-8")
    assert len(text) < 3_000_000
    page = Page(text)
    for address in page.addresses:
        assert address.startswith(("data:", "#")), address[:80]
    assert not re.search(r"url\((?!#|\"data:|data:)", text)
    assert "@import" not in text
    return page


@pytest.mark.parametrize(
    ("size", "classes", "convolves"), [((12, 10), 10, True), ((8, 8), 50, True), ((64, 64), 2, False)]
)
def test_a_page_of_any_run(
    make_run: MakeRun, tmp_path: Path, size: tuple[int, int], classes: int, convolves: bool
) -> None:
    folder, dataset = make_run(size=size, classes=classes, convolves=convolves)
    page = page_of([RunRecord.load(folder)], tmp_path / "r.html", dataset)
    result = json.loads((folder / "result.json").read_text())
    assert f"{100 * result['test_accuracy']:.2f} %" in page.text
    assert f"{result['test_errors']:,} errors" in page.text
    headings = " ".join(page.headings)
    for words in (
        "Curves",
        "How far its probabilities",
        "Weights, epoch",
        "Gradients",
        "Where the time went",
    ):
        assert words in headings
    assert ("Filters" in headings) is convolves
    assert ("One digit on its way" in headings) is convolves
    assert ("Confusion" in headings) is (classes <= 30)
    assert ("The worst of" in headings) is (result["test_errors"] > 0)


def test_the_same_runs_give_the_same_page(make_run: MakeRun, tmp_path: Path) -> None:
    folder, dataset = make_run()
    for name in ("a", "b"):
        write_report([RunRecord.load(folder)], tmp_path / name, dataset)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_several_runs_share_their_axes(make_run: MakeRun, tmp_path: Path) -> None:
    first, dataset = make_run("first")
    second, _ = make_run("second", convolves=False)
    page = page_of([RunRecord.load(first), RunRecord.load(second)], tmp_path / "r.html", dataset)
    assert page.headings[0] == "first, second"
    assert page.headings.count("Where the time went") == 2
    records = [RunRecord.load(first)]
    for wrong in ([], records * (MOST_RUNS + 1)):
        with pytest.raises(ValueError, match="expected 1 to 12 runs"):
            write_report(wrong, tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_without_images_the_rest_is_shown(make_run: MakeRun, tmp_path: Path) -> None:
    folder, dataset = make_run()
    other = Dataset("others", dataset.train, dataset.test, 10, "0" * 64, ())
    for images, words in ((None, "not at hand"), (other, "The images at hand (others) are not those")):
        page = page_of([RunRecord.load(folder)], tmp_path / "r.html", images)
        assert words in page.text
        assert "Curves" in page.headings
        assert "Filters" in page.headings
        assert not any("mistakes" in heading for heading in page.headings)


FILES = (
    "config.toml",
    "history.jsonl",
    "timing.jsonl",
    "statistics.jsonl",
    "result.json",
    "model.safetensors",
)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise"])
def test_a_damaged_run_still_gives_a_page_that_says_so(
    make_run: MakeRun, tmp_path: Path, name: str, damage: str
) -> None:
    whole, dataset = make_run()
    folder = tmp_path / "first"
    shutil.copytree(whole, folder)
    content = (folder / name).read_bytes()
    if damage == "missing":
        (folder / name).unlink()
    else:
        spoilt = {"empty": b"", "cut": content[: 2 * len(content) // 3], "noise": b"\xff\x00{]" * 50}
        (folder / name).write_bytes(spoilt[damage])
    record = RunRecord.load(folder)
    page = page_of([record], tmp_path / "r.html", dataset)
    is_noticed = damage in ("missing", "noise") or name in ("result.json", "model.safetensors")
    if is_noticed:
        assert len(record.problems) == 1
        assert name in record.problems[0]
        assert record.problems[0] in page.text


def test_rows_that_are_none(make_run: MakeRun, tmp_path: Path) -> None:
    folder, dataset = make_run()
    copy = tmp_path / "first"
    shutil.copytree(folder, copy)
    (copy / "history.jsonl").write_text('[1]\n{"epoch": 1}\n')
    (copy / "result.json").write_text("[]")
    record = RunRecord.load(copy)
    assert record.problems == [
        "history.jsonl cannot be used: line 1 is not a row of such a file",
        "result.json cannot be used: it is not the result of a run",
    ]
    page_of([record], tmp_path / "r.html", dataset)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("history.jsonl", {"train_accuracy": "x"}),
        ("history.jsonl", {"val_loss": [1]}),
        ("timing.jsonl", {"seconds": None}),
        ("statistics.jsonl", {"parameters": None}),
        ("statistics.jsonl", {"gradients": {"0.weight": {}}}),
        *(
            ("result.json", {key: None})
            for key in ("test_images", "test_errors", "trained_on", "dataset", "changed")
        ),
    ],
)
def test_values_that_cannot_be_are_no_row(
    make_run: MakeRun, tmp_path: Path, name: str, change: dict[str, object]
) -> None:
    folder, dataset = make_run()
    copy = tmp_path / "first"
    shutil.copytree(folder, copy)
    first, *others = (
        (copy / name).read_text().splitlines() if name.endswith("l") else [(copy / name).read_text()]
    )
    (copy / name).write_text("\n".join([json.dumps(json.loads(first) | change), *others]))
    record = RunRecord.load(copy)
    assert len(record.problems) == 1
    assert record.problems[0].startswith(f"{name} cannot be used: ")
    page_of([record], tmp_path / "r.html", dataset)


def test_an_interrupted_run_shows_nobodys_test_images(make_run: MakeRun, tmp_path: Path) -> None:
    folder, dataset = make_run()
    copy = tmp_path / "first"
    shutil.copytree(folder, copy)
    (copy / "result.json").unlink()
    page = page_of([RunRecord.load(copy)], tmp_path / "r.html", dataset)
    assert "There is no result of a test" in page.text
    assert not any("Confusion" in heading for heading in page.headings)


def test_odd_names_and_many_runs(make_run: MakeRun, tmp_path: Path) -> None:
    folder, dataset = make_run()
    names = ["a$x^$", "b$\\frac$", "_under", "数字", "e", "f", "g", "h", "i", "j", "k", "l"]
    for name in names:
        shutil.copytree(folder, tmp_path / name)
    page = page_of([RunRecord.load(tmp_path / name) for name in names], tmp_path / "r.html", dataset)
    assert page.headings[0] == "12 runs"
    for name in names:
        assert name in page.text
    assert len(page.ids) == len(set(page.ids))


def test_a_name_is_no_markup(make_run: MakeRun, tmp_path: Path) -> None:
    folder, _ = make_run()
    copy = tmp_path / "<script>alert(1)<"
    shutil.copytree(folder, copy)
    result = json.loads((copy / "result.json").read_text())
    (copy / "result.json").write_text(json.dumps(result | {"recipe": "<img src=x>"}))
    write_report([RunRecord.load(copy)], tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "<script" not in text
    assert "<img src=x>" not in text
    assert "&lt;img src=x&gt;" in text


def test_what_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, words in (
        (tmp_path / "nothing", "expected the folder of a run, got nothing"),
        (tmp_path / "file", "expected the folder of a run, got a file"),
        (tmp_path, "there is no run in this folder: config.toml is missing"),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(str(path))}: {words}"):
            RunRecord.load(path)
