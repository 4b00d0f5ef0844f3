"""Studies: factors, levels and seeds, run by any number of workers, and what they say; searches."""

from numnist.study.analysis import Analysis, Comparison, Judged
from numnist.study.crew import Progress, WorkersDied, end_with_the_input, progress, run_workers
from numnist.study.job import Job, StudyJob
from numnist.study.open import definition, job_of
from numnist.study.plan import Cell, Plan, Row, Trial
from numnist.study.queue import Claim, Queue
from numnist.study.records import read_rows, write_rows
from numnist.study.report import page, settings_in_words
from numnist.study.search import SearchJob
from numnist.study.search_file import SearchFile, parse_search, read_search
from numnist.study.statistics import Difference, Summary, holm
from numnist.study.storage import open_storage, while_it_is_reached
from numnist.study.study_file import Factor, Level, StudyFile, parse_study, read_study, shipped
from numnist.study.trial import Interrupted, Measured, run_trial
from numnist.study.worker import Worker

__all__ = [
    "Analysis",
    "Cell",
    "Claim",
    "Comparison",
    "Difference",
    "Factor",
    "Interrupted",
    "Job",
    "Judged",
    "Level",
    "Measured",
    "Plan",
    "Progress",
    "Queue",
    "Row",
    "SearchFile",
    "SearchJob",
    "StudyFile",
    "StudyJob",
    "Summary",
    "Trial",
    "Worker",
    "WorkersDied",
    "definition",
    "end_with_the_input",
    "holm",
    "job_of",
    "open_storage",
    "page",
    "parse_search",
    "parse_study",
    "progress",
    "read_rows",
    "read_search",
    "read_study",
    "run_trial",
    "run_workers",
    "settings_in_words",
    "shipped",
    "while_it_is_reached",
    "write_rows",
]
