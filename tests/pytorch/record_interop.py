"""Record what PyTorch makes of our model files, and what it writes: needs torch, and numnist with it.

    python tests/pytorch/record_interop.py

`ours.safetensors` is a model of ours with every kind of layer, `theirs.safetensors` the state_dict of the
same network after a few steps of training in PyTorch; interop.json has PyTorch's logits of both for the same
images. The first program of docs/interop.md is executed, and kept, so that a test sees when it changes.
"""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from numnist.arrays import Array
from numnist.interop.torch import load_state
from numnist.nn import Model, Preprocess, Reference, load_model, network_from, save_model
from numnist.predict import pretrained

HERE = Path(__file__).resolve().parent
SIZE, N, SEED, STEPS = (10, 9), 6, 5, 4

LAYERS = [
    {"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "padding": "same"},
    {"type": "BatchNorm"},
    {"type": "LeakyReLU", "slope": 0.1},
    {"type": "MaxPool2d", "size": 2},
    {
        "type": "Sequential",
        "layers": [
            {"type": "Conv2d", "out_channels": 6, "kernel_size": 2, "stride": 1, "padding": 1},
            {"type": "BatchNorm", "eps": 1e-3, "momentum": 0.3},
            {"type": "ReLU"},
            {"type": "AvgPool2d", "size": 2, "stride": 1},
        ],
    },
    {"type": "Softmax"},
    {"type": "GlobalAvgPool2d"},
    {"type": "Flatten"},
    {"type": "Linear", "out_features": 7},
    {"type": "BatchNorm"},
    {"type": "Tanh"},
    {"type": "Dropout", "rate": 0.25},
    {"type": "Linear", "out_features": 5},
    {"type": "Sigmoid"},
    {"type": "Linear", "out_features": 3},
    {"type": "LogSoftmax"},
]


def theirs() -> nn.Sequential:
    """The same in PyTorch: a layer of ours that is two of theirs is a Sequential, so that places agree."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding="same"), nn.BatchNorm2d(4), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
        nn.Sequential(nn.Conv2d(4, 6, 2, padding=1), nn.BatchNorm2d(6, eps=1e-3, momentum=0.3), nn.ReLU(), nn.AvgPool2d(2, 1)),
        nn.Softmax(-1), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Flatten(),
        nn.Linear(6, 7), nn.BatchNorm1d(7), nn.Tanh(), nn.Dropout(0.25), nn.Linear(7, 5), nn.Sigmoid(), nn.Linear(5, 3),
        nn.LogSoftmax(-1),
    )  # fmt: skip


def ours() -> Model:
    """Ours, with weights as if it had been trained."""
    preprocess = Preprocess(SIZE, 1 / 255, 0.1, 0.3, ("a", "b", "c"))
    model = Model(network_from(LAYERS, preprocess.input_shape, 3), preprocess)
    rng = np.random.default_rng(SEED)
    model.initialise(rng)
    model.parameters[...] += rng.normal(0, 0.2, model.parameters.size)
    model.buffers[...] = rng.uniform(0.5, 1.5, model.buffers.size)
    model.mark_changed()
    return model


def logits_of(network: nn.Sequential, x: Array) -> Array:
    network.eval()
    with torch.no_grad():
        return np.asarray(network(torch.from_numpy(x)).numpy())


def train(network: nn.Sequential) -> None:
    """A few steps, so that nothing is as it was at the beginning."""
    torch.manual_seed(SEED)
    optimizer = torch.optim.SGD(network.parameters(), 0.5)
    network.train()
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.nll_loss(network(torch.randn(8, 1, *SIZE)), torch.randint(0, 3, (8,))).backward()
        optimizer.step()


def first_program() -> str:
    """The first Python block of docs/interop.md that needs torch."""
    text = (HERE.parents[1] / "docs" / "interop.md").read_text(encoding="utf-8")
    blocks = (str(block) for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    return next(block for block in blocks if "import torch\n" in block)


def check_program(program: str) -> None:
    """Execute the program on the shipped cnn: its network must have our logits, and its file load into ours."""
    model = load_model(pretrained("pretrained:cnn"))
    x = model.preprocess(np.random.default_rng(SEED).integers(0, 256, (N, 28, 28)))
    expected = Reference(model).predict(x)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(pretrained("pretrained:cnn"), Path(folder) / "model.safetensors")
        os.chdir(folder)
        names: dict[str, object] = {}
        exec(compile(program, "docs/interop.md", "exec"), names)
        network = names["network"]
        assert isinstance(network, nn.Sequential)
        np.testing.assert_allclose(logits_of(network, x), expected, atol=1e-5 * np.abs(expected).max())
        model.parameters[...], model.buffers[...] = 0, 0
        load_state(model, Path("from-torch.safetensors"))
        np.testing.assert_array_equal(Reference(model).predict(x), expected)
        load_state(model, network.state_dict())
        os.chdir(HERE)


if __name__ == "__main__":
    x = np.random.default_rng(SEED).standard_normal((N, 1, *SIZE), np.float32)
    save_model(ours(), HERE / "ours.safetensors")
    network = theirs()
    network.load_state_dict(load_file(HERE / "ours.safetensors"), strict=True)
    of_ours = logits_of(network, x)
    train(network)
    save_file(network.state_dict(), HERE / "theirs.safetensors")
    of_theirs = logits_of(network, x)
    model = ours()
    for file, expected in (("ours", of_ours), ("theirs", of_theirs)):
        load_state(model, HERE / f"{file}.safetensors")
        np.testing.assert_allclose(Reference(model).predict(x), expected, atol=1e-5 * np.abs(expected).max())
    program = first_program()
    check_program(program)
    recorded = {
        "torch": torch.__version__,
        "n": N,
        "seed": SEED,
        "state_dict": {name: list(tensor.shape) for name, tensor in network.state_dict().items()},
        "logits": {"ours": of_ours.tolist(), "theirs": of_theirs.tolist()},
        "program": program,
    }
    (HERE / "interop.json").write_text(json.dumps(recorded, indent=1) + "\n")
    print(f"wrote interop.json with torch {torch.__version__}")
