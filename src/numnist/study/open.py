"""From a name in a storage to the job that is kept there."""

from typing import Any

from numnist.data import Dataset
from numnist.errors import InputError
from numnist.study.job import Job, StudyJob
from numnist.study.plan import Plan
from numnist.study.queue import Queue
from numnist.study.search import SearchJob
from numnist.study.search_file import SearchFile, parse_search
from numnist.study.study_file import StudyFile, parse_study

Contents = StudyFile | SearchFile


def definition(contents: Contents, dataset: Dataset) -> dict[str, Any]:
    """What a study or a search is: whoever works at it has to agree with it."""
    kind = "study" if isinstance(contents, StudyFile) else "search"
    return {kind: contents.model_dump(mode="json", exclude_none=True), "data": dataset.fingerprint}


def job_of(queue: Queue) -> Job:
    """What is kept in a storage under the name of this queue: a worker elsewhere has no file of it.

    Raises: InputError where it is something else.
    """
    found = queue.definition
    if "study" in found:
        return StudyJob(Plan(queue.name, parse_study(found["study"], queue.name)))
    if "search" in found:
        return SearchJob(queue.name, parse_search(found["search"], queue.name), queue)
    raise InputError(f"study {queue.name}: this storage holds something else under that name")
