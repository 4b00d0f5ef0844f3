"""Studies: factors, levels and seeds, run by any number of workers, and what they say."""

from numnist.study.plan import Cell, Plan, Row, Trial
from numnist.study.queue import Queue
from numnist.study.records import read_rows, write_rows
from numnist.study.storage import open_storage
from numnist.study.study_file import Claim, Factor, Level, StudyFile, parse_study, read_study, shipped
from numnist.study.trial import Interrupted, Measured, run_trial
from numnist.study.worker import Worker, definition, plan_of

__all__ = [
    "Cell",
    "Claim",
    "Factor",
    "Interrupted",
    "Level",
    "Measured",
    "Plan",
    "Queue",
    "Row",
    "StudyFile",
    "Trial",
    "Worker",
    "definition",
    "open_storage",
    "parse_study",
    "plan_of",
    "read_rows",
    "read_study",
    "run_trial",
    "shipped",
    "write_rows",
]
