"""Finding the model that a command is to work on."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from numnist.engine import ExecutorName, make_executor
from numnist.errors import InputError
from numnist.nn import Executor, Model, load_model
from numnist.predict import Predictor
from numnist.predict.pretrained import PREFIX, pretrained, pretrained_models

FILE = "model.safetensors"

TTA = "look at each image seven times, a little moved and turned, and average"
REJECT = "the least probability that is taken for an answer"

MODEL = f"{', '.join(pretrained_models())}, a model file, the folder of a run, or the name of a run in runs/"
"""How a model can be named, for the help."""


def find_model(name: str) -> Path:
    """The model file for pretrained:NAME, a path to it or to the folder of a run, or a run's name in runs/.

    Raises: InputError naming what is not there.
    """
    if name.startswith(PREFIX):
        return pretrained(name)
    path = Path(name)
    for candidate in (path, path / FILE, Path("runs") / name / FILE):
        if candidate.is_file():
            return candidate
    if path.is_dir():
        raise InputError(f"{path}: there is no {FILE} in this folder")
    raise InputError(
        f"{name}: no such model: expected a file, the folder of a run, the name of a run in runs/, "
        f"or {', '.join(pretrained_models())}"
    )


def open_model(name: str) -> Model:
    """The model itself; InputError naming the file when it cannot be used."""
    return load_model(find_model(name))


def open_predictor(
    names: Sequence[str],
    tta: bool = False,
    reject: float = 0.0,
    executor: ExecutorName = "engine",
    threads: int | None = None,
) -> Predictor:
    """The models of these names, to be asked together (see `Predictor`).

    Raises: InputError naming the file that cannot be used, by itself or beside the first.
    """
    make = partial(_executor, executor, threads)
    return Predictor.load(*map(find_model, names), tta=tta, reject=reject, executor=make)


def _executor(name: ExecutorName, threads: int | None, model: Model) -> Executor:
    return make_executor(name, model, threads=threads)
