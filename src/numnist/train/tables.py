"""Tables of the configuration, made from the dataclasses that they configure.

So a hyperparameter has its name, type and default in one place, and a new optimizer or schedule can be
configured as soon as it is registered.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import MISSING, fields
from inspect import getdoc
from typing import Annotated, Any, Literal, Union, get_type_hints

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    create_model,
    model_validator,
)

from numnist.data import Augmentation
from numnist.data.augment import NEUTRAL
from numnist.optim import OPTIMIZERS, SCHEDULES, Optimizer, Schedule, WarmUp


class Table(BaseModel):
    """A table of the configuration: frozen, and an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class OptimizerKind(Table):
    """A table that chooses an optimizer by its `kind`; the other fields are that one's, and lr."""

    kind: str
    lr: Annotated[float, Field(gt=0, description="learning rate: the highest that the schedule reaches")] = (
        0.01
    )

    @model_validator(mode="after")
    def _in_range(self) -> "OptimizerKind":
        self.build()
        return self

    def build(self) -> Optimizer:
        """The optimizer; ValueError naming the hyperparameter that is out of range."""
        return OPTIMIZERS[self.kind](**self.model_dump(exclude={"kind", "lr"}))


class ScheduleKind(Table):
    """A table that chooses a schedule by its `kind`; its other fields are that one's."""

    kind: str

    def build(self, lr: float, total_steps: int, warmup_steps: int) -> Schedule:
        """The schedule with lr as its highest rate, behind a warm-up if there is one.

        Raises: ValueError naming the hyperparameter that is out of range.
        """
        record = SCHEDULES[self.kind]
        follows = {"lr": lr, "peak": lr, "total_steps": max(1, total_steps - warmup_steps)}
        needed = {field.name: follows[field.name] for field in fields(record) if field.name in follows}
        schedule = record(**needed, **self.model_dump(exclude={"kind"}))
        return WarmUp(schedule, warmup_steps) if warmup_steps else schedule


class AugmentFields(Table):
    """The table that holds the fields of an `Augmentation`."""

    @model_validator(mode="after")
    def _in_range(self) -> "AugmentFields":
        self.build()
        return self

    def build(self) -> Augmentation:
        """The augmentation; ValueError naming the field that is out of range."""
        return Augmentation(**self.model_dump())


def field_definitions(record: type[Any], left_out: Container[str] = ()) -> dict[str, Any]:
    """A dataclass's fields as pydantic takes them: name -> (type, default, or ... where there is none).

    What the docstring says of a field, in a line of its own ("alpha: the share that stays"), is its help.
    """
    hints = get_type_hints(record, include_extras=True)
    words = dict(re.findall(r"^(\w+): (.+?)[.;]?$", getdoc(record) or "", re.MULTILINE))
    return {
        field.name: (
            Annotated[hints[field.name], Field(description=words.get(field.name))],
            ... if field.default is MISSING else field.default,
        )
        for field in fields(record)
        if field.name not in left_out
    }


def one_of(base: type[Table], registry: Mapping[str, type[Any]], left_out: Container[str] = ()) -> Any:
    """The type of a field that holds a table for one dataclass of several, told apart by `kind`."""
    tables = []
    for kind, record in registry.items():
        definitions = {"kind": (Literal[kind], kind), **field_definitions(record, left_out)}
        tables.append(create_model(record.__name__, __base__=base, **definitions))
    return Annotated[Union[tuple(tables)], Field(discriminator="kind")]  # noqa: UP007 -- made from a tuple


def around(neutral: float) -> BeforeValidator:
    """Lets one number r stand for the range from neutral - r to neutral + r."""

    def widen(value: Any) -> Any:
        if isinstance(value, list | tuple) and len(value) == 1:  # a flag's value comes as a list
            value = value[0]
        if isinstance(value, list | tuple) and len(value) == 2:
            return value
        try:
            r = float(value)
        except (TypeError, ValueError):
            raise ValueError("expected a number, or two with a comma between them") from None
        return (neutral - r, neutral + r)

    return BeforeValidator(widen)


OptimizerTable: Any = one_of(OptimizerKind, OPTIMIZERS)

# Rates and number of steps follow from the optimizer's table and the run; warm-up is a setting of its own.
ScheduleTable: Any = one_of(
    ScheduleKind,
    {kind: record for kind, record in SCHEDULES.items() if record is not WarmUp},
    left_out={"lr", "peak", "total_steps"},
)

_augment_fields: dict[str, Any] = {
    name: (Annotated[hint, around(NEUTRAL[name])] if name in NEUTRAL else hint, default)
    for name, (hint, default) in field_definitions(Augmentation).items()
}
AugmentTable: Any = create_model("Augment", __base__=AugmentFields, **_augment_fields)
