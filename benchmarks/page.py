"""Measure the drawing page in headless Chromium: the time of a prediction, and the size of the file.

    python benchmarks/page.py --json results/page.jsonl

For each model a page of its own is written, opened in a window that is high enough for all layers, and a
sample is drawn. Then, one after the other,

    forward     the network alone: from 28×28 bytes to logits
    reading     from the drawn strokes to those bytes, as `numnist predict` reads them
    heat        the heat map that is shown first
    frame       all that happens while the pen moves: reading, forward, heat map, and drawing all of it with
                the maps of all layers

In milliseconds of the main thread's processor time, the mean of a hundred rounds: a clock would also count
what others do on the same cores meanwhile. V8 compiles a function once it has been called often, so a hundred
rounds before are not counted.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from accuracy import commit
from peers import PAUSE, append, circumstances, cores_busy
from playwright.sync_api import Page, sync_playwright

from numnist.interop.page import write_page
from numnist.nn import load_model
from numnist.predict import pretrained

MODELS = ("cnn-best", "cnn", "small", "record")

ROUNDS = 100

SAMPLE = "3"

PARTS = {
    "forward": "numnist.networks[0].logits(numnist.current().pixels)",
    "reading": "numnist.prepare(numnist.sheet.read(numnist.drawing), numnist.networks[0].size)",
    "heat": "numnist.networks[0].heat(3, numnist.networks[0].methods[0])",
    "frame": "numnist.update()",
}


def processor_time(page: Page, expression: str) -> float:
    """Milliseconds of processor time that an expression takes."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "ThreadTime"))

    loop = f"(rounds) => {{ for (let i = 0; i < rounds; i++) {expression}; }}"
    page.evaluate(loop, ROUNDS)
    begin = seconds()
    page.evaluate(loop, ROUNDS)
    return round(1000 * (seconds() - begin) / ROUNDS, 3)


def measured(page: Page, name: str, path: Path) -> dict[str, Any]:
    """Size and times of one model's page."""
    write_page([load_model(pretrained(f"pretrained:{name}"))], [name], path)
    page.goto(path.as_uri())
    page.get_by_role("button", name=f"Draw a {SAMPLE}").click()
    times = {f"{part}_ms": processor_time(page, expression) for part, expression in PARTS.items()}
    return {"model": name, "bytes": path.stat().st_size, **times}


def main() -> None:
    """Measure the models that are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--json", type=Path, help="file to append a row per model to")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("page.py: there is no chromium here")
    code = commit()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name in arguments.models.split(","):
            page = browser.new_page(viewport={"width": 1280, "height": 4000}, reduced_motion="reduce")
            elsewhere = [cores_busy(PAUSE)]
            row = measured(page, name, Path(folder) / "page.html")
            page.close()
            elsewhere.append(cores_busy(PAUSE))
            print("  ".join(f"{key} {value}" for key, value in row.items()))
            append(arguments.json, {**row, **circumstances(code, elsewhere, {"chromium": browser.version})})
        browser.close()


if __name__ == "__main__":
    main()
