"""What a run is: every setting that changes its result, and nothing else."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from numnist.engine import ExecutorName
from numnist.nn import ARCHITECTURES, INITIALISERS
from numnist.train.tables import AugmentTable, OptimizerTable, ScheduleKind, ScheduleTable, Table


class EarlyStopping(Table):
    """Stop when the validation accuracy has not risen for so many epochs, and keep the best weights."""

    patience: Annotated[
        int, Field(ge=0, description="epochs without a new best before stopping; 0: never")
    ] = 0


class Plateau(Table):
    """Lower the learning rate when the validation loss has stopped falling."""

    patience: Annotated[
        int, Field(ge=0, description="epochs without a new best that are let pass; 0: all of them")
    ] = 0
    factor: Annotated[float, Field(gt=0, lt=1, description="what the learning rate is multiplied by")] = 0.1


class Config(Table):
    """The settings of a run: from a recipe, a TOML file and flags, in this order (see `sources.resolve`)."""

    model: Annotated[
        str, Field(description=f"{', '.join(ARCHITECTURES)}, mlp:300,100, or a .toml description")
    ] = "cnn"
    init: Annotated[
        Literal[tuple(INITIALISERS)],  # type: ignore[valid-type]
        Field(description="how the weights are drawn"),
    ] = "he_normal"
    epochs: Annotated[int, Field(ge=1, description="passes over the training images")] = 3
    batch_size: Annotated[int, Field(ge=1, description="images per step")] = 128
    seed: Annotated[int, Field(ge=0, description="of every random number in the run")] = 0
    validation: Annotated[
        int | None,
        Field(ge=0, description="training images held out; 0: none; unless given, a sixth, at most 10,000"),
    ] = None
    limit: Annotated[int | None, Field(ge=1, description="use only the first so many training images")] = None
    executor: Annotated[
        ExecutorName, Field(description="engine: the fast one; reference: op by op, for comparison")
    ] = "engine"
    shard_size: Annotated[
        int | None,
        Field(ge=1, description="images that one core takes at once; unless given, what suits the network"),
    ] = None
    label_smoothing: Annotated[float, Field(ge=0, le=1, description="share of each target spread evenly")] = (
        0.0
    )
    clip_norm: Annotated[
        float | None, Field(gt=0, description="largest norm of the gradient; unless given, any")
    ] = None
    decay_all: Annotated[bool, Field(description="let weight decay act on biases and normalisation too")] = (
        False
    )
    average: Annotated[
        float,
        Field(ge=0, lt=1, description="decay of the average of weights that the run ends with; 0: none"),
    ] = 0.0
    clean_epochs: Annotated[int, Field(ge=0, description="last epochs whose images are not augmented")] = 0
    keep_best: Annotated[
        bool, Field(description="end with the epoch that was best on validation, not with the last")
    ] = False
    warmup_steps: Annotated[int, Field(ge=0, description="steps of linear warm-up before the schedule")] = 0
    optim: OptimizerTable = Field(default={"kind": "adam"}, validate_default=True)
    schedule: ScheduleTable = Field(default={"kind": "one-cycle"}, validate_default=True)
    augment: AugmentTable = Field(default={}, validate_default=True)
    early_stopping: EarlyStopping = EarlyStopping()
    plateau: Plateau = Plateau()

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """To pydantic true is 1, and `epochs = true` one epoch."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError("expected another type")
        return value

    @field_validator("schedule")
    @classmethod
    def _schedule_is_in_range(cls, schedule: ScheduleKind, info: ValidationInfo) -> ScheduleKind:
        """Some bounds depend on the learning rate; without a valid one there is no telling."""
        if "optim" in info.data:
            schedule.build(info.data["optim"].lr, total_steps=1, warmup_steps=0)
        return schedule

    @property
    def looks_at_validation(self) -> bool:
        """Whether anything in the run depends on validation."""
        return bool(self.early_stopping.patience or self.plateau.patience or self.keep_best)

    def plain(self) -> dict[str, Any]:
        """The settings as plain values, without those that are None, which TOML cannot say."""
        return self.model_dump(mode="json", exclude_none=True)
