"""Asking a model: predictions with their probabilities, and the models that ship with the package."""

from numnist.predict.predictor import Prediction, Predictor
from numnist.predict.pretrained import pretrained, pretrained_models

__all__ = ["Prediction", "Predictor", "pretrained", "pretrained_models"]
