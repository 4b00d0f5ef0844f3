"""An estimator's parameters as the settings of a run."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from numnist.train import Config
from numnist.train.config_errors import Sources, in_one_line

PARAMETERS = {"optim.lr": "learning_rate", "optim": "optimizer"}
"""Parameters of an estimator that have another name than the setting."""


def settings_of(parameters: Mapping[str, Any]) -> Config:
    """The settings that parameters stand for; numbers may be NumPy's, as a grid of parameters has them.

    optimizer, schedule: a kind, or a table with a kind. learning_rate, augment: may be None.
    Raises: ValueError, one line that begins with the parameter: "epochs: expected at least 1, got 0".
    """
    values = {
        name: value.item() if isinstance(value, np.generic) else value for name, value in parameters.items()
    }
    optimizer, schedule = (
        {"kind": table} if isinstance(table, str) else table
        for table in (values.pop("optimizer"), values.pop("schedule"))
    )
    rate, augment = values.pop("learning_rate"), values.pop("augment")
    if rate is not None and isinstance(optimizer, Mapping):
        optimizer = {**optimizer, "lr": rate}
    settings = {
        **values,
        "optim": optimizer,
        "schedule": schedule,
        "augment": {} if augment is None else augment,
    }
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise ValueError(_in_parameters(error, settings)) from error


def _in_parameters(error: ValidationError, settings: Mapping[str, Any]) -> str:
    """The first of pydantic's errors, in the words of an estimator's parameters."""
    place, colon, words = in_one_line(error, Sources(settings, settings, {}, "", "")).partition(": ")
    setting = place.removeprefix("--").replace("-", "_")
    table = setting.partition(".")[0]
    return PARAMETERS.get(setting, PARAMETERS.get(table, table)) + colon + words
