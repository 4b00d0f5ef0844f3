"""Draw the pictures of README.md and docs/results.md from results/, the shipped models and the test images.

    python tools/results_pictures.py

Needs matplotlib (the extra `view`), and MNIST where `numnist train` looks for it.
"""

import json
import statistics
from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure
from results_tables import assessments, name
from rows import ROOT, headline_runs
from study_tables import analysis

from numnist.arrays import Array
from numnist.data import load_mnist
from numnist.nn import load_model
from numnist.ops import softmax
from numnist.predict import pretrained
from numnist.study.report import forest
from numnist.view import Point, draw_mistakes, draw_trade, save_figure, trace
from numnist.view.figures import RIGHT, WRONG

Box = tuple[float, float, float, float]
PICTURES = ROOT / "docs" / "results"


def trade() -> None:
    """Error against training time, beside what others have published."""
    points = []
    for recipe, runs in headline_runs().items():
        accuracies = [run["test_accuracy"] for run in runs]
        spread = statistics.stdev(accuracies) if len(runs) > 1 else 0.0
        seconds = statistics.median(run["seconds"] for run in runs)
        points.append(Point(recipe, seconds, statistics.mean(accuracies), spread))
    published = json.loads((ROOT / "results" / "published.json").read_text(encoding="utf-8"))
    figure = draw_trade(points, [(each["name"], each["accuracy"]) for each in published])
    save_figure(figure, PICTURES / "trade.svg")


def mistakes() -> None:
    """All mistakes of the best model there is: of what has been assessed, that with the fewest."""
    best = min(assessments(), key=lambda row: int(row["errors"]))
    test = load_mnist().test
    assert test is not None
    wrong = best["mistakes"]
    indices = [mistake["index"] for mistake in wrong]
    figure = draw_mistakes(
        test.images[indices],
        np.array([mistake["label"] for mistake in wrong]),
        np.array([mistake["probabilities"] for mistake in wrong]),
        tuple("0123456789"),
        [f"{index}" for index in indices],
    )
    save_figure(figure, PICTURES / "mistakes.png")
    print(f"the mistakes are those of {name(best)}")


def study() -> None:
    """All differences of the study of the eight factors."""
    save_figure(forest(analysis()), PICTURES / "study.svg")


def on_its_way() -> None:
    """One digit through the shipped `cnn`, left to right: the README's picture."""
    test = load_mnist().test
    assert test is not None
    image = test.images[0]
    model = load_model(pretrained("pretrained:cnn"))
    stops = {stop.position: stop.values for stop in trace(model, image)}
    p = softmax.forward(stops["9"][None].astype(np.float64))[0][0]
    figure = Figure(figsize=(10, 2.7), dpi=100)
    names = ("the image, 28×28", "16 maps of 12×12", "32 maps of 4×4", "ten probabilities")
    for name_of, left in zip(names, (0.01, 0.245, 0.49, 0.735), strict=True):
        figure.text(left, 0.93, name_of, fontsize=11)
    _tiles(figure, [image], 1, (0.01, 0.05, 0.205, 0.82), "gray_r")
    _tiles(figure, stops["3"], 4, (0.245, 0.05, 0.205, 0.82), "viridis")
    _tiles(figure, stops["7"], 6, (0.49, 0.05, 0.205, 0.82), "viridis")
    axes = figure.add_axes((0.755, 0.05, 0.235, 0.82))
    axes.barh(range(10), p, color=[WRONG if k == p.argmax() else RIGHT for k in range(10)])
    axes.set(yticks=range(10), xticks=[], xlim=(0, 1), ylim=(9.6, -0.6))
    axes.tick_params(length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    save_figure(figure, PICTURES / "on-its-way.png")


def _tiles(figure: Figure, maps: Iterable[Array], columns: int, box: Box, colours: str) -> None:
    """Pictures in a grid that fills a box of the figure (left, bottom, width, height)."""
    shown = list(maps)
    rows = -(-len(shown) // columns)
    grid = figure.add_gridspec(
        rows, columns, left=box[0], bottom=box[1], right=box[0] + box[2], top=box[1] + box[3], wspace=0.06,
        hspace=0.06,
    )  # fmt: skip
    for number, values in enumerate(shown):
        axes = figure.add_subplot(grid[number // columns, number % columns])
        axes.axis("off")
        axes.imshow(values, cmap=colours, interpolation="nearest")


def main() -> None:
    """Draw all of them."""
    PICTURES.mkdir(exist_ok=True)
    on_its_way()
    trade()
    mistakes()
    study()


if __name__ == "__main__":
    main()
