"""The flags of `numnist train`."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from numnist.cli.flags import DataFlags, Flags
from numnist.train import Config, recipe_words


class RunFlags(BaseModel):
    """What of a run does not change its result."""

    recipe: Annotated[
        str | None,
        Field(description=f"settings to start from: {', '.join(recipe_words())}; unless given, quick"),
    ] = None
    config: Annotated[Path | None, Field(description="TOML file of settings, over the recipe's")] = None
    name: Annotated[str | None, Field(description="name of the run; unless given, a new one")] = None
    runs: Annotated[Path, Field(description="folder that holds the folders of the runs")] = Path("runs")
    resume: Annotated[
        Path | None,
        Field(description="an interrupted run to go on with: its folder, or its name in runs/"),
    ] = None
    checkpoint_every: Annotated[
        int | None, Field(ge=1, description="steps between two checkpoints; unless given, about a minute")
    ] = None
    force: Annotated[bool, Field(description="replace an existing run of this name")] = False
    report: Annotated[bool, Field(description="write a page about the run at its end, report.html")] = True
    tensorboard: Annotated[
        Path | None, Field(description="folder for what TensorBoard shows, while the run goes on")
    ] = None
    threads: Annotated[
        int | None,
        Field(ge=1, description="cores to use; unless given, all; any number gives the same result"),
    ] = None
    distributed: Annotated[
        bool,
        Field(description="train one model on all processes that mpiexec has started, here or elsewhere"),
    ] = False


class TrainOptions(RunFlags, DataFlags):
    """The flags that are no settings."""


class TrainFlags(Flags, RunFlags, DataFlags, Config):  # type: ignore[misc]  # two kinds of model_config
    """Train a network, test it once, and save it in runs/NAME.

    Settings come from a recipe, a TOML file over it, and flags over both; a setting that none of them names
    has the default shown.

        numnist train --recipe one-epoch --name first
        numnist train --recipe record-ensemble
        numnist train --resume first
        numnist train --config my.toml --epochs 5 --augment.rotation 15
        numnist train --model mlp:300,100 --optim.kind sgd --optim.lr 0.1 --schedule.kind constant
    """
