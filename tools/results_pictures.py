"""Draw the pictures of docs/results.md from results/ and the test images.

    python tools/results_pictures.py

Needs matplotlib (the extra `view`), and MNIST where `numnist train` looks for it.
"""

import json
import statistics

import numpy as np
from results_tables import assessments, name
from rows import ROOT, headline_runs

from numnist.data import load_mnist
from numnist.view import Point, draw_mistakes, draw_trade, save_figure

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


def main() -> None:
    """Draw both."""
    PICTURES.mkdir(exist_ok=True)
    trade()
    mistakes()


if __name__ == "__main__":
    main()
