"""From a name in a storage to the job that is kept there."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from numnist.data import Dataset
from numnist.errors import InputError
from numnist.study.job import Job, StudyJob
from numnist.study.plan import Plan
from numnist.study.queue import Queue
from numnist.study.search import SearchJob
from numnist.study.search_file import SearchFile, parse_search
from numnist.study.study_file import StudyFile, parse_study


def definition(what: Plan | SearchFile, dataset: Dataset) -> dict[str, Any]:
    """What a study or a search is: whoever works at it has to agree with it.

    Raises: InputError where a network's file cannot be read.
    """
    contents: StudyFile | SearchFile
    kind, contents = ("study", what.study) if isinstance(what, Plan) else ("search", what)
    return {
        kind: contents.model_dump(mode="json", exclude_none=True),
        "data": dataset.fingerprint,
        "networks": networks(what.models()),
    }


def networks(models: Iterable[str]) -> dict[str, str]:
    """The files that describe networks, with the SHA-256 of each; InputError where one is not there."""
    found = {}
    for path in sorted({Path(model) for model in models if model.endswith(".toml")}):
        try:
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise InputError(f"{path}: expected the description of a network: {error.strerror}") from error
    return found


def check_networks(queue: Queue) -> None:
    """InputError where a network's file is another one here than where the study was begun."""
    begun: dict[str, str] = queue.definition.get("networks", {})
    for path, digest in networks(begun).items():
        if begun[path] != digest:
            raise InputError(f"{path}: not the network that study {queue.name} was begun with")


def job_of(queue: Queue) -> Job:
    """What is kept in a storage under the name of this queue: a worker elsewhere has no file of it.

    Raises: InputError where it is something else, or a network differs from that file here.
    """
    check_networks(queue)
    found = queue.definition
    if "study" in found:
        return StudyJob(Plan(queue.name, parse_study(found["study"], queue.name)))
    if "search" in found:
        return SearchJob(queue.name, parse_search(found["search"], queue.name), queue)
    raise InputError(f"study {queue.name}: this storage holds something else under that name")
