"""Pictures. Needs the extra `view` (matplotlib); nothing here is imported by what trains or predicts."""

from numnist.view.figures import save_figure
from numnist.view.mistakes import draw_mistakes
from numnist.view.trade import Point, draw_trade

__all__ = ["Point", "draw_mistakes", "draw_trade", "save_figure"]
