"""Tables of docs/distributed.md: what was measured, what is sent in a step, and where ranks stop paying."""

import math
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from rows import Row, markdown, rows

from numnist.arrays import Array
from numnist.engine import Engine, part_of
from numnist.nn import Model, Preprocess, build
from numnist.train import Stream, generator, recipes, resolve
from numnist.train.mpi import FLAGS

RANKS = (2, 4, 8, 16)

LEAST_GAIN = 1.1
"""A doubling of the ranks pays if steps become this many times faster at least."""


@dataclass
class Counting:
    """The reducer of the first of two ranks, as if the other had the same to say; counts what is sent."""

    rank: int = 0
    ranks: int = 2
    gathered: list[int] = field(default_factory=list)
    added: list[int] = field(default_factory=list)

    def gather(self, row: Array, all_rows: Array) -> None:
        """See `Reducer.gather`."""
        all_rows[...] = row
        self.gathered.append(row.nbytes)

    def add(self, values: Array, *numbers: float) -> tuple[float, ...]:
        """See `Reducer.add`."""
        self.added.append(values.nbytes + values.itemsize * (len(numbers) + FLAGS))
        return numbers


@cache
def sent(model: str, batch: int) -> Counting:
    """What a rank sends in one training step of this network on a batch."""
    preprocess = Preprocess()
    network = build(model, preprocess.input_shape, len(preprocess.classes))
    of_model = Model(network, preprocess).initialise(generator(0, Stream.INITIALISATION))
    counting = Counting()
    x = np.random.default_rng(0).standard_normal((batch, *preprocess.input_shape), dtype=np.float32)
    part = x[part_of(batch, counting.rank, counting.ranks)]
    Engine(of_model, threads=1, reducer=counting).loss_and_grads(part, np.arange(batch) % 10, None)
    return counting


@dataclass(frozen=True)
class Link:
    """How ranks are connected: seconds until a message without content has come, and bytes per second."""

    latency: float
    bandwidth: float

    def seconds(self, ranks: int, of_step: Counting) -> float:
        """What the messages of a step take: the formulas of docs/distributed.md."""
        rounds, others = math.log2(ranks), ranks - 1
        reduced = sum(
            2 * rounds * self.latency + 2 * others / ranks * size / self.bandwidth for size in of_step.added
        )
        gathered = sum(rounds * self.latency + others * size / self.bandwidth for size in of_step.gathered)
        return reduced + gathered


ETHERNET = Link(30e-6, 1.25e9)
"""10 Gbit/s at the rate of the wire, and an assumed latency: that of TCP between machines of one rack."""


QUIET = 0.2
"""Cores that other programs may keep busy while something is measured; above, it is provisional."""

MARK = "†"


def mark(table: str) -> str:
    """The table, and what its marks say where there are any."""
    return (
        f"{table}\n{MARK} Provisional: measured while other programs kept cores busy.\n"
        if MARK in table
        else table
    )


def is_quiet(row: Row) -> bool:
    """Whether the machine had little else to do."""
    return bool(row["busy_elsewhere"] <= QUIET)


def machine_mark() -> str:
    """The mark of what follows from the link of the machine that was measured."""
    of_link = [row for row in rows("distributed") if row["kind"] == "message" and row["what"] == "all-reduce"]
    return "" if all(map(is_quiet, of_link)) else MARK


def machine() -> Link:
    """The link between two ranks of the machine that was measured."""
    ms = {
        row["bytes"]: row["ms"]
        for row in rows("distributed")
        if row["kind"] == "message" and row["what"] == "all-reduce"
    }
    small, large = min(ms), max(ms)
    latency = ms[small] / 2e3
    return Link(latency, large / (ms[large] / 1e3 - 2 * latency))


def steps() -> dict[tuple[str, int, int, int], float]:
    """Milliseconds of a step by network, batch, ranks and cores of each: the newest rows."""
    return {
        (row["model"], row["batch"], row["ranks"], row["threads"]): row["ms"]
        for row in rows("distributed")
        if row["kind"] == "step"
    }


def step_marks() -> dict[tuple[str, int, int, int], str]:
    """The mark of each of these steps, or nothing."""
    return {
        (row["model"], row["batch"], row["ranks"], row["threads"]): "" if is_quiet(row) else MARK
        for row in rows("distributed")
        if row["kind"] == "step"
    }


def measured_table() -> str:
    """One rank and two, with a core each; and one with both."""
    ms, marks, lines = steps(), step_marks(), []
    for model, batch, ranks, _ in ms:
        if ranks != 2:
            continue
        one, two, both = ((model, batch, *how) for how in ((1, 1), (2, 1), (1, 2)))
        lines.append(
            [
                f"`{model}`",
                batch,
                f"{ms[one]:.2f} ms{marks[one]}",
                f"{ms[two]:.2f} ms{marks[two]}",
                f"{ms[one] / ms[two]:.2f}{marks[one] or marks[two]}",
                f"{ms[both]:.2f} ms{marks[both]}",
            ]
        )
    headings = ("network", "batch", "1 rank", "2 ranks", "ratio", "1 rank on both cores")
    return mark(markdown(headings, lines))


def links_table() -> str:
    """Latency and bandwidth of both links."""
    found = (
        ("two ranks on the machine measured", machine(), machine_mark()),
        ("10 Gbit/s Ethernet (assumed)", ETHERNET, ""),
    )
    lines = [
        [name, f"{1e6 * link.latency:.1f} µs{said}", f"{link.bandwidth / 1e9:.2f} GB/s{said}"]
        for name, link, said in found
    ]
    return mark(markdown(("link", "latency α", "bandwidth β"), lines))


def settings() -> list[tuple[str, str, int]]:
    """Recipe, network and batch of each recipe for a run."""
    found = [(name, resolve({}, name)[1]) for name in recipes()]
    return [(name, config.model, config.batch_size) for name, config in found]


def messages_table() -> str:
    """What a rank sends in a step of each recipe."""
    lines = []
    for recipe, model, batch in settings():
        of_step = sent(model, batch)
        lines.append(
            [
                f"`{recipe}`",
                f"`{model}`",
                batch,
                len(of_step.added),
                f"{sum(of_step.added):,}",
                len(of_step.gathered),
                f"{sum(of_step.gathered):,}",
            ]
        )
    headings = ("recipe", "network", "batch", "all-reduces", "bytes in them", "gatherings", "bytes in them")
    return markdown(headings, lines)


def pays_up_to(speed_ups: dict[int, float]) -> int:
    """The most ranks that can be doubled to with a gain of `LEAST_GAIN` each time."""
    best = 1
    for ranks, speed_up in speed_ups.items():
        if speed_up < LEAST_GAIN * (speed_ups[best] if best > 1 else 1):
            break
        best = ranks
    return best


def predicted_table(link: Link, of_link: str = "") -> str:
    """How many times faster a step of each recipe would be, by the model. of_link: the mark of the link."""
    ms, marks, lines = steps(), step_marks(), []
    for recipe, model, batch in settings():
        alone = ms[model, batch, 1, 1]
        speed_ups = {
            ranks: alone
            / (ms[model, -(-batch // ranks), 1, 1] + 1e3 * link.seconds(ranks, sent(model, batch)))
            for ranks in RANKS
        }
        most = pays_up_to(speed_ups)
        of_one = marks[model, batch, 1, 1]
        said = {ranks: of_link or of_one or marks[model, -(-batch // ranks), 1, 1] for ranks in RANKS}
        lines.append(
            [
                f"`{recipe}`",
                f"{alone:.2f} ms{of_one}",
                *(f"{speed_up:.2f}{said[ranks]}" for ranks, speed_up in speed_ups.items()),
                f"{most} rank{'s' if most > 1 else ''}{max(said.values())}",
            ]
        )
    headings = ("recipe", "1 rank", *(f"{ranks} ranks" for ranks in RANKS), "pays up to")
    return mark(markdown(headings, lines))


def machine_table() -> str:
    """On one machine, with a core for each rank."""
    return predicted_table(machine(), machine_mark())


def ethernet_table() -> str:
    """On machines that Ethernet connects."""
    return predicted_table(ETHERNET)
