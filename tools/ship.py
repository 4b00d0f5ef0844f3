"""Put the models of a campaign into the package, as pretrained:NAME.

    python tools/ship.py --models DIR [--recipes cnn-best,small,record]

DIR is where `benchmarks/accuracy.py --models DIR` left them. Each is the run with seed 0, whatever it
reached; its temperature is that of the recipe's run with held-out images (results/validation.jsonl).
"""

import argparse
import json
from pathlib import Path

from rows import ROOT, is_current, rows

from numnist.nn import load_model, load_notes, save_model

SHIPPED = ROOT / "src" / "numnist" / "pretrained"
SEED = 0


def ship(recipe: str, models: Path) -> None:
    """Write one model with its temperature and where it comes from."""
    file = models / f"{recipe}-{SEED}.safetensors"
    run = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    held_out = [row for row in rows("validation") if row["seed"] == SEED and is_current(row, "validation")]
    (chosen,) = (row for row in held_out if row["recipe"] == recipe)
    model, notes = load_model(file), load_notes(file)
    model.temperature = chosen["temperature"]
    held = f"{chosen['settings']['validation']:,} images held out"
    notes |= {
        "command": f"numnist train --recipe {recipe} --seed {SEED}",
        "commit": run["commit"],
        "test_accuracy": run["test_accuracy"],
        "temperature_from": f"the same recipe and seed with {held}",
    }
    path = SHIPPED / f"{recipe}.safetensors"
    save_model(model, path, notes)
    print(f"wrote {path.relative_to(ROOT)}, {path.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    """Ship each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--recipes", default="cnn-best,small,record")
    arguments = parser.parse_args()
    for recipe in arguments.recipes.split(","):
        ship(recipe, arguments.models)


if __name__ == "__main__":
    main()
