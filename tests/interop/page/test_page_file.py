"""What is written, and what is refused."""

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from numnist.arrays import Array, Shape
from numnist.errors import InputError
from numnist.interop.page import MOST_MODELS, write_page
from numnist.interop.page.models import described
from numnist.interop.page.samples import PER_DIGIT, sample_strokes
from numnist.interop.page.write import FILES, SCRIPTS
from numnist.nn import Flatten, Layer, Linear, Model, Preprocess, Sequential, build, load_model
from numnist.predict import pretrained
from numnist.train import Stream, generator


def small(size: tuple[int, int] = (28, 28), **preprocess: Any) -> Model:
    made = Preprocess(size, **preprocess)
    network = build("linear", made.input_shape, len(made.classes))
    return Model(network, made).initialise(generator(0, Stream.INITIALISATION))


def test_one_file_of_the_promised_size(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    model = load_model(pretrained("pretrained:cnn-best"))
    assert write_page([model], ["cnn-best"], out) == out
    first = out.read_bytes()
    assert len(first) <= 1_500_000
    assert b"://" not in first.replace(b"https://example", b"")
    assert not re.search(rb"\{\{[A-Z]+\}\}|^import |^export ", first, re.MULTILINE)
    assert b"unsafe" not in first
    write_page([model], ["cnn-best"], out)
    assert out.read_bytes() == first


def test_weights_are_float32_in_base64() -> None:
    model = small()
    made = described(model, "own")
    weights = np.frombuffer(base64.b64decode(made["weights"]), "<f4")
    [_, linear] = made["layers"]
    begin, end = linear["tensors"]["weight"]
    assert (weights[begin:end] == model.named_parameters()["1.weight"].reshape(-1)).all()
    assert len(weights) == model.layout.size


@dataclass(eq=False)
class Doubled(Layer):
    """A layer that the page knows nothing of."""

    per_sample: ClassVar[bool] = True

    def forward(self, x: Array, training: bool, rng: Any) -> tuple[Array, None]:
        return 2 * x, None

    def backward(self, dy: Array, cache: None) -> tuple[Array, dict[str, Array]]:
        return 2 * dy, {}

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


@dataclass(eq=False)
class ReLU(Doubled):
    """One that has the name of one that it knows."""


@pytest.mark.parametrize("layer", [Doubled, ReLU])
def test_a_layer_that_cannot_be_carried_is_named(tmp_path: Path, layer: type[Layer]) -> None:
    network = Sequential([Sequential([Flatten(), layer()]), Linear(784, 10)])
    with pytest.raises(InputError, match=rf"^mine: layer 0\.1, {layer.__name__}, cannot go into a page$"):
        write_page([Model(network, Preprocess())], ["mine"], tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_models_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    with pytest.raises(InputError, match=r"^a, b: .*image_size \(28, 28\) and \(20, 20\)"):
        write_page([small(), small((20, 20))], ["a", "b"], out)
    with pytest.raises(InputError, match=r"^a, b: .*classes"):
        write_page([small(), small(classes=tuple("abcdefghij"))], ["a", "b"], out)
    with pytest.raises(InputError, match=r"^own: expected a model trained on bytes \(0 to 255\)"):
        write_page([small(scale=1.0)], ["own"], out)
    for models, names in (([], []), ([small()] * 2, ["a", "a"]), ([small()], ["a", "b"])):
        with pytest.raises(ValueError, match=f"expected 1 to {MOST_MODELS} models of different names"):
            write_page(models, names, out)
    assert not out.exists()
    with pytest.raises(OSError, match="no"):
        write_page([small()], ["a"], tmp_path / "no" / "page.html")


def test_a_name_that_is_no_utf8_is_written_as_far_as_it_can_be(tmp_path: Path) -> None:
    page = write_page([small()], ["caf\udce9"], tmp_path / "page.html").read_text("utf-8")
    assert "<title>numnist: caf?</title>" in page
    assert '"name":"caf?"' in page


def test_the_temperature_may_be_numpys(tmp_path: Path) -> None:
    model = small()
    temperature: Any = np.float32(1.5)
    model.temperature = temperature
    assert '"temperature":1.5' in write_page([model], ["own"], tmp_path / "page.html").read_text("utf-8")


def test_samples_are_strokes_of_every_digit() -> None:
    samples = sample_strokes()
    assert list(samples) == list("0123456789")
    for choices in samples.values():
        assert len(choices) == PER_DIGIT
        assert len({str(strokes) for strokes in choices}) == PER_DIGIT
        for strokes in choices:
            assert all(len(stroke) % 2 == 0 and len(stroke) >= 4 for stroke in strokes)
            assert min(map(min, strokes)) >= -20
            assert max(map(max, strokes)) <= 120
    assert len(samples["4"][0]) == 2  # the pen is lifted
    assert len(samples["7"][0]) == 1  # it turns a corner without


def test_the_modules_are_all_there_and_build_on_those_above() -> None:
    present = {path.name for path in FILES.iterdir() if path.name.endswith(".js")}
    assert present == set(SCRIPTS)
    names: set[str] = set()
    for number, script in enumerate(SCRIPTS):
        text = (FILES / script).read_text("utf-8")
        assert len(text.splitlines()) <= 300
        assert set(re.findall(r'from "\./(.*)";', text)) <= set(SCRIPTS[:number])
        own = re.findall(r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)", text, re.MULTILINE)
        assert not names & set(own)
        names |= set(own)
