"""`numnist train`: train a network, test it, save it."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from numnist.cli.console import plain_console
from numnist.cli.flags import DataFlags, Flags, parse, validate
from numnist.cli.images import load_dataset
from numnist.cli.progress import TrainingProgress
from numnist.train import Config, DivergenceError, RunFolder, prepare, recipes, resolve, train


class RunFlags(BaseModel):
    """What of a run does not change its result."""

    recipe: Annotated[
        str | None, Field(description=f"settings to start from: {', '.join(recipes())}; unless given, quick")
    ] = None
    config: Annotated[Path | None, Field(description="TOML file of settings, over the recipe's")] = None
    name: Annotated[str | None, Field(description="name of the run; unless given, a new one")] = None
    runs: Annotated[Path, Field(description="folder that holds the folders of the runs")] = Path("runs")
    force: Annotated[bool, Field(description="replace an existing run of this name")] = False
    threads: Annotated[
        int | None,
        Field(ge=1, description="cores to use; unless given, all; any number gives the same result"),
    ] = None


class TrainOptions(RunFlags, DataFlags):
    """The flags that are no settings."""


class TrainFlags(Flags, RunFlags, DataFlags, Config):  # type: ignore[misc]  # two kinds of model_config
    """Train a network, test it once, and save it in runs/NAME.

    Settings come from a recipe, a TOML file over it, and flags over both; a setting that none of them names
    has the default shown.

        numnist train --recipe one-epoch --name first
        numnist train --config my.toml --epochs 5 --augment.rotation 15
        numnist train --model mlp:300,100 --optim.kind sgd --optim.lr 0.1 --schedule.kind constant
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    started = time.perf_counter()
    given = parse(TrainFlags, "train", arguments)
    options = validate(
        TrainOptions, {key: given.pop(key) for key in list(given) if key in TrainOptions.model_fields}
    )
    recipe, config = resolve(given, options.recipe, options.config)
    dataset = load_dataset(options, ("train", "test"), fall_back=True)
    job = prepare(recipe, config, dataset, threads=options.threads)
    folder = RunFolder(options.runs, options.name, config.model, options.force)

    console = plain_console()
    images, parameters = len(job.trainer.images), job.model.layout.size
    console.print(
        f"training {config.model} ({parameters:,} parameters) on {images:,} images of {dataset.name}, "
        f"recipe {recipe}, in {folder.path}",
        soft_wrap=True,
    )
    progress = TrainingProgress(console)
    try:
        outcome = train(job, folder, [progress])
    except DivergenceError as error:
        print(f"numnist: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        progress.close()

    lines = [f"stopped: {outcome.stopped}"] if outcome.stopped else []
    if outcome.test is not None:
        test = outcome.test
        lines.append(f"test accuracy {test.accuracy:.2%} ({test.errors:,} errors in {test.n:,} images)")
    lines.append(f"time {time.perf_counter() - started:.1f} s")
    lines += [f"wrote {path}" for path in folder.written()]
    console.print("\n".join(lines), soft_wrap=True)
    return 130 if job.state.interrupted else 0
