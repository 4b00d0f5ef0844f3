"""`numnist evaluate`: test a saved model."""

import json
import math
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from pydantic_settings import CliPositionalArg
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from numnist.arrays import Array
from numnist.cli.console import plain_console
from numnist.cli.flags import DataFlags, Flags, parse, validate
from numnist.cli.images import load_dataset
from numnist.cli.models import MODEL, REJECT, TTA, find_model, open_predictor
from numnist.data import Dataset
from numnist.engine import ExecutorName
from numnist.errors import InputError
from numnist.nn import Preprocess
from numnist.ops import softmax
from numnist.predict import reliability
from numnist.train import Evaluation

NARROW: dict[str, Any] = {
    "box": SIMPLE_HEAD,
    "padding": 0,
    "pad_edge": False,
    "show_edge": False,
}
"""How tables are drawn: the matrix of ten classes fits into a terminal of 80 columns."""


class EvaluateFlags(Flags, DataFlags):
    """Test a saved model: accuracy, loss, precision and recall per class, the confusion matrix.

    Several models are asked together, and the average of their probabilities is tested. Examples:
    numnist evaluate pretrained:cnn; numnist evaluate my-run other-run --tta
    """

    model: Annotated[
        CliPositionalArg[list[str]],
        Field(description=MODEL, min_length=1),
    ]
    tta: Annotated[bool, Field(description=TTA)] = False
    reject: Annotated[float, Field(ge=0, le=1, description=REJECT)] = 0.0
    json_: Annotated[bool, Field(alias="json", description="print one JSON object and nothing else")] = False
    executor: Annotated[
        ExecutorName, Field(description="engine: the fast one; reference: op by op, for comparison")
    ] = "engine"
    threads: Annotated[int | None, Field(ge=1, description="cores to use; unless given, all")] = None


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    flags = validate(EvaluateFlags, parse(EvaluateFlags, "evaluate", arguments))
    predictor = open_predictor(flags.model, flags.tta, flags.reject, flags.executor, flags.threads)
    dataset = load_dataset(flags, ("test",))
    assert dataset.test is not None  # it was asked for
    check_fit(predictor.preprocess, dataset)
    tested = Tested(predictor.logits(dataset.test.images), dataset.test.labels, flags.reject)
    if flags.json_:
        print(json.dumps(_plain(tested)))  # noqa: T201
    else:
        paths = " + ".join(str(find_model(name)) for name in flags.model)
        _show(tested, predictor.preprocess.classes, f"{paths} on {dataset.name}")
    return 0


class Tested:
    """What came of the test.

    outcome: accuracy and the like. calibration_error: by how much probabilities miss accuracy on average.
    coverage, answered: the share of the images that was not rejected, and the accuracy on those; NaN where
    there are none. All three are NaN where the logits are not finite.
    """

    def __init__(self, logits: Array, labels: Array, reject: float) -> None:
        """Shapes: logits (N, K), labels (N,)."""
        self.outcome = Evaluation.of(logits, labels)
        self.reject = reject
        self.calibration_error = self.coverage = self.answered = math.nan
        if not np.isfinite(logits).all():
            return
        probabilities, _ = softmax.forward(logits)
        self.calibration_error = reliability(probabilities, labels).expected_calibration_error
        sure = probabilities.max(axis=1) >= reject
        right = probabilities.argmax(axis=1) == labels
        self.coverage = float(sure.mean())
        if sure.any():
            self.answered = float(right[sure].mean())


def check_fit(preprocess: Preprocess, dataset: Dataset) -> None:
    """InputError naming the file when the test images or labels are not what the model was made for."""
    test = dataset.test
    assert test is not None  # it was asked for
    images, labels = [str(record.path) for record in dataset.files[-2:]] or [dataset.name] * 2
    if test.images.shape[1:] != preprocess.image_size:
        H, W = preprocess.image_size
        came = "x".join(map(str, test.images.shape[1:]))
        raise InputError(f"{images}: expected images of {H}x{W}, as the model was trained on, got {came}")
    if (test.images.dtype == np.uint8) != preprocess.takes_bytes:
        expected = "bytes (0 to 255)" if preprocess.takes_bytes else "numbers that are no bytes"
        raise InputError(
            f"{images}: expected {expected}, as the model was trained on, got {test.images.dtype}"
        )
    if test.labels.max() >= len(preprocess.classes):
        raise InputError(
            f"{labels}: expected labels below {len(preprocess.classes)}, the model's number of classes, "
            f"got {test.labels.max()}"
        )


def _plain(tested: Tested) -> dict[str, object]:
    """What `--json` prints: accuracy as a fraction, loss in nats, confusion[true][predicted] counts."""
    outcome = tested.outcome
    return {
        "accuracy": outcome.accuracy,
        "errors": outcome.errors,
        "loss": _finite(outcome.loss),
        "calibration_error": _finite(tested.calibration_error),
        "reject": tested.reject,
        "coverage": _finite(tested.coverage),
        "accuracy_answered": _finite(tested.answered),
        "n": outcome.n,
        "confusion": outcome.confusion.tolist(),
    }


def _finite(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return value if math.isfinite(value) else None


def _show(tested: Tested, classes: Sequence[str], title: str) -> None:
    """The outcome as a person reads it."""
    console = plain_console()
    outcome = tested.outcome
    console.print(
        f"{title}\naccuracy {outcome.accuracy:.2%}  errors {outcome.errors:,} of {outcome.n:,}  "
        f"loss {outcome.loss:.4f}  calibration error {tested.calibration_error:.2%}",
        soft_wrap=True,
    )
    if tested.reject:
        coverage, answered = (
            "–" if math.isnan(share) else f"{share:.2%}" for share in (tested.coverage, tested.answered)
        )
        sure = f"at least {100 * tested.reject:g} % sure of {coverage} of the images"
        console.print(f"{sure}; accuracy on those {answered}", soft_wrap=True)
    console.print()
    table = _confusion_table(outcome, classes)
    unlimited = console.options.update(max_width=10**6)
    if console.measure(table, options=unlimited).maximum <= console.width:
        console.print("rows: true class; columns: taken for", soft_wrap=True)
        console.print(table)
    else:
        console.print(_class_table(outcome, classes))


def _confusion_table(outcome: Evaluation, classes: Sequence[str]) -> Table:
    """The whole matrix: a row for each true class, a column for each class that its images were taken for."""
    table = Table(**NARROW)
    for heading in ("", *classes, "recall"):
        table.add_column(heading, justify="right", no_wrap=True)
    for true, (name, row, recall) in enumerate(zip(classes, outcome.confusion, outcome.recall, strict=True)):
        cells = [_cell(int(count), true == taken) for taken, count in enumerate(row)]
        table.add_row(name, *cells, _percent(recall))
    table.add_section()
    table.add_row("precision", *map(_percent, outcome.precision), f"{outcome.accuracy:.1%}")
    return table


def _class_table(outcome: Evaluation, classes: Sequence[str]) -> Table:
    """For so many classes that the matrix is wider than the terminal: each with its commonest mistakes."""
    table = Table(**NARROW)
    for heading in ("class", "images", "precision", "recall"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("most often taken for")
    for true, name in enumerate(classes):
        row = outcome.confusion[true]
        worst = sorted((-int(count), taken) for taken, count in enumerate(row) if count and taken != true)[:3]
        mistakes = ", ".join(f"{classes[taken]} ({-count:,})" for count, taken in worst)
        figures = _percent(outcome.precision[true]), _percent(outcome.recall[true])
        table.add_row(name, f"{row.sum():,}", *figures, mistakes)
    return table


def _cell(count: int, correct: bool) -> Text:
    """A count: dim where nothing went wrong, so that the mistakes stand out."""
    if correct:
        return Text(f"{count:,}", "dim")
    return Text(f"{count:,}", "bold") if count else Text("·", "dim")


def _percent(fraction: float) -> str:
    """A fraction in per cent; a dash for NaN, where there was nothing to divide by."""
    return "–" if fraction != fraction else f"{fraction:.1%}"
