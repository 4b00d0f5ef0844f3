"""The house plan: who may import whom, and what importing costs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import numnist

PACKAGE = Path(numnist.__file__).parent

FLOOR = {"arrays", "errors", "files", "testing"}
"""Modules that belong to no room: everyone may stand on them, and they stand on nobody."""

MAY_IMPORT: dict[str, set[str]] = {
    "ops": set(),
    "optim": set(),
    "data": set(),
    "nn": {"ops"},
    "engine": {"nn", "ops"},
    "train": {"data", "engine", "nn", "ops", "optim"},
    "predict": {"data", "engine", "nn", "ops"},
    "view": {"data", "engine", "nn", "ops", "optim", "predict", "train"},
    "study": {"data", "engine", "nn", "ops", "optim", "train", "view"},
    "interop": {"data", "engine", "nn", "ops", "optim", "predict", "train"},
    "cli": {"data", "engine", "interop", "nn", "ops", "optim", "predict", "study", "train", "view"},
}

FRAMEWORKS = {"torch", "jax", "tensorflow", "scipy", "sklearn", "numba", "cupy"}
ALLOWED = {"study/statistics.py": {"scipy"}, "interop/sklearn.py": {"sklearn"}}
"""What is no mathematics of networks: Student's distribution, and a door to a framework."""

NUMPY_ALONE = {"ops", "optim"}


def modules() -> Iterator[tuple[str, Path]]:
    """Room (or module of the floor) and path of every module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        if len(place.parts) > 1:
            yield place.parts[0], path
        elif place.stem not in ("__init__", "__main__"):
            yield place.stem, path


def imports(path: Path) -> Iterator[str]:
    """Full name of every module that a file imports, wherever in the file."""
    package = ["numnist", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (
                [f"numnist.{alias.name}" for alias in node.names] if module == "numnist" else [module]
            )


@pytest.mark.parametrize(
    ("room", "path"), list(modules()), ids=lambda value: str(value).rpartition("numnist/")[2]
)
def test_imports_point_one_way(room: str, path: Path) -> None:
    for name in imports(path):
        top, _, rest = name.partition(".")
        assert top not in FRAMEWORKS - ALLOWED.get(path.relative_to(PACKAGE).as_posix(), set()), (
            f"{path.name} imports {name}"
        )
        if top != "numnist" or rest == "__version__":
            assert room not in NUMPY_ALONE or top in {"numpy", "numnist", *sys.stdlib_module_names}, name
            continue
        entered = rest.partition(".")[0]
        allowed = FLOOR - {room} if room in FLOOR else FLOOR | {room} | MAY_IMPORT[room]
        assert entered in allowed, (
            f"{path.relative_to(PACKAGE)} imports {name}: {room} may not enter {entered}"
        )


def test_every_room_has_its_rule() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert rooms <= set(MAY_IMPORT)


def loaded_by(statement: str) -> set[str]:
    """Top-level packages that a fresh process has loaded after a statement."""
    script = f"{statement}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_doors_ask_for_no_extra_until_they_are_opened() -> None:
    loaded = loaded_by(
        "import numnist.interop, numnist.interop.python, numnist.interop.torch, numnist.cli.export"
    )
    assert not loaded & {"onnx", "sklearn", "torch", "joblib", "google"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"numpy", "pydantic", "rich", "matplotlib", "PIL", "pooch", "requests", "safetensors"}
    assert not loaded_by("import numnist") & heavy


@pytest.mark.parametrize("room", ["ops", "optim", "data", "nn"])
def test_the_lower_rooms_load_numpy_and_little_else(room: str) -> None:
    heavy = {"pydantic", "rich", "matplotlib", "PIL", "pooch", "requests"}
    assert not loaded_by(f"import numnist.{room}") & heavy
