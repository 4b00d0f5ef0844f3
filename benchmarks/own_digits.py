"""Draw digits in twenty ways, put each through a file as people do, and report a model's accuracy per way.

    python benchmarks/own_digits.py --model pretrained:cnn
    python benchmarks/own_digits.py --model runs/cnn-001 --sheet sheet.png --json

Each picture is saved as PNG or JPEG, and read, prepared and recognised from that file: the path of `numnist
predict`. Picture i of a way depends on the seed, the way and i alone, and shows the digit i % 10. With --json
a row is appended to a file, results/own_digits.jsonl by default. Needs matplotlib, for its fonts.

These are drawings: no real paper, pen, camera or hand is tested, and the skeletons of the strokes are those
of the built-in digits, so on them a model trained on built-in digits has an advantage.
"""

import argparse
import json
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from accuracy import commit, environment
from drawing import WAYS, Way
from PIL import Image, ImageDraw

from numnist.arrays import Array
from numnist.cli.models import find_model
from numnist.data.image_files import read_image
from numnist.data.ink import NoInkError
from numnist.errors import InputError
from numnist.nn import load_notes
from numnist.predict import Predictor
from numnist.predict.pretrained import PREFIX

RESULTS = Path(__file__).resolve().parent.parent / "results" / "own_digits.jsonl"

GOAL = 0.95

TILE, ACROSS, MARGIN = 56, 20, 60
"""Of the contact sheet: side of a picture, pictures in a row, room for the way's name; in pixels."""


@dataclass(frozen=True)
class Sample:
    """A picture, what the network saw, and what it said.

    thumbnail: the picture, TILE x TILE. image: (28, 28), 0 where no ink was found. label: "" there.
    """

    digit: str
    thumbnail: Image.Image
    image: Array
    label: str

    @property
    def right(self) -> bool:
        """Whether it was read."""
        return self.label == self.digit


def samples(predictor: Predictor, way: Way, n: int, seed: int, folder: Path) -> Iterator[Sample]:
    """The first n pictures of a way, read from their files."""
    for i in range(n):
        rng = np.random.default_rng((seed, zlib.crc32(way.name.encode()), i))
        picture = way.draw(i % 10, rng)
        path = way.save(picture, folder, rng)
        image, label = np.zeros((28, 28), np.uint8), ""
        try:
            prediction = predictor.read(read_image(path))
        except NoInkError:
            pass
        else:
            image, label = prediction.image, prediction.label
        yield Sample(str(i % 10), thumbnail(picture), image, label)


def thumbnail(picture: Image.Image) -> Image.Image:
    """A picture in a tile; what is transparent becomes pink."""
    tile = Image.new("RGB", (TILE, TILE), "lightgrey")
    small = picture.convert("RGBA")
    small.thumbnail((TILE, TILE))
    page = Image.new("RGBA", small.size, "pink")
    tile.paste(Image.alpha_composite(page, small), ((TILE - small.width) // 2, (TILE - small.height) // 2))
    return tile


def mistakes(drawn: Sequence[Sample]) -> str:
    """What was taken for what and how often, the most frequent first."""
    counts = Counter(f"{sample.digit}→{sample.label or 'none'}" for sample in drawn if not sample.right)
    return ", ".join(f"{pair} {count}" for pair, count in counts.most_common(6))


def contact_sheet(ways: Sequence[tuple[str, Sequence[Sample]]]) -> Image.Image:
    """A row per way: pictures with their 28 x 28 beside them, mistakes first, framed, with what was read."""
    width, height = 2 * TILE + 6, TILE + 6
    sheet = Image.new("RGB", (MARGIN + ACROSS * width, len(ways) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (name, drawn) in enumerate(ways):
        top = row * height + 3
        draw.text((4, top + TILE // 2 - 6), name, fill="black")
        for column, sample in enumerate(sorted(drawn, key=lambda sample: sample.right)[:ACROSS]):
            left = MARGIN + column * width
            sheet.paste(sample.thumbnail, (left, top))
            sheet.paste(
                Image.fromarray(sample.image).resize((TILE, TILE), Image.Resampling.NEAREST),
                (left + TILE, top),
            )
            if not sample.right:
                draw.rectangle(
                    (left - 2, top - 2, left + 2 * TILE + 1, top + TILE + 1), outline="red", width=2
                )
                draw.text((left + TILE + 2, top), sample.label or "none", fill="red")
    return sheet


def parsed() -> argparse.Namespace:
    """The command line; whatever is wrong with it ends the program."""
    names = [way.name for way in WAYS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="pretrained:cnn", help="as in numnist predict")
    parser.add_argument("--per-way", type=int, default=100, metavar="N", help="pictures; a multiple of 10")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ways", nargs="+", choices=names, default=names, metavar="WAY", help="only these")
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="write a contact sheet")
    parser.add_argument("--json", type=Path, nargs="?", const=RESULTS, metavar="FILE", help="append a row")
    arguments = parser.parse_args()
    if arguments.per_way < 1 or arguments.per_way % 10 or arguments.seed < 0:
        parser.error("expected --per-way of 10, 20, ..., and --seed of at least 0")
    return arguments


def main() -> None:
    """Draw, read, count."""
    arguments = parsed()
    code = commit()  # now, while what is checked out is what was imported
    try:
        path = find_model(arguments.model)
        predictor = Predictor.load(path)
    except InputError as error:
        sys.exit(f"own_digits.py: {error}")

    drawn: list[tuple[str, list[Sample]]] = []
    accuracy: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for way in (way for way in WAYS if way.name in arguments.ways):
            of_way = list(samples(predictor, way, arguments.per_way, arguments.seed, Path(folder)))
            share = sum(sample.right for sample in of_way) / len(of_way)
            below = " " if share >= GOAL else "!"
            print(f"{way.name:8}{share:7.1%} {below} {way.description:57}{mistakes(of_way)}", flush=True)
            drawn.append((way.name, of_way))
            accuracy[way.name] = share
    mean = sum(accuracy.values()) / len(accuracy)
    print(f"{'mean':8}{mean:7.1%}   of {len(accuracy)} ways, {arguments.per_way} pictures each")

    if arguments.sheet is not None:
        contact_sheet(drawn).save(arguments.sheet)
    if arguments.json is not None:
        row = {
            "model": arguments.model if arguments.model.startswith(PREFIX) else path.name,
            "notes": load_notes(path),
            "seed": arguments.seed,
            "per_way": arguments.per_way,
            "n": arguments.per_way * len(accuracy),
            "accuracy": accuracy,
            "descriptions": {way.name: way.description for way in WAYS},
            "mean": round(mean, 4),
            "commit": code,
            "environment": {
                **environment(),
                "pillow": version("pillow"),
                "matplotlib": version("matplotlib"),
            },
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
        }
        with arguments.json.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
