"""The models that ship with the package, by name: `pretrained:cnn`."""

from pathlib import Path

from numnist.errors import InputError, unknown

PREFIX = "pretrained:"
FOLDER = Path(__file__).resolve().parent.parent / "pretrained"


def pretrained_models() -> list[str]:
    """The names of the shipped models, with their prefix."""
    return sorted(PREFIX + path.stem for path in FOLDER.glob("*.safetensors"))


def pretrained(name: str) -> Path:
    """The file of a shipped model; InputError with the nearest name when there is none of this name."""
    if name not in pretrained_models():
        raise InputError(unknown("model", name, pretrained_models()))
    return FOLDER / f"{name.removeprefix(PREFIX)}.safetensors"
