"""A data set of your own: from arrays to IDX files, to a trained model, to its opinion of a new image.

python examples/custom_data.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from numnist.data import load_idx_dataset, write_idx
from numnist.predict import Predictor
from numnist.train import RunFolder, prepare, resolve, train

SHAPES = ("bar", "cross", "ring")


def draw(n, seed):
    """Noisy pictures of 16x16, and which shape each is: 0, 1 or 2."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n).astype(np.uint8)
    images = rng.integers(0, 90, (n, 16, 16)).astype(np.uint8)
    y, x = np.mgrid[-8:8, -8:8]
    for image, label in zip(images, labels):
        across = abs(y - rng.integers(-3, 4)) < 2
        down = abs(x - rng.integers(-3, 4)) < 2
        ring = abs(np.hypot(y, x) - rng.uniform(4, 6)) < 1.2
        image[[across, across | down, ring][label]] = rng.integers(150, 256)
    return images, labels


with TemporaryDirectory() as name:
    folder = Path(name)
    for part, n, seed in (("train", 2000, 0), ("test", 500, 1)):
        images, labels = draw(n, seed)
        write_idx(folder / f"{part}-images", images)
        write_idx(folder / f"{part}-labels", labels)
    files = (folder / f"{part}-{kind}" for part in ("train", "test") for kind in ("images", "labels"))
    dataset = load_idx_dataset(*files)
    # The same on the command line: numnist train --train-images ... --test-labels ... --model mlp:32
    recipe, settings = resolve({"model": "mlp:32", "epochs": 5, "augment": {"translation": 1}})
    run = RunFolder(folder, "shapes", "shapes")
    outcome = train(prepare(recipe, settings, dataset), run)
    print(f"accuracy {outcome.test.accuracy:.1%} on {outcome.test.n} pictures")
    (prediction,) = Predictor.load(run.file("model.safetensors")).predict(draw(1, seed=7)[0])
    print(f"a new one: {SHAPES[int(prediction.label)]}, {prediction.probability:.1%}")
