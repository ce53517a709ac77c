"""The floors of the house as a test over every import, lazy ones too."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import recattn

PACKAGE = Path(recattn.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Each row may use the rows above it and, within a row, only itself. Rows of one floor share its number.
FLOORS: tuple[tuple[int, frozenset[str]], ...] = (
    (0, frozenset({"errors"})),
    (0, frozenset({"config", "kinds", "observer"})),
    (0, frozenset({"schema"})),
    (1, frozenset({"dataset", "evaluation"})),
    (1, frozenset({"baselines", "comparison"})),
    (2, frozenset({"batching"})),
    (3, frozenset({"nn"})),
    (4, frozenset({"inference"})),
    (5, frozenset({"training"})),
    (6, frozenset({"recommender"})),
    (7, frozenset({"candidates"})),
    (7, frozenset({"jobs", "pages", "tracking", "plugins"})),
    (7, frozenset({"tuning"})),
    (8, frozenset({"cli"})),
)
ROW = {room: row for row, (_, rooms) in enumerate(FLOORS) for room in rooms}
FLOOR = {room: floor for floor, rooms in FLOORS for room in rooms}
NEVER_TOGETHER = {("baselines", "evaluation"), ("comparison", "dataset")}

TORCH = {"torch", "torchmetrics"}
LIGHTNING = {"lightning", "pytorch_lightning", "lightning_fabric"}
PICKLES = {"pickle", "cloudpickle", "joblib", "dill"}
HEAVY = {*TORCH, *LIGHTNING, "mlflow", "sklearn", "scipy", "matplotlib", "jsonargparse", "rich"}


class Import(NamedTuple):
    """A module named by an import, and whether it is loaded with the file rather than inside a function."""

    name: str
    at_once: bool
    line: int


def imports_of(source: str, module: str, *, package: bool = False) -> Iterator[Import]:
    """Every module that `source` (the file of `module`) imports, importlib with a text among them."""
    tree = ast.parse(source)
    inner = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        for name in _named(node, module if package else module.rpartition(".")[0]):
            yield Import(name, id(node) not in inner, node.lineno)  # type: ignore[attr-defined]


def _named(node: ast.AST, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*parents, *([base] if base else [])])
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = getattr(node.func, "attr", getattr(node.func, "id", None))
        if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
            return [node.args[0].value]
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("recattn", "ra"):
        return [f"recattn.{node.attr}"]  # `import recattn`, then recattn.Recommender
    return []


def room_of(name: str) -> str | None:
    """The room that `recattn.something` leads into; None for the package itself."""
    _, _, rest = name.partition(".")
    first = rest.partition(".")[0]
    home = recattn._HOME.get(first)
    return room_of(home) if home else first if first and not first.startswith("__") else None


def faults_of(source: str, module: str, *, package: bool = False) -> list[str]:
    """What breaks the table in one file, as text."""
    room = room_of(module)
    found = []
    for name, at_once, line in imports_of(source, module, package=package):
        fault = _inside(room, name) if name.split(".")[0] == "recattn" else _outside(room, name, at_once)
        if fault:
            found.append(f"{module}:{line} imports {name}: {fault}")
    return found


def _inside(room: str | None, name: str) -> str | None:
    target = room_of(name)
    if target is None or target == room:
        return None
    if room is None:
        return "the package itself imports lazily"
    if target not in ROW:
        return f"{target} has no floor in the table"
    if ROW[target] >= ROW[room] or (room, target) in NEVER_TOGETHER:
        return f"{room} does not stand on {target}"
    return None


def _outside(room: str | None, name: str, at_once: bool) -> str | None:
    top = name.split(".")[0]
    floor = FLOOR.get(room, 0) if room else 0
    if top in PICKLES:
        return "nothing is pickled"
    if top in TORCH and floor <= 1:
        return f"floor {floor} has no torch"
    if top in LIGHTNING and room != "training":
        return "Lightning lives only in training"
    if top == "mlflow" and room != "tracking":
        return "MLflow lives only in tracking"
    if top == "pandas" and room == "nn":
        return "nn has no pandas"
    if top in {"sklearn", "scipy"} and floor <= 1 and at_once:
        return f"{top} belongs inside the function that needs it"
    return None


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", MODULES, ids=[module_name(path) for path in MODULES])
def test_imports_go_down_only(path: Path) -> None:
    source, package = path.read_text(encoding="utf-8"), path.name == "__init__.py"
    assert not faults_of(source, module_name(path), package=package)


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(module_name(path)) for path in MODULES} - {None}
    assert rooms <= ROW.keys()


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("dataset.history", "from recattn.nn.scorer import Scorer", "dataset does not stand on nn"),
        ("dataset.history", "def f():\n    import recattn.nn", "dataset does not stand on nn"),
        ("dataset.history", "from ..training import fit", "dataset does not stand on training"),
        ("dataset.history", "from recattn import Recommender", "dataset does not stand on recommender"),
        ("dataset.history", "import recattn\nrecattn.Recommender()", "dataset does not stand on recommender"),
        (
            "dataset.history",
            "import importlib\nimportlib.import_module('recattn.nn')",
            "does not stand on nn",
        ),
        ("evaluation.metrics", "from recattn.dataset import Split", "evaluation does not stand on dataset"),
        (
            "baselines.recency",
            "from recattn.evaluation import NDCG",
            "baselines does not stand on evaluation",
        ),
        ("jobs.batch", "import recattn.tracking.run", "jobs does not stand on tracking"),
        ("nn.scorer", "from recattn.attic import x", "attic has no floor"),
        ("schema.ids", "def f():\n    from torch import nn", "floor 0 has no torch"),
        ("baselines.recency", "import torch.nn.functional as F", "floor 1 has no torch"),
        ("inference.predictor", "def f():\n    import lightning as L", "Lightning lives only in training"),
        ("training.fit", "from mlflow import MlflowClient", "MLflow lives only in tracking"),
        ("nn.bias", "import pandas as pd", "nn has no pandas"),
        ("evaluation.significance", "from scipy import stats", "scipy belongs inside the function"),
        ("inference.artifact", "import pickle", "nothing is pickled"),
    ],
)
def test_an_import_that_breaks_the_table_is_found(module: str, source: str, fault: str) -> None:
    [found] = faults_of(source, f"recattn.{module}")
    assert fault in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("baselines.item_knn", "from recattn.dataset import Vocabulary\ndef f():\n    import scipy.sparse"),
        (
            "tracking.run",
            "import mlflow, recattn\nrecattn.__version__\nfrom recattn import __version__, Recommender",
        ),
        ("training.fit", "import lightning as L\nfrom . import lit_scorer\nfrom ..inference import top_k"),
        ("schema.frames", "from recattn.errors import DataError\nfrom .ids import check_ids\nimport pandas"),
    ],
)
def test_imports_that_keep_to_the_table_pass(module: str, source: str) -> None:
    assert faults_of(source, f"recattn.{module}") == []


def loaded_by(*modules: str) -> dict[str, list[str]]:
    """The heavy libraries in memory after each import, in one fresh process."""
    code = (
        "import importlib, json, sys\n"
        "seen = {}\n"
        f"for name in {list(modules)!r}:\n"
        "    importlib.import_module(name)\n"
        f"    seen[name] = sorted(set(sys.modules) & {HEAVY | {'pandas'}!r})\n"
        "print(json.dumps(seen))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def test_import_recattn_loads_no_heavy_library() -> None:
    assert loaded_by("recattn") == {"recattn": []}


def test_the_two_lowest_floors_load_no_heavy_library() -> None:
    names = [f"recattn.{room}" for room in ROW if FLOOR[room] <= 1]
    for name, heavy in loaded_by(*names).items():
        assert set(heavy) <= {"pandas"}, name
