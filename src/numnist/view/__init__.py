"""Pictures. Needs the extra `view` (matplotlib); nothing here is imported by what trains or predicts."""

from numnist.view import saliency
from numnist.view.activations import draw_activations
from numnist.view.figures import save_figure
from numnist.view.filters import draw_filters
from numnist.view.maps import draw_augmentations, draw_embedding, draw_saliency, principal_components
from numnist.view.mistakes import draw_mistakes, worst_mistakes
from numnist.view.report import MOST_RUNS, write_report
from numnist.view.run_record import RunRecord
from numnist.view.saliency import last_features, methods_for
from numnist.view.trace import Stop, flat_layers, trace
from numnist.view.trade import Point, draw_trade

__all__ = [
    "MOST_RUNS",
    "Point",
    "RunRecord",
    "Stop",
    "draw_activations",
    "draw_augmentations",
    "draw_embedding",
    "draw_filters",
    "draw_mistakes",
    "draw_saliency",
    "draw_trade",
    "flat_layers",
    "last_features",
    "methods_for",
    "principal_components",
    "saliency",
    "save_figure",
    "trace",
    "worst_mistakes",
    "write_report",
]
