"""What is wrong with settings, in the words of an estimator's parameters."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from numnist.train.config_errors import Sources, in_one_line

PARAMETERS = {"optim.lr": "learning_rate", "optim": "optimizer"}
"""Parameters of an estimator that have another name than the setting."""


def in_parameters(error: ValidationError, settings: Mapping[str, Any]) -> str:
    """The first of pydantic's errors, in one line that begins with the parameter: "epochs: expected ..."."""
    place, colon, words = in_one_line(error, Sources(settings, settings, {}, "", "")).partition(": ")
    setting = place.removeprefix("--").replace("-", "_")
    table = setting.partition(".")[0]
    return PARAMETERS.get(setting, PARAMETERS.get(table, table)) + colon + words
