"""`numnist summary`: the layers of a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import CliPositionalArg
from rich.table import Table

from numnist.arrays import Shape
from numnist.cli.console import plain_console
from numnist.cli.flags import Flags, parse, validate
from numnist.cli.models import open_model
from numnist.engine import Plan, plan
from numnist.errors import InputError
from numnist.nn import ARCHITECTURES, Sequential, build, summarise
from numnist.predict.pretrained import PREFIX


class SummaryFlags(Flags):
    """Show the layers of a model, the shapes of one sample, and what they cost."""

    model: Annotated[
        CliPositionalArg[str],
        Field(description="an architecture (cnn, mlp:300,100), a .toml description, or a saved model"),
    ]
    image_size: Annotated[
        int, Field(ge=1, description="height and width of the images, in pixels; a saved model has its own")
    ] = 28
    classes: Annotated[int, Field(ge=1, description="number of classes; a saved model has its own")] = 10


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    flags = validate(SummaryFlags, parse(SummaryFlags, "summary", arguments))
    network, input_shape = _network(flags)
    table = Table(title=flags.model, title_justify="left")
    for heading in ("", "layer"):
        table.add_column(heading, overflow="fold")
    for heading in ("output", "parameters", "multiply-adds"):
        table.add_column(heading, justify="right")
    rows = list(summarise(network, input_shape))
    table.add_row("", "input", _shown(input_shape), "", "")
    for row in rows:
        table.add_row(
            row.position, row.layer, _shown(row.output_shape), f"{row.parameters:,}", f"{row.multiply_adds:,}"
        )
    table.add_section()
    total = (sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows))
    table.add_row("", "total, for one image", "", *(f"{number:,}" for number in total))
    console = plain_console()
    console.print(table)
    made = plan(network, input_shape)
    counts = f"stages {len(made.stages)}, conversions {made.conversions}, images at once {made.shard_size}"
    console.print(f"\nThe engine: {counts}", soft_wrap=True)
    console.print(_plan_table(made))
    return 0


def _plan_table(made: Plan) -> Table:
    """The stages that the engine computes, and the layers that are in each."""
    table = Table()
    table.add_column("layers")
    table.add_column("computed as", overflow="fold")
    for stage in made.stages:
        table.add_row(" ".join(stage.names) or "–", stage.label)
    return table


def _network(flags: SummaryFlags) -> tuple[Sequential, Shape]:
    """The network and the shape of a sample: from the zoo or a description, else from a saved model."""
    kind = flags.model.partition(":")[0]
    places = Path(flags.model), Path("runs") / flags.model
    saved = flags.model.startswith(PREFIX) or any(place.exists() for place in places)
    if not flags.model.endswith(".toml") and kind not in ARCHITECTURES and saved:
        model = open_model(flags.model)
        if unused := sorted(flags.model_fields_set - {"model"}):
            flag = f"--{unused[0].replace('_', '-')}"
            raise InputError(f"{flag}: expected none, since {flags.model} is a saved model and has its own")
        return model.network, model.preprocess.input_shape
    input_shape = (1, flags.image_size, flags.image_size)
    try:
        return build(flags.model, input_shape, flags.classes), input_shape
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from error


def _shown(shape: Shape) -> str:
    return " × ".join(map(str, shape))
