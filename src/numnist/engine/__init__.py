"""The fast executor: the function of `nn.Reference`, planned, in parallel, in memory of its own."""

from numnist.engine.batch import shard_bounds
from numnist.engine.choice import ExecutorName, make_executor
from numnist.engine.engine import Engine, available_cores
from numnist.engine.planner import Plan, plan
from numnist.engine.reducer import ALONE, Alone, Reducer, part_of
from numnist.engine.shared_model import share_parameters

__all__ = [
    "ALONE",
    "Alone",
    "Engine",
    "ExecutorName",
    "Plan",
    "Reducer",
    "available_cores",
    "make_executor",
    "part_of",
    "plan",
    "shard_bounds",
    "share_parameters",
]
