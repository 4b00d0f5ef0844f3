"""Training: the loop, its state, callbacks, metrics, settings and recipes, and the folder of a run."""

from numnist.train.batches import TrainingImages
from numnist.train.callbacks import Callback, EarlyStopping, KeepBest, ReduceOnPlateau
from numnist.train.checkpoint import load_checkpoint, save_checkpoint
from numnist.train.config import Config
from numnist.train.divergence import DivergenceError
from numnist.train.ensembles import Ensemble, ensembles
from numnist.train.lock import RunIsGoingOnError
from numnist.train.loop import Trainer
from numnist.train.metrics import Evaluation, evaluate
from numnist.train.mpi import MPIRanks, launched
from numnist.train.prepare import Run, last_batch_problem, new_model, prepare, set_up
from numnist.train.ranks import ONE_RANK, OtherRankError, Ranks, on_the_first, together
from numnist.train.run import Outcome, require_same, train
from numnist.train.run_folder import RunFolder
from numnist.train.sources import recipe_words, recipes, resolve, to_toml
from numnist.train.state import EpochReport, StepReport, TrainState
from numnist.train.streams import Stream, generator
from numnist.train.tensorboard import TensorBoard

__all__ = [
    "ONE_RANK",
    "Callback",
    "Config",
    "DivergenceError",
    "EarlyStopping",
    "Ensemble",
    "EpochReport",
    "Evaluation",
    "KeepBest",
    "MPIRanks",
    "OtherRankError",
    "Outcome",
    "Ranks",
    "ReduceOnPlateau",
    "Run",
    "RunFolder",
    "RunIsGoingOnError",
    "StepReport",
    "Stream",
    "TensorBoard",
    "TrainState",
    "Trainer",
    "TrainingImages",
    "ensembles",
    "evaluate",
    "generator",
    "last_batch_problem",
    "launched",
    "load_checkpoint",
    "new_model",
    "on_the_first",
    "prepare",
    "recipe_words",
    "recipes",
    "require_same",
    "resolve",
    "save_checkpoint",
    "set_up",
    "to_toml",
    "together",
    "train",
]
