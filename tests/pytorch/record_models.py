"""Record what PyTorch makes of the zoo's networks: python tests/pytorch/record_models.py (needs torch).

Weights and images come from NumPy's generator, so that the file need not hold them: only the logits in both
modes, the loss, the running statistics after a step, and of each gradient its sum, norm and first elements.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

N = 6
SEED = 7
SMOOTHING = 0.1


def convolution(c: int, o: int, k: int) -> list[nn.Module]:
    return [nn.Conv2d(c, o, k), nn.BatchNorm2d(o), nn.ReLU()]


NETWORKS = {
    "linear": nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
    "mlp:30,20": nn.Sequential(
        nn.Flatten(), nn.Linear(784, 30), nn.ReLU(), nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 10)
    ),
    "cnn": nn.Sequential(
        *convolution(1, 16, 5), nn.MaxPool2d(2), *convolution(16, 32, 5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10)
    ),
    "cnn-plain": nn.Sequential(
        nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(512, 10),
    ),
    "cnn_deep": nn.Sequential(
        *convolution(1, 16, 5), nn.MaxPool2d(2), *convolution(16, 32, 3), nn.MaxPool2d(2), *convolution(32, 64, 3),
        nn.Flatten(), nn.Linear(576, 10),
    ),
    "cnn_small": nn.Sequential(
        *convolution(1, 12, 3), *convolution(12, 12, 3), nn.MaxPool2d(2), *convolution(12, 16, 3), *convolution(16, 16, 3),
        nn.MaxPool2d(2), *convolution(16, 20, 3), nn.Flatten(), nn.Linear(80, 10),
    ),
    "cnn_large": nn.Sequential(
        *convolution(1, 32, 5), *convolution(32, 48, 3), *convolution(48, 48, 3), nn.MaxPool2d(2), *convolution(48, 96, 3),
        *convolution(96, 96, 3), *convolution(96, 128, 3), nn.Flatten(), nn.Linear(2048, 10),
    ),
}  # fmt: skip


def digest(gradient: Any) -> dict[str, Any]:
    flat = gradient.reshape(-1)
    return {"sum": float(flat.sum()), "norm": float(np.sqrt((flat**2).sum())), "first": flat[:5].tolist()}


def record(network: nn.Sequential) -> dict[str, Any]:
    network.double()
    rng = np.random.default_rng(SEED)
    for parameter in network.parameters():  # in the order of the names: 0.weight, 0.bias, ...
        parameter.data = torch.from_numpy(rng.normal(0, 0.1, tuple(parameter.shape)))
    x = torch.from_numpy(rng.standard_normal((N, 1, 28, 28)))
    y = torch.from_numpy(rng.integers(0, 10, N))
    network.train()
    logits = network(x)
    loss = nn.functional.cross_entropy(logits, y, label_smoothing=SMOOTHING)
    loss.backward()
    gradients = {name: digest(parameter.grad.numpy()) for name, parameter in network.named_parameters()}
    buffers = {name: buffer.tolist() for name, buffer in network.named_buffers() if "num_batches" not in name}
    network.eval()
    return {
        "state_dict": [name for name in network.state_dict() if "num_batches" not in name],
        "loss": loss.item(),
        "training_logits": logits.detach().tolist(),
        "gradients": gradients,
        "buffers": buffers,
        "evaluation_logits": network(x).detach().tolist(),
    }


if __name__ == "__main__":
    recorded = {"torch": torch.__version__, "n": N, "seed": SEED, "label_smoothing": SMOOTHING}
    recorded["networks"] = {name: record(network) for name, network in NETWORKS.items()}
    path = Path(__file__).with_name("models.json")
    path.write_text(json.dumps(recorded, indent=1) + "\n")
    print(f"wrote {path.name}, {path.stat().st_size} bytes")
