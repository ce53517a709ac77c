"""`recattn demo`: the whole road on a generated world, in an empty folder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from recattn.cli.console import NEWS, headline, hushed, log, say, show_table
from recattn.cli.files import write_table
from recattn.cli.item_facts import popularity_of
from recattn.cli.judging import MODEL, Exam, table_of, verdict
from recattn.cli.keeping import keep_examples
from recattn.cli.kinds import BIAS, features, metrics
from recattn.cli.progress import EpochLines
from recattn.cli.settings import Tracking
from recattn.cli.threads import cpu_threads
from recattn.cli.tracked import tracked
from recattn.config import FeatureSpec, ModelConfig, Stage, TrainConfig
from recattn.dataset import Split, split_by_time
from recattn.dataset.split import day
from recattn.dataset.synthetic import World, make_world
from recattn.dataset.synthetic.sample import write_sample
from recattn.errors import ArtifactError, ConfigError
from recattn.evaluation import NDCG, Report
from recattn.observer import Observer

if TYPE_CHECKING:
    from recattn.recommender import Recommender

# What the demo trains: the one place to tune it.
WORLD: dict[str, Any] = {"n_users": 1200, "n_items": 500, "mean_interactions": 40.0, "days": 180.0}
SETTINGS: dict[str, Any] = {"dim": 32, "num_heads": 2, "num_layers": 1, "max_history": 50, "dropout": 0.2}
TRAINING: dict[str, Any] = {"max_epochs": 8, "learning_rate": 3e-3, "patience": 3, "valid_requests": 600}
FEATURES: list[dict[str, Any]] = [
    {"kind": "multi", "column": "genres"},
    {"kind": "categorical", "column": "series"},
    {"kind": "numeric", "column": "year"},
    {"kind": "numeric", "column": "price", "log": True},
]
THREADS = 1  # the matrices are small; more threads only wait for each other on a busy machine
RUNS: dict[str, Stage] = {"retrieval only": "retrieval", "target attention": "attention"}

K = 10
METRICS = ("ndcg", "recall")  # shown; the run has those of BIAS too
HEADLINE = NDCG(K).name
MADE_BY = "train.yaml"


def run(out: str = "recattn-demo", seed: int = 0, epochs: int | None = None) -> None:
    """Train on a generated world, beside baselines and the oracle that knows its law.

    Needs no data and no network; takes some minutes on two cores. Everything is written under one folder: the world's
    files, scored candidates, a model, and the MLflow database with both runs.

    Args:
        out: The folder; may hold an earlier demo, whose files are replaced, and whose runs stay.
        seed: World and training follow from it.
        epochs: Epochs at most, for each of the two models.
    """
    if epochs is not None and epochs < 1:
        raise ConfigError(f"epochs must be at least 1, got {epochs!r}.")
    if seed < 0:
        raise ConfigError(f"seed must be at least 0, got {seed!r}.")
    with cpu_threads(THREADS):
        play(out, seed, {} if epochs is None else {"max_epochs": epochs})


def play(out: str, seed: int, training: Mapping[str, Any], size: Mapping[str, Any] = WORLD) -> pd.DataFrame:
    """The demo on a world of `size`, with `training` over TRAINING; the table it prints."""
    begin = time.perf_counter()
    folder = _folder(out)
    log.info("[1/4] making a world (seed %s)", seed)
    world = make_world(**size, seed=seed)
    write_sample(world, folder)
    split = split_by_time(world.interactions)
    log.info("%r", split)
    catalog = world.items["item_id"].tolist()
    measures = metrics([*METRICS, *BIAS], [K], popularity=popularity_of(split.train, catalog))
    exam = Exam(split, "last", measures, catalog)
    log.info("[2/4] judging baselines and the oracle on %s requests", f"{len(split.requests('test')):,}")
    others = _others(world, exam)
    reports = dict(others)
    specs = features(FEATURES, "FEATURES")
    config = TrainConfig(**{**TRAINING, **training, "seed": seed})
    for name, stage in RUNS.items():
        log.info("[3/4] training: %s", name)
        model, reports[name] = _train(folder, name, stage, config, specs, world, exam, others)
    log.info("[4/4] scoring %s", folder / "candidates.csv")
    model.save(folder / "model", overwrite=True)
    with hushed():
        scores = model.score(folder / "candidates.csv", history=world.interactions)
    write_table(scores, folder / "scores.csv")
    _write_config(folder, seed)
    table = _table(reports)
    _tell(folder, split, table, reports, time.perf_counter() - begin)
    return table


def _folder(out: str) -> Path:
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(f"{out} is a file. Name a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MADE_BY).exists():
        raise ArtifactError(f"the folder {out} holds something else. Name another with --out.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MADE_BY).touch()
    return folder


def _others(world: World, exam: Exam) -> dict[str, Report]:
    from recattn.baselines import ItemKNN, Popularity, Recency

    reports = {}
    for name, baseline in {"popularity": Popularity(), "recency": Recency(), "item_knn": ItemKNN()}.items():
        baseline.fit(exam.split.train, items=world.items)
        reports[name] = exam.judge(exam.ask(baseline))
    best = world.oracle(exam.split.requests("test", exam.target), exam.split.history("test"), k=K)
    return reports | {"oracle": exam.judge(best)}


def _train(
    folder: Path,
    name: str,
    stage: Stage,
    config: TrainConfig,
    specs: list[FeatureSpec],
    world: World,
    exam: Exam,
    others: Mapping[str, Report],
) -> tuple[Recommender, Report]:
    """One model, as one run in MLflow."""
    from recattn.recommender import Recommender

    model = Recommender(ModelConfig(**SETTINGS, score=stage), config, item_features=specs)
    place = f"sqlite:///{(folder.absolute() / 'mlflow.db').as_posix()}"
    with tracked(Tracking(experiment="recattn-demo", run_name=name, tracking_uri=place)) as kept:
        assert kept is not None
        observers: list[Observer] = [kept, *([] if NEWS.is_terminal else [EpochLines()])]
        model.fit(exam.split.train, items=world.items, valid=exam.split.valid, observers=observers)
        best = exam.ask(model)
        report = exam.judge(best)
        kept.log(report, recommendations=best)
        for other, theirs in others.items():
            kept.log(theirs, prefix=f"test_{other}")
        kept.metrics({"test/way_to_oracle": _way(report, others)}, step=0)
        keep_examples(kept, model, exam, best, world.items, None, table=True)
        with hushed():
            kept.log_model(model)
    return model, report


def _way(report: Report, reports: Mapping[str, Report]) -> float:
    """The share of the way from popularity (0) to the oracle (1)."""
    bottom, top = (reports[name].summary[HEADLINE] for name in ("popularity", "oracle"))
    return (report.summary[HEADLINE] - bottom) / (top - bottom) if top > bottom else float("nan")


def _table(reports: Mapping[str, Report]) -> pd.DataFrame:
    order = [name for name in reports if name != "oracle"] + ["oracle"]
    table = table_of({name: reports[name] for name in order}, METRICS)
    return table.assign(**{"way to oracle": [f"{_way(reports[name], reports):.0%}" for name in order]})


def _tell(folder: Path, split: Split, table: pd.DataFrame, reports: Mapping[str, Report], seconds: float) -> None:
    requests = reports["oracle"].policy["requests"]
    headline(f"test: the last interaction of {requests:,} users since {day(split.test_from)}")
    show_table(table)
    beaten = {name: report for name, report in reports.items() if name != "oracle" and name not in RUNS}
    say(verdict({MODEL: reports["target attention"]} | beaten, HEADLINE).replace(MODEL, "target attention", 1))
    say("The oracle knows the law the world was made by; nobody can do better on average.")
    headline("open")
    say(f"  mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db     both runs, then compare them")
    say(f"  {folder}/scores.csv     scored candidates")
    headline("try next")
    log_file = f"--history {folder}/interactions.parquet"
    say(f"  recattn recommend --model {folder}/model {log_file} --users u0001 --k 5")
    say(f"  recattn explain --model {folder}/model {log_file} --slate {folder}/candidates.csv")
    say(f"  recattn train --config {folder}/{MADE_BY} --model.dim 64     the same on files: put yours in their place")
    say(f"\n{seconds:.0f} s in all")


def _write_config(folder: Path, seed: int) -> None:
    """A config for `recattn train` that does what the demo did, from the files."""
    settings = {
        "interactions": f"{folder}/interactions.parquet",
        "items": f"{folder}/items.parquet",
        "out": f"{folder}/model-from-files",
        "item_features": FEATURES,
        "split": {"kind": "time", "q": 0.9},
        "model": SETTINGS,
        "train": {**TRAINING, "seed": seed},
        "baselines": ["popularity", "recency", "item_knn"],
        "tracking": {"experiment": "recattn-demo", "tracking_uri": f"sqlite:///{folder}/mlflow.db"},
        "overwrite": True,
    }
    note = "# recattn train --config THIS_FILE; every key can be overridden: --train.max_epochs 5\n"
    lines = [f"{key}: {json.dumps(value)}" for key, value in settings.items()]  # JSON is YAML
    (folder / MADE_BY).write_text(note + "\n".join([*lines, ""]))
