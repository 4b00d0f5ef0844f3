"""The fast executor: the function of `nn.Reference`, planned, in parallel, in memory of its own."""

from numnist.engine.batch import shard_bounds
from numnist.engine.choice import ExecutorName, make_executor
from numnist.engine.engine import Engine, available_cores
from numnist.engine.planner import Plan, plan
from numnist.engine.shared_model import share_parameters

__all__ = [
    "Engine",
    "ExecutorName",
    "Plan",
    "available_cores",
    "make_executor",
    "plan",
    "shard_bounds",
    "share_parameters",
]
