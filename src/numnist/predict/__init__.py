"""Asking models: predictions, how sure they are, how sure they should be, and the models that ship."""

from numnist.predict.calibration import Reliability, Selection, reliability, selection
from numnist.predict.predictor import Prediction, Predictor
from numnist.predict.pretrained import pretrained, pretrained_models
from numnist.predict.views import views

__all__ = [
    "Prediction",
    "Predictor",
    "Reliability",
    "Selection",
    "pretrained",
    "pretrained_models",
    "reliability",
    "selection",
    "views",
]
