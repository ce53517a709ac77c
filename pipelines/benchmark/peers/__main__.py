"""Makes the environment of a peer: `python -m pipelines.benchmark.peers make rectools [--peers DIR]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from pipelines.benchmark.peers.peer import HERE

NAMES = sorted(path.stem.removeprefix("requirements-") for path in HERE.glob("requirements-*.txt"))


def make(name: str, peers: Path) -> Path:
    """A virtual environment in `peers`/`name` with the pinned requirements of that peer."""
    folder = peers.expanduser() / name
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pins = HERE / f"requirements-{name}.txt"
    subprocess.run([str(folder / "bin" / "python"), "-m", "pip", "install", "--requirement", str(pins)], check=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["make"])
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--peers", type=Path, default=Path("~/.cache/recattn-benchmark/peers"))
    given = parser.parse_args()
    print(make(given.name, given.peers))


if __name__ == "__main__":
    main()
