"""Make the project's virtual environment from pinned, hashed requirements; the Makefile calls this.

    python3 tools/environment.py requirements/run.txt [requirements/develop.txt ...]

The environment is made from the first file, unless it is there and up to date with any of them.

Only the standard library is used, and only syntax that an old Python 3 can read, so that it can say
in one line what is missing instead of failing with a SyntaxError.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST = (3, 11)


def stop(message: str) -> None:
    """End with one line on stderr and exit status 2."""
    sys.stderr.write("numnist: " + message + "\n")
    sys.exit(2)


def venv_python() -> Path:
    """Path of the environment's interpreter on this system."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def interpreter() -> str:
    """The Python to make the environment with: not its own, which goes with the old one."""
    active = Path(sys.prefix).resolve() == VENV.resolve()
    return getattr(sys, "_base_executable", sys.executable) if active else sys.executable


def fingerprint(requirements: Path) -> str:
    """What the environment is made from: change any of it and the environment is made anew."""
    sources = [requirements, ROOT / "pyproject.toml", Path(__file__)]
    digest = hashlib.sha256(sys.version.encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def stamp(requirements: Path) -> Path:
    """The file in the environment that says what it was made from."""
    return VENV / ("installed-" + requirements.stem)


def up_to_date(requirements: Path) -> bool:
    """Whether the environment is there, works, and was made from this very file."""
    written = stamp(requirements)
    made = written.exists() and written.read_text() == fingerprint(requirements)
    return made and venv_python().exists()


def install(create: "list[str]", pip: "list[str]", requirements: Path) -> bool:
    """Create the environment, the pinned packages in it, and the project itself, in place."""
    steps = [
        create,
        # The file names all that is needed. Left to look for dependencies, older pips find newer versions of
        # those that are asked for with an extra ("coverage[toml]"), which have no hash.
        [*pip, "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(requirements)],
        [*pip, "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)],
    ]
    return all(subprocess.run(step, check=False).returncode == 0 for step in steps)


def with_uv(requirements: Path) -> bool:
    """Install with uv, where it is installed."""
    uv = shutil.which("uv")
    if uv is None:
        return False
    create = [uv, "venv", "--quiet", "--python", interpreter(), str(VENV)]
    # uv's `pip install` takes the target as an option of its own, after the verb.
    os.environ["UV_PYTHON"] = str(venv_python())
    done = install(create, [uv, "pip"], requirements)
    del os.environ["UV_PYTHON"]
    if not done:
        sys.stderr.write("numnist: uv could not make the environment; trying again with pip\n")
    return done


def with_pip(requirements: Path) -> bool:
    """Install with the standard library's venv and its pip."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop("this Python has no venv: on Debian or Ubuntu, `apt install python3-venv`, then run make again")
    shutil.rmtree(VENV, ignore_errors=True)
    pip = [str(venv_python()), "-m", "pip", "--disable-pip-version-check"]
    return install([interpreter(), "-m", "venv", str(VENV)], pip, requirements)


def main() -> None:
    """Bring .venv up to date with one of the requirement files named on the command line."""
    if sys.version_info < OLDEST:
        stop("Python 3.11 or newer is needed, this is {}.{}; set PYTHON=...".format(*sys.version_info[:2]))
    files = [Path(argument) for argument in sys.argv[1:]]
    if not files or not all(file.is_file() for file in files):
        stop("usage: tools/environment.py REQUIREMENTS.txt ...")
    if any(up_to_date(file) for file in files):
        return
    requirements = files[0]
    print("making the environment in .venv from " + requirements.as_posix())
    # One made from another file may hold other packages: start clean, so that what runs is what is pinned.
    shutil.rmtree(VENV, ignore_errors=True)
    if not (with_uv(requirements) or with_pip(requirements)):
        stop("the environment could not be made; the lines above say why")
    stamp(requirements).write_text(fingerprint(requirements))


if __name__ == "__main__":
    main()
