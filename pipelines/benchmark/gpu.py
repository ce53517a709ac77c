"""Training and scoring on a GPU: seconds, arithmetic against the device's limits, accuracy of lower precision.

python -m pipelines.benchmark.gpu            data of ml-1m's size, generated
python -m pipelines.benchmark.gpu --data DIR --epochs 6
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import recattn as ra
from pipelines.benchmark.gpu_cost import limits
from pipelines.benchmark.gpu_data import read_or_make
from pipelines.benchmark.gpu_score import score_stages
from pipelines.benchmark.gpu_train import train_variant
from pipelines.benchmark.speed_process import machine
from recattn.config import ModelConfig, Stage, TrainConfig
from recattn.errors import ConfigError, RecattnError
from recattn.training import FitData, Specs, prepare_fit

RESULTS = Path(__file__).parent / "results" / "gpu"


@dataclass(frozen=True)
class Variant:
    """One way to train.

    Attributes:
        name: What the table calls it.
        precision: A key of `PRECISIONS`.
        score: The model's most expensive score.
        compiled: Whether encoder and attentions go through `torch.compile`.
        workers: Processes that build batches.
        train: Keys of `TrainConfig`.
    """

    name: str
    precision: str = "float32"
    score: Stage = "deep"
    compiled: bool = False
    workers: int = 0
    train: dict[str, Any] = field(default_factory=dict)


VARIANTS = (
    Variant("float32"),
    Variant("tf32", "tf32"),
    Variant("bf16", "bf16"),
    Variant("bf16, compiled", "bf16", compiled=True),
    Variant("tf32, compiled", "tf32", compiled=True),
    Variant("bf16, 8 workers", "bf16", workers=8),
    Variant("bf16, 8 workers, batch 128", "bf16", workers=8, train={"batch_size": 128}),
    Variant("linear attention, bf16, 8 workers", "bf16", "attention", workers=8),
    Variant("retrieval, float32, 8 workers", "float32", "retrieval", workers=8),
    Variant("retrieval, bf16, 8 workers", "bf16", "retrieval", workers=8),
)
MODEL = {
    "dim": 64,
    "num_heads": 2,
    "num_layers": 2,
    "max_history": 200,
    "dropout": 0.2,
    "time": "order",
    "ties": "order",
}
LATER = {"attention": "heads", "matching": "cosine"}  # settings that not every version has
TRAIN = {"schedule": "constant", "patience": 0, "valid_target": "last"}


def prepared(split: ra.Split, variant: Variant, epochs: int, changes: dict[str, Any]) -> FitData:
    """The split, ready for a fit of this variant."""
    known = ModelConfig.__dataclass_fields__
    later = {name: value for name, value in LATER.items() if name in known}
    config = ModelConfig(**(MODEL | later | changes | {"score": variant.score}))
    settings = TrainConfig(**(TRAIN | variant.train | {"max_epochs": epochs}))
    return prepare_fit(split.train, split.valid, None, None, Specs(), config, settings)


def run(
    split: ra.Split,
    device: torch.device,
    *,
    epochs: int,
    variants: Sequence[Variant] = VARIANTS,
    model: dict[str, Any] | None = None,
    matrix: int = 8192,
    requests: int = 6040,
    profile: Path | None = None,
) -> dict[str, Any]:
    """All variants, then all scores of the first model that was trained deep; a failure is noted, not the end."""
    found: dict[str, Any] = {
        "hardware": hardware(device),
        "machine": machine(),
        "data": {
            "users": int(split.train["user_id"].nunique()),
            "items": int(split.train["item_id"].nunique()),
            "interactions": len(split.train),
        },
        "model": MODEL | (model or {}),
        "limits": limits(device, size=matrix),
        "training": [],
        "scoring": [],
    }
    print(f"{found['hardware']}\n{found['limits']}", flush=True)
    scored, products = None, torch.get_float32_matmul_precision()
    for variant in variants:
        line: dict[str, Any] = asdict(variant)
        try:
            data = prepared(split, variant, epochs, model or {})
            scorer, values = train_variant(data, variant, device, found["limits"], profile=profile)
            line |= values
            if scored is None and variant.score == "deep":
                scored = (data, scorer)
        except Exception as error:  # one that does not run must not hide the others
            line["error"] = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        found["training"].append(line)
        print(json.dumps(line), flush=True)
    if scored is not None:
        found["scoring"] = score_stages(*scored, device, found["limits"], requests=requests)
    torch.set_float32_matmul_precision(products)
    return found


def hardware(device: torch.device) -> dict[str, Any]:
    """The device by name and size."""
    if device.type != "cuda":
        return {"name": f"{device.type}: {machine()['cpu']}", "threads": torch.get_num_threads()}
    about = torch.cuda.get_device_properties(device)
    return {
        "name": about.name,
        "capability": f"{about.major}.{about.minor}",
        "multiprocessors": about.multi_processor_count,
        "memory_gb": round(about.total_memory / 1e9, 1),
        "cuda": torch.version.cuda,
    }


def known_device(name: str) -> torch.device:
    """The device to measure; ConfigError where there is no CUDA and none else was asked for."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"torch {torch.__version__} sees no CUDA device here: this benchmark is for one. Run it on a machine with "
            "a GPU and a CUDA build of torch, or see whether its code runs with --device cpu --short."
        )
    return torch.device(name)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder with interactions.parquet; by default data are generated")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--epochs", type=int, default=4, help="epochs a variant; the first one warms up")
    parser.add_argument("--only", nargs="+", help="names of the variants to run")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--profile", action="store_true", help="also write where the time of a few steps goes")
    parser.add_argument("--short", action="store_true", help="few users, two epochs: does everything run?")
    given = parser.parse_args(arguments)
    try:
        device = known_device(given.device)
        names = [variant.name for variant in VARIANTS]
        if unknown := sorted(set(given.only or ()) - set(names)):
            raise ConfigError(f"there is no variant {unknown[0]!r}. There are: {'; '.join(names)}.")
        variants = [variant for variant in VARIANTS if given.only is None or variant.name in given.only]
        given.out.mkdir(parents=True, exist_ok=True)
        size = {"users": 20, "items": 60} if given.short else {}
        small = {"dim": 16, "num_layers": 1, "max_history": 20} if given.short else {}
        found = run(
            read_or_make(given.data, **size),
            device,
            epochs=2 if given.short else given.epochs,
            variants=variants,
            model=small,
            matrix=128 if given.short else 8192,
            requests=10 if given.short else 6040,
            profile=given.out if given.profile else None,
        )
    except RecattnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    slug = "-".join(found["hardware"]["name"].lower().replace(":", "").replace("(r)", "").split())
    (given.out / f"{slug}.json").write_text(json.dumps(found, indent=1) + "\n")
    for part in ("training", "scoring"):
        print(
            pd.DataFrame(found[part]).drop(columns=["train", "epoch_seconds"], errors="ignore").to_string(index=False)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
