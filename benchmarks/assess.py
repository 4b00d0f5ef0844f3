"""Look closely at trained models and append what is seen to results/assessments.jsonl.

    python benchmarks/assess.py --models DIR --recipes quick,small,record --seeds 0,1,2
    python benchmarks/assess.py --models DIR --recipes record --seeds 0,1,2 --together [--tta]
    python benchmarks/assess.py --models DIR --recipes record --seeds 0 --on validation --tta

The models are those that `accuracy.py --models DIR` left there. Accuracy on the test set was read by the run
itself and is not chosen by; here are errors with and without the 15 disputed labels, calibration before and
after temperature scaling, accuracy against coverage, and the mistakes. The temperature of a recipe comes from
its run in results/validation.jsonl. --on validation looks at that run's own model and at the images that it
held out.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import (
    RESULTS,
    VALIDATION,
    append,
    commit,
    environment,
    rows,
    settings,
)

from numnist.data import Split, load_mnist, split_validation
from numnist.nn import load_model
from numnist.ops import softmax
from numnist.predict import Predictor, reliability, selection
from numnist.train import Evaluation, resolve

ASSESSMENTS = RESULTS / "assessments.jsonl"

DISPUTED = (947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729)
"""Test images whose label is disputed.

Source: Northcutt, Athalye & Mueller 2021, Pervasive Label Errors in Test Sets, arXiv:2103.14749; their list.
"""

COVERAGES = (1.0, 0.995, 0.99, 0.98, 0.95, 0.9)
HELD_OUT = 10_000


def temperature(recipe: str) -> float | None:
    """That of the recipe's run with seed 0 and held-out images, where there was one with its settings."""
    held_out = resolve({"seed": 0, "validation": HELD_OUT}, recipe)[1]
    found = [
        row["temperature"]
        for row in rows(VALIDATION)
        if row["recipe"] == recipe and settings(row) == held_out
    ]
    return float(found[-1]) if found else None


def seen(predictor: Predictor, split: Split, scale: float | None) -> dict[str, Any]:
    """What a predictor makes of a split, its models at temperature 1 and at `scale`; None: at their own."""
    labels = split.labels
    scales = [model.temperature if scale is None else scale for model in predictor.models]
    for model in predictor.models:
        model.temperature = 1.0
    raw = predictor.logits(split.images)
    for model, own in zip(predictor.models, scales, strict=True):
        model.temperature = own
    logits = predictor.logits(split.images)
    p, p_raw = (softmax.forward(z.astype(np.float64))[0] for z in (logits, raw))
    wrong = np.flatnonzero(logits.argmax(axis=1) != labels)
    selected = selection(p, labels)
    return {
        "errors": len(wrong),
        "n": len(labels),
        "temperature": float(np.mean(scales)),
        "nll_raw": Evaluation.of(raw, labels).loss,
        "nll": Evaluation.of(logits, labels).loss,
        "ece_raw": reliability(p_raw, labels).expected_calibration_error,
        "ece": reliability(p, labels).expected_calibration_error,
        "coverage": [[share, *selected.at_coverage(share)] for share in COVERAGES],
        "mistakes": [
            {"index": int(i), "label": int(labels[i]), "probabilities": [round(float(v), 4) for v in p[i]]}
            for i in wrong
        ],
    }


def main() -> None:
    """Look at each model, or at all together."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--recipes", required=True)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--tta", action="store_true")
    parser.add_argument("--on", choices=("test", "validation"), default="test")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    mnist, code = load_mnist(), commit()
    assert mnist.train is not None
    split = mnist.test
    if arguments.on == "validation":
        split = mnist.train.take(split_validation(len(mnist.train), HELD_OUT)[1])
    assert split is not None
    ending = "-validation" if arguments.on == "validation" else ""
    for recipe in arguments.recipes.split(","):
        for members in [seeds] if arguments.together else [[seed] for seed in seeds]:
            models = [
                load_model(arguments.models / f"{recipe}-{seed}{ending}.safetensors") for seed in members
            ]
            predictor = Predictor(*models, tta=arguments.tta)
            plain = resolve({}, recipe)[1].plain()
            row = {
                "recipe": recipe,
                "settings": plain,
                "seeds": members,
                "tta": arguments.tta,
                "on": arguments.on,
            }
            row |= seen(predictor, split, temperature(recipe))
            if arguments.on == "test":
                row["disputed_errors"] = sum(mistake["index"] in DISPUTED for mistake in row["mistakes"])
            network, shape = models[0].network, models[0].preprocess.input_shape
            row |= {
                "parameters": sum(model.layout.size for model in models),
                "multiply_adds": len(models) * network.multiply_adds(shape),
                "commit": code,
                "environment": environment(),
                "date": time.strftime("%Y-%m-%d", time.gmtime()),
            }
            append(ASSESSMENTS, row)
            what = f"{recipe} {members}{' tta' if arguments.tta else ''} on {arguments.on}"
            print(f"{what}: {row['errors']} errors, nll {row['nll_raw']:.4f}, {row['nll']:.4f}", flush=True)


if __name__ == "__main__":
    main()
