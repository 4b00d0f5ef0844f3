"""The door that is a command line."""

import contextlib
import io
import os
from pathlib import Path

from tests.fuzz.door import FOLDER, FindingError

from numnist import cli
from numnist.cli.data import DataCommandFlags
from numnist.cli.draw import DrawFlags
from numnist.cli.flags import parse, validate
from numnist.cli.train_flags import TrainFlags, TrainOptions
from numnist.train import resolve


def check_complaints(status: int, words: str) -> None:
    """What is said is lines of ours: one, or one for each file that could not be used; or the usage."""
    usage = words.startswith("Handwritten-digit recognition")
    if status and not usage and not all(line.startswith("numnist: ") for line in words.splitlines()):
        raise FindingError(f"not lines of ours: {words!r}")
    if status and not words:
        raise FindingError("nothing was said")


def command_line(content: bytes) -> None:
    """Arguments between zero bytes. Nothing is trained, downloaded, written or opened: `train`, `data` and
    `draw` stop behind their flags, and no argument names another folder.
    """
    text = content.decode("utf-8", "replace").replace("/", "_").replace("..", "__")
    arguments = text.split("\0")[:12]
    here = Path.cwd()
    os.chdir(FOLDER)
    printed, complaints = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complaints):
            try:
                if arguments[0] == "train":
                    given = parse(TrainFlags, "train", arguments[1:])
                    options = {key: given.pop(key) for key in list(given) if key in TrainOptions.model_fields}
                    validate(TrainOptions, options)
                    resolve(given, options.get("recipe"), options.get("config") and Path(options["config"]))
                elif arguments[0] == "data":
                    validate(DataCommandFlags, parse(DataCommandFlags, "data", arguments[1:]))
                elif arguments[0] == "draw":
                    validate(DrawFlags, parse(DrawFlags, "draw", arguments[1:]))
                else:
                    status = cli.main(arguments)
                    if status not in (0, 1, 2):
                        raise FindingError(f"exit status {status}")
                    check_complaints(status, complaints.getvalue())
            except SystemExit as end:
                if end.code not in (0, None):
                    raise FindingError(f"exit {end.code}") from end
    finally:
        os.chdir(here)


def command_line_seeds() -> list[bytes]:
    lines = (
        "train --model mlp:30 --epochs 3 --optim.kind sgd --optim.lr 0.1 --augment.rotation -5,10",
        "train --recipe small --schedule.kind step --schedule.every 3 --no-report --seed 4",
        "evaluate nothing --json --reject 0.5 --tta",
        "predict pretrained:cnn nothing.png --number --show",
        "view filters nothing --out x.svg",
        "summary mlp:30,10 --image-size 8,8",
        "report nothing other --out x.html",
        "draw pretrained:cnn nothing --out x.html --no-open",
        "data --export x --format png --limit 3",
        "--help",
        "--version",
    )
    return [line.replace(" ", "\0").encode() for line in lines]
