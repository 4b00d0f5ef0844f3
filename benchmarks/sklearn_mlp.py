"""Compare `NumnistClassifier` with scikit-learn's `MLPClassifier` on the same network and the same images.

    python benchmarks/sklearn_mlp.py --json results/sklearn_mlp.jsonl

Both train an MLP with one hidden layer of 100 ReLUs on MNIST, with Adam at a constant rate, without weight
decay, for the same number of epochs in batches of the same size, on as many threads. scikit-learn computes in
the type that it is given: float64, which is what dividing by 255 makes, and float32, which is faster. Fits
take turns, one process, so that what slows the machine for a while meets all. Needs the extra `sklearn`.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from accuracy import commit
from peers import PAUSE, add_output_flag, append, circumstances, cores_busy, mnist
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from numnist.arrays import Array
from numnist.interop.sklearn import NumnistClassifier
from numnist.nn import Preprocess

HIDDEN = 100
RATE = 1e-3


def ours(seed: int, arguments: argparse.Namespace) -> Any:
    """Our estimator."""
    return NumnistClassifier(
        f"mlp:{HIDDEN}",
        epochs=arguments.epochs,
        batch_size=arguments.batch,
        learning_rate=RATE,
        schedule="constant",
        random_state=seed,
        threads=arguments.threads,
    )


def theirs(seed: int, arguments: argparse.Namespace) -> Any:
    """scikit-learn's, which does not stop early."""
    return MLPClassifier(
        (HIDDEN,),
        alpha=0,
        max_iter=arguments.epochs,
        batch_size=arguments.batch,
        learning_rate_init=RATE,
        n_iter_no_change=arguments.epochs,
        tol=0,
        random_state=seed,
    )


CONTENDERS: dict[str, tuple[Callable[[int, argparse.Namespace], Any], type[np.floating[Any]]]] = {
    "NumnistClassifier": (ours, np.float32),
    "MLPClassifier, float32": (theirs, np.float32),
    "MLPClassifier, float64": (theirs, np.float64),
}


def standardised(images: Array, preprocess: Preprocess, dtype: type[np.floating[Any]]) -> Array:
    """Images as all contenders see them, (N, H*W)."""
    return preprocess(images, dtype).reshape(len(images), -1)


def main() -> None:
    """Fit each contender with each seed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0")
    parser.add_argument("--images", type=int, default=60_000, help="of the training set")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2, help="for each contender")
    add_output_flag(parser)
    arguments = parser.parse_args()
    code = commit()  # now, while what is checked out is what was imported
    _, train, test = mnist()
    train = train.take(slice(arguments.images))
    preprocess = Preprocess.fit(train.images)
    rows: list[dict[str, Any]] = []
    elsewhere: list[float] = []
    warnings.simplefilter("ignore", ConvergenceWarning)  # it is to stop where it does
    for seed in range(arguments.seeds):
        for contender, (make, dtype) in CONTENDERS.items():
            x, x_test = (standardised(split.images, preprocess, dtype) for split in (train, test))
            elsewhere.append(cores_busy(PAUSE))
            with threadpool_limits(arguments.threads, user_api="blas"):
                started = time.perf_counter()
                fitted = make(seed, arguments).fit(x, train.labels)
                seconds = time.perf_counter() - started
                accuracy = float(fitted.score(x_test, test.labels))
            rows.append(
                {
                    "contender": contender,
                    "seed": seed,
                    "seconds": round(seconds, 2),
                    "test_accuracy": accuracy,
                    "images": len(train),
                    "epochs": arguments.epochs,
                    "batch": arguments.batch,
                    "threads": arguments.threads,
                }
            )
            print(f"{contender:24} seed {seed}  {seconds:6.2f} s  {accuracy:.2%}", flush=True)
    shared = circumstances(code, elsewhere)
    for row in rows:
        append(arguments.json, {**row, **shared})


if __name__ == "__main__":
    main()
