"""The Python door: what it writes runs without us, and cannot be made to run anything else."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.layers import FLATTEN, Description, conv, linear
from tests.engine.networks import CLASSES, networks
from tests.interop.models import ZOO, digits, fair_logits, logits_of, model_of, require_close, with_a_square

from numnist.interop.python import to_python, write_python
from numnist.nn import Preprocess, load_model
from numnist.predict import Predictor, pretrained


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numpy_alone(folder: Path) -> list[str]:
    """A command that runs Python with NumPy and the standard library, and nothing else to import."""
    packages = Path(np.__file__).parents[1]
    only = folder / "only"
    only.mkdir()
    for name in ("numpy", "numpy.libs"):
        if (packages / name).exists():
            (only / name).symlink_to(packages / name)
    start = f"import runpy, sys; sys.path.append({str(only)!r}); del sys.argv[0]; "
    start += "runpy.run_path(sys.argv[0], run_name='__main__')"
    return [sys.executable, "-I", "-S", "-c", start]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


ASK_ALL = """
import importlib.util, sys
from pathlib import Path
import numpy as np
assert importlib.util.find_spec("numnist") is None
folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
images = np.load(folder / "images.npy")
for path in sorted(folder.glob("digit_*.py")):
    np.save(path.with_suffix(".out.npy"), __import__(path.stem).logits(images))
"""


def test_the_zoo_without_numnist(tmp_path: Path) -> None:
    images = digits(100)
    np.save(tmp_path / "images.npy", images)
    (tmp_path / "ask.py").write_text(ASK_ALL)
    models = [model_of(name) for name in ZOO]
    for number, model in enumerate(models):
        write_python(model, tmp_path / f"digit_{number}.py")
    done = run([*numpy_alone(tmp_path), str(tmp_path / "ask.py"), str(tmp_path)])
    assert (done.returncode, done.stderr) == (0, "")
    for number, model in enumerate(models):
        found = np.load(tmp_path / f"digit_{number}.out.npy")
        require_close(found, logits_of(model, images))


@pytest.mark.parametrize("name", ZOO)
def test_a_page_of_well_formed_python_with_what_it_needs_and_no_more(tmp_path: Path, name: str) -> None:
    path = tmp_path / "digit.py"
    write_python(model_of(name), path)
    text = path.read_text()
    assert len(text.splitlines()) < 100
    for command in (["format", "--check"], ["check", "--select", "E,F,W,I,B,UP,D1,RUF"]):
        done = run([sys.executable, "-m", "ruff", *command, "--isolated", str(path)])
        assert done.returncode == 0, done.stdout
    functions = {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    assert ("conv2d" in functions) == name.startswith("cnn")
    assert ("batch_norm" in functions) == (name.startswith("cnn") and name != "cnn-plain")
    assert ("relu" in functions) == (name != "linear")
    assert not functions & {"tanh", "sigmoid", "leaky_relu", "avg_pool2d", "log_softmax"}
    for function in functions - {"logits", "predict"}:
        assert text.count(f"{function}(") >= 2, f"{function} is never called"


@settings(max_examples=60)
@given(network=networks(), n=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_any_network(
    tmp_path_factory: pytest.TempPathFactory,
    network: tuple[list[Description], tuple[int, int]],
    n: int,
    seed: int,
) -> None:
    layers, size = network
    model = model_of(layers, size, seed, CLASSES)
    images = np.random.default_rng(seed).integers(0, 256, (n, *size), dtype=np.uint8)
    expected = fair_logits(model, images)
    path = tmp_path_factory.mktemp("any") / "net.py"
    write_python(model, path)
    require_close(imported(path).logits(images), expected)


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
def test_softmax_inside_a_network_is_along_the_last_axis(tmp_path: Path, kind: str) -> None:
    layer = {"type": kind}
    model = model_of([conv(3, 3), layer, FLATTEN, linear(5), layer, linear(4)], (6, 5), 0, 4)
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 5), dtype=np.uint8)
    write_python(model, tmp_path / "net.py")
    require_close(imported(tmp_path / "net.py").logits(images), logits_of(model, images))


def test_probabilities_are_ours(tmp_path: Path) -> None:
    model = load_model(pretrained("pretrained:record"))
    assert model.temperature != 1
    write_python(model, tmp_path / "digit.py")
    images = digits(50)
    expected = Predictor(model).probabilities(images)
    np.testing.assert_allclose(imported(tmp_path / "digit.py").predict(images), expected, atol=1e-5)


def test_its_command_line(tmp_path: Path) -> None:
    model = load_model(pretrained("pretrained:cnn"))
    write_python(model, tmp_path / "digit.py")
    images = digits(3)
    np.save(tmp_path / "one.npy", images[0])
    np.save(tmp_path / "three.npy", images)
    python = numpy_alone(tmp_path)
    expected = [f"{each.label} {each.probability:.1%}" for each in Predictor(model).predict(images)]
    for name, lines in (("one", expected[:1]), ("three", expected)):
        done = run([*python, str(tmp_path / "digit.py"), str(tmp_path / f"{name}.npy")])
        assert (done.stderr, done.stdout.splitlines()) == ("", lines)
    done = run([*python, str(tmp_path / "digit.py")])
    assert (done.returncode, done.stderr) == (1, f"usage: python {tmp_path / 'digit.py'} image.npy\n")


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    write_python(model_of("linear"), tmp_path / "digit.py")
    with pytest.raises(ValueError, match=r"expected images \(N, 28, 28\), got \(2, 8, 8\)"):
        imported(tmp_path / "digit.py").predict(np.zeros((2, 8, 8)))


@given(
    names=st.lists(
        st.one_of(
            st.text(max_size=12),
            st.sampled_from(['"', "'", '"""', "\\", "{H}", '"]\nexit()', "\u2028", "\ud800"]),
        ),
        min_size=1,
        max_size=12,
        unique=True,
    )
)
def test_names_of_classes_stay_in_their_strings(names: list[str]) -> None:
    model = model_of("linear", classes=len(names))
    plain = to_python(model)
    model.preprocess = Preprocess((28, 28), 1 / 255, 0.125, 0.3, tuple(names))
    text = to_python(model)
    text.encode("ascii")
    trees = [ast.parse(each) for each in (plain, text)]
    for tree in trees:
        (assigned,) = (
            node for node in tree.body if isinstance(node, ast.Assign) and "CLASSES" in ast.dump(node)
        )
        if tree is trees[1]:
            assert ast.literal_eval(assigned.value) == names
        tree.body.remove(assigned)
    assert ast.dump(trees[0]) == ast.dump(trees[1])


@pytest.mark.parametrize(
    "names", [["a"], ["it's", 'a "b"'], ["both ' and \"", "ö"], [f"class number {n}" for n in range(40)]]
)
def test_names_of_classes_are_written_as_a_formatter_would(tmp_path: Path, names: list[str]) -> None:
    model = model_of("linear", classes=len(names))
    model.preprocess = Preprocess((28, 28), classes=tuple(names))
    (tmp_path / "digit.py").write_text(to_python(model))
    done = run([sys.executable, "-m", "ruff", "format", "--check", "--isolated", str(tmp_path / "digit.py")])
    assert done.returncode == 0, done.stdout


def test_a_layer_that_it_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^layer 0\.1 \(Square\): the Python file has no such layer$"):
        write_python(with_a_square(), tmp_path / "digit.py")
    with pytest.raises(ValueError, match=r"expected a file ending in \.py, got .*digit\.npz"):
        write_python(model_of("linear"), tmp_path / "digit.npz")
    assert not list(tmp_path.iterdir())
