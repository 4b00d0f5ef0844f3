"""Train `pretrained:cnn`, the model that ships with the package.

    python tools/make_pretrained.py [--seed 0] [--out FILE]

It is the original's network, trained as the recipe `quick` does it but with augmentation, on MNIST's 60,000
training images (from where `numnist train` finds them) and as many built-in digits, so that it also reads
print and thin pens. The settings are fixed and no epoch is selected; the share of flagged ones and the
augmentation were chosen among five models by what they made of benchmarks/own_digits.py with seeds 1 and 2.
"""

import argparse
import hashlib
import subprocess
from pathlib import Path

import numpy as np

from numnist.data import Dataset, Split, load_mnist, synthetic_digits
from numnist.nn import save_model
from numnist.train import prepare, resolve
from numnist.train.sources import changed_settings

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "src" / "numnist" / "pretrained" / "cnn.safetensors"
BUILT_IN = 60_000
STYLES = {1: (0.5, 0.25, 0.25)}
"""Half of the ones with a flag, and half of these with a foot: print has them, and MNIST hardly any."""
SETTINGS = {
    "validation": 0,
    "augment": {"rotation": 12, "scale": 0.1, "shear": 10, "translation": 1.5},
}


def training_set(seed: int) -> Dataset:
    """MNIST's training images and as many built-in digits, one after the other."""
    mnist = load_mnist(splits=("train",))
    if mnist.name != "mnist" or mnist.train is None:
        raise SystemExit("make_pretrained.py: the data found is not MNIST")
    digits = synthetic_digits(BUILT_IN, seed, weights=STYLES)
    both = Split(
        np.concatenate([mnist.train.images, digits.images]),
        np.concatenate([mnist.train.labels, digits.labels]),
    )
    fingerprint = hashlib.sha256(both.images.tobytes() + both.labels.tobytes()).hexdigest()
    # `prepare` wants a test set, and nothing here reads it.
    return Dataset("mnist and synthetic", both, digits, 10, fingerprint, ())


def main() -> None:
    """Train and write the model with its provenance."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    arguments = parser.parse_args()

    recipe, config = resolve({**SETTINGS, "seed": arguments.seed})
    dataset = training_set(arguments.seed)
    run = prepare(recipe, config, dataset)
    run.trainer.fit(run.state, config.epochs)
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run(
        [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
    )
    notes = {
        "command": f"python tools/make_pretrained.py --seed {arguments.seed}",
        "recipe": recipe,
        "changed": changed_settings(recipe, config),
        "settings": config.plain(),
        "seed": arguments.seed,
        "epochs": run.state.epoch,
        "steps": run.state.step,
        "dataset": {"name": dataset.name, "fingerprint": dataset.fingerprint},
        "trained_on": {"images": len(run.trainer.images), "validation": 0, "selection": "none"},
        "commit": head.stdout.strip(),
    }
    save_model(run.model, arguments.out, notes)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
