"""One contender of PyTorch or onnxruntime in a process of its own; `peers.Worker` starts it (see `turns`).

It runs in an environment that has torch and need not have numnist: the network comes as the layers that
`Sequential.describe` gives, weights and images as an .npz file. A job's `kind` is what is timed:

    train   a training step: forward, loss, backward, Adam. variant: eager, channels_last, compile
    infer   the logits of images. variant: the same, jit_trace, onnxruntime

or `epoch`, which is not timed: train for an epoch and test, as `numnist train --epochs 1` does.
"""

import importlib
import warnings
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from turns import Turn, fastest, serve, sweep, warmed_up

Job = dict[str, Any]

RATE = 1e-3
"""Learning rate; it does not change how long a step takes."""

EVALUATION_BATCH = 1024
"""Images at once in the evaluation of `epoch`, as ours."""


def modules(layers: list[dict[str, Any]]) -> list[Any]:
    """PyTorch's counterparts of the layers of the zoo, from their descriptions."""
    flat = False
    made: list[Any] = []
    for layer in layers:
        kind, values = layer["type"], {name: value for name, value in layer.items() if name != "type"}
        if kind == "BatchNorm":
            made.append((nn.BatchNorm1d if flat else nn.BatchNorm2d)(**values))
        elif kind == "MaxPool2d":
            made.append(nn.MaxPool2d(values["size"], values["stride"]))
        elif kind in ("Conv2d", "Linear", "ReLU", "Flatten"):
            made.append(getattr(nn, kind)(**values))
        else:
            raise ValueError(f"{kind} has no counterpart here")
        flat = flat or kind == "Flatten"
    return made


def load(job: Job) -> tuple[Any, Any, Any]:
    """Model, x and y as they were written, in the memory format of the variant."""
    torch.set_num_threads(job["threads"])
    arrays = np.load(job["arrays"])
    model = nn.Sequential(*modules(job["layers"]))
    prefix = "state."
    state = {name.removeprefix(prefix): arrays[name] for name in arrays.files if name.startswith(prefix)}
    loaded = model.load_state_dict({name: torch.from_numpy(a) for name, a in state.items()}, strict=False)
    assert not loaded.unexpected_keys, loaded
    assert all(name.endswith("num_batches_tracked") for name in loaded.missing_keys), loaded
    x, y = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])
    if job.get("variant") == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    return model, x, y


def training_step(model: Any, compiled: bool) -> Callable[[Any, Any], Any]:
    """One step on a batch; returns its loss."""

    def loss_of(x: Any, y: Any) -> Any:
        return nn.functional.cross_entropy(model(x), y)

    forward = torch.compile(loss_of, dynamic=False) if compiled else loss_of
    # The fastest of its implementations on a CPU; the default one is a loop in Python.
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    model.train()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = forward(x, y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def train(job: Job) -> tuple[Turn, dict[str, Any]]:
    """A training step on one batch after another; all contenders must agree on the loss of the first."""
    model, x, y = load(job)
    step = training_step(model, job["variant"] == "compile")
    size = job["batch"]
    batches = cycle([(x[i : i + size], y[i : i + size]) for i in range(0, len(x) - size + 1, size)])

    def next_step() -> float:
        loss: float = step(*next(batches)).item()
        return loss

    facts = {"loss": next_step(), "torch": torch.__version__}
    return warmed_up(next_step), facts


def infer(job: Job) -> tuple[Turn, dict[str, Any]]:
    """The logits of all images; they are written to `logits` once, to be compared."""
    model, x, _ = load(job)
    model.eval()
    variant, facts = job["variant"], {"torch": torch.__version__}
    predict = model
    if variant == "compile":
        predict = torch.compile(model, dynamic=False)
    elif variant == "jit_trace":
        with torch.no_grad():
            predict = torch.jit.freeze(torch.jit.trace(model, x[: job["sizes"][0]]))
    elif variant == "onnxruntime":
        predict = onnx_session(model, x[:1], Path(job["logits"]).with_suffix(".onnx"), job["threads"])
        x, facts = x.numpy(), {"onnxruntime": importlib.import_module("onnxruntime").__version__}

    with torch.inference_mode():
        size = fastest(job["sizes"], predict, x)
        np.save(job["logits"], np.concatenate([np.asarray(part) for part in sweep(predict, x, size)]))
        turn = warmed_up(lambda: sweep(predict, x, size))
    return torch.inference_mode()(turn), {"batch": size, **facts}


def onnx_session(model: Any, example: Any, path: Path, threads: int) -> Callable[[Any], Any]:
    """The model in onnxruntime: from images (N, 1, H, W) to logits, both of NumPy."""
    runtime = importlib.import_module("onnxruntime")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the newer exporter needs one more package
        torch.onnx.export(
            model, (example,), str(path), dynamo=False,
            input_names=["x"], output_names=["logits"], dynamic_axes={"x": {0: "N"}, "logits": {0: "N"}},
        )  # fmt: skip
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]


def epoch(job: Job) -> tuple[Turn, dict[str, Any]]:
    """Train for an epoch on grey images of bytes, then count what is right of validation and test images."""
    model, _, _ = load(job)
    splits = {name: dict(np.load(Path(job["images"]) / f"{name}.npz")) for name in ("train", "val", "test")}
    step, size = training_step(model, compiled=False), job["batch"]

    def prepared(images: Any) -> Any:
        x = images[:, np.newaxis].astype(np.float32)
        x *= np.float32(1 / 255)
        x -= np.float32(job["mean"])
        x /= np.float32(job["std"])
        return torch.from_numpy(x)

    def accuracy(images: Any, labels: Any) -> float:
        parts = [slice(first, first + EVALUATION_BATCH) for first in range(0, len(images), EVALUATION_BATCH)]
        with torch.inference_mode():
            answers = np.concatenate([model(prepared(images[part])).argmax(1).numpy() for part in parts])
        return float((answers == labels).mean())

    images, labels = splits["train"]["images"], splits["train"]["labels"]
    order = np.random.default_rng(0).permutation(len(images))
    for first in range(0, len(order), size):
        chosen = order[first : first + size]
        step(prepared(images[chosen]), torch.from_numpy(labels[chosen]))
    model.eval()
    accuracies = {f"{name}_accuracy": accuracy(**splits[name]) for name in ("val", "test")}
    return lambda _: {}, {**accuracies, "torch": torch.__version__}


KINDS = {"train": train, "infer": infer, "epoch": epoch}

if __name__ == "__main__":
    serve(lambda job: KINDS[job["kind"]](job))
