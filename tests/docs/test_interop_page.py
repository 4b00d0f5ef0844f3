"""What docs/interop.md shows is executed, in its order; what needs torch has been, when it was recorded."""

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.numpy

from numnist.nn import load_model
from numnist.predict import pretrained

if TYPE_CHECKING:
    from tests.cli.conftest import Numnist

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "interop.md").read_text(encoding="utf-8")
RECORDED = json.loads((ROOT / "tests" / "pytorch" / "interop.json").read_text())


def blocks() -> list[tuple[str, str]]:
    """(language, text) of each block of code, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_the_program_for_torch_is_the_one_that_was_recorded() -> None:
    (program,) = (text for language, text in blocks() if language == "python" and "import torch\n" in text)
    assert program == RECORDED["program"], "run tests/pytorch/record_interop.py"


def test_every_other_block_runs(
    numnist: "Numnist", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    state: dict[str, Any] = dict(load_model(pretrained("pretrained:cnn")).named_arrays())
    counts = {f"{layer}.num_batches_tracked": np.array(7) for layer in (1, 5)}
    safetensors.numpy.save_file(state | counts, "from-torch.safetensors")
    for language, text in blocks():
        if language == "console":
            for line in text.splitlines():
                name, *arguments = shlex.split(line.removeprefix("$ "))
                assert name == "numnist"
                ended = numnist(*arguments)
                assert ended.status == 0, f"{line}: {ended}"
        elif language == "python" and "import torch\n" not in text:
            exec(compile(text, "docs/interop.md", "exec"), {})
    loaded = load_model(Path("mine.safetensors"))
    for name, array in loaded.named_arrays():
        np.testing.assert_array_equal(array, state[name])
