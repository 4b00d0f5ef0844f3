"""Layers, models, initialisers, the zoo, and the reference executor."""

from numnist.nn.activation import LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from numnist.nn.architectures import ARCHITECTURES, build
from numnist.nn.conv2d import Conv2d
from numnist.nn.description import LAYERS, network_from, network_from_toml
from numnist.nn.dropout import Dropout
from numnist.nn.executor import Executor, Reference, StepResult, Update
from numnist.nn.flatten import Flatten
from numnist.nn.initialisers import INITIALISERS, Initialiser
from numnist.nn.layer import Gradients, Layer
from numnist.nn.layout import Layout
from numnist.nn.linear import Linear
from numnist.nn.model import Model
from numnist.nn.model_file import load_model, load_notes, save_model
from numnist.nn.norm import BatchNorm
from numnist.nn.pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from numnist.nn.preprocess import Preprocess
from numnist.nn.sequential import Sequential
from numnist.nn.summary import SummaryRow, summarise
from numnist.nn.temperature import fit_temperature

__all__ = [
    "ARCHITECTURES",
    "INITIALISERS",
    "LAYERS",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Dropout",
    "Executor",
    "Flatten",
    "GlobalAvgPool2d",
    "Gradients",
    "Initialiser",
    "Layer",
    "Layout",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Model",
    "Preprocess",
    "ReLU",
    "Reference",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "StepResult",
    "SummaryRow",
    "Tanh",
    "Update",
    "build",
    "fit_temperature",
    "load_model",
    "load_notes",
    "network_from",
    "network_from_toml",
    "save_model",
    "summarise",
]
