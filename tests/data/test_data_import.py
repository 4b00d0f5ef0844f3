import subprocess
import sys


def test_import_costs_little_more_than_numpy() -> None:
    """What is heavy, or used by few, is imported where it is used."""
    program = "import sys, numnist.data; print(*{name.partition('.')[0] for name in sys.modules})"
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert not {"pooch", "requests", "rich", "PIL", "matplotlib"} & set(output.split())
