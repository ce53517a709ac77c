"""`recattn compare`: runs of MLflow, and lists of anybody, set beside each other."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import pandas as pd

from recattn.cli.console import headline, log, say, show_table, working
from recattn.cli.data import read_table
from recattn.cli.files import check_place
from recattn.cli.judging import title
from recattn.cli.kinds import listed, metrics
from recattn.cli.settings import Columns
from recattn.comparison import ComparisonResult, Contender, compare
from recattn.errors import ConfigError
from recattn.evaluation import Coverage, Report, evaluate
from recattn.schema import check_same_kind
from recattn.schema.columns import REQUEST, USER

if TYPE_CHECKING:
    from recattn.tracking.evaluated import EvaluatedRun

COLUMNS = Columns()
NONE: list[str] = []
JUDGED = ("ndcg", "recall", "hit_rate", "precision", "mrr", "coverage")
RULES = ("split", "target", "ties", "time")  # of how runs were asked; lists of others are taken to follow them


@dataclasses.dataclass(frozen=True)
class Output:
    """Where the comparison goes beside the terminal.

    Attributes:
        html: A page to look at, one file.
        json: All figures.
        log: Also keep both in MLflow, as a run of the reference's experiment.
        overwrite: Whether to replace the files.
    """

    html: str | None = None
    json: str | None = None
    log: bool = False
    overwrite: bool = False


OUT = Output()


def run(
    runs: list[str] = NONE,
    experiment: str | None = None,
    best: int | None = None,
    frames: str | list[str] = NONE,
    truth: str | None = None,
    columns: Columns = COLUMNS,
    metric: str | None = None,
    reference: str | None = None,
    prefix: str = "test",
    group_seeds: bool = True,
    confidence: float = 0.95,
    allow_unfinished: bool = False,
    tracking_uri: str | None = None,
    out: Output = OUT,
) -> None:
    """Which run is better, whether the difference is real, for whom, and whether they can be compared at all.

    recattn compare base wide deep --out.html comparison.html
    recattn compare models:/books@champion 0123456789abcdef0123456789abcdef
    recattn compare --experiment books --best 3 --out.log
    recattn compare base --frames rectools=lists.parquet --truth held_out.parquet

    The first is the one all others are set against. Runs that differ in their seed only are one contender.

    Args:
        runs: Ids or names of runs, or models: `models:/name@alias`, `models:/name/3`.
        experiment: Where names are looked for, and the best.
        best: Take so many of the experiment's runs, those with the highest metric.
        frames: Lists of any other library, `name=file`, judged as the first run was.
        truth: For frames: file with the held-out interactions that the runs were judged by.
        columns: What the files call our columns.
        metric: What is tested; NDCG@10 by default.
        reference: Name of another contender to set the others against; `best` for the best on validation.
        prefix: Which evaluation of the runs, as in `run.log(report, prefix)`.
        group_seeds: Whether runs that differ in their seed only are one contender.
        confidence: Of the intervals; the tests are at the level 1 - confidence.
        allow_unfinished: Whether to take runs that still run, or failed after they were judged.
        tracking_uri: The MLflow; by default MLFLOW_TRACKING_URI, else sqlite:///mlflow.db right here.
        out: Where the result goes beside the terminal.
    """
    files = [check_place(path, overwrite=out.overwrite) if path else None for path in (out.html, out.json)]
    given = _named(listed(frames))
    if given and truth is None:
        raise ConfigError("frames need the held-out interactions they are judged by: pass truth='file'.")
    if truth is not None and not given:
        raise ConfigError("truth is for frames, and there are none: runs were judged when they were logged.")
    from recattn.tracking.contenders import contenders_of_runs, log_comparison
    from recattn.tracking.quiet import quiet
    from recattn.tracking.server import connect

    with quiet("mlflow", "alembic"), working("reading"):
        client = connect(tracking_uri)
        names = [*runs, *_best(client, experiment, best, metric, prefix)]
        if not names:
            raise ConfigError("give runs to compare, by id or name, or --experiment NAME --best N.")
        read = _read(client, names, experiment, prefix, allow_unfinished)
        contenders = contenders_of_runs(client, read, metric=metric, seeds=group_seeds)
        contenders += [_judged(name, path, str(truth), columns, read[0].report) for name, path in given.items()]
    with working("comparing"):
        result = compare(contenders, reference=reference, metric=metric, confidence=confidence)
    _tell(result)
    page = _page(result) if out.html or out.log else ""
    for path, text in zip(files, (page, result.to_json() if out.json else ""), strict=True):
        if path is not None:
            path.write_text(text, encoding="utf-8")
            log.info("the comparison is in %s", path)
    if out.log:
        where = client.get_experiment(read[0].experiment_id).name
        with quiet("mlflow", "alembic"):
            kept = log_comparison(result, page, where, tracking_uri=tracking_uri)
        log.info("the comparison is in run %s of experiment %s", kept, where)


def _named(frames: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in frames]
    wrong = [name for name, equals, path in pairs if not (name and equals and path)]
    if wrong:
        raise ConfigError(f"frames must be name=file, such as rectools=lists.parquet, got {wrong[0]!r}.")
    return {name: path for name, _, path in pairs}


def _best(client: Any, experiment: str | None, best: int | None, metric: str | None, prefix: str) -> list[str]:
    if best is None:
        return []
    if experiment is None:
        raise ConfigError("best needs the experiment to take runs of: pass experiment='name'.")
    from recattn.tracking.find import HEADLINE, best_runs

    return [one.info.run_id for one in best_runs(client, experiment, best, metric=f"{prefix}/{metric or HEADLINE}")]


def _read(
    client: Any, names: Sequence[str], experiment: str | None, prefix: str, allow_unfinished: bool
) -> list[EvaluatedRun]:
    from recattn.tracking.evaluated import read_run

    asked: dict[str, Any] = {"experiment": experiment, "allow_unfinished": allow_unfinished}
    found = [read_run(client, name, prefix, **asked) for name in names]
    again = [one.name for place, one in enumerate(found) if one.id in {other.id for other in found[:place]}]
    if again:
        log.warning("run %s was given more than once", ", ".join(again))
    return found


def _judged(name: str, path: str, truth: str, columns: Columns, beside: Report) -> Contender:
    """Lists in a file judged by the metrics and rules of a run's report."""
    from recattn.tracking.contenders import contender_of_lists

    lists, held = read_table(path, name, columns), read_table(truth, "truth", columns)
    if beside.policy["key"] == REQUEST and REQUEST not in lists:
        lists = _with_requests(lists, held, name)
    known = [found.groups() for found in (re.fullmatch(r"(\w+)_at_(\d+)", one) for one in beside.summary) if found]
    chosen = [one for stem, k in known if stem in JUDGED for one in metrics([stem], [int(k)])]
    size = beside.policy.get("catalog_size")
    report = evaluate(
        lists,
        held,
        [one for one in chosen if size or not isinstance(one, Coverage)],
        seen=cast(Literal["keep", "drop"], beside.policy["seen"]),
        catalog_size=int(size) if size else None,
        policy={rule: beside.policy[rule] for rule in RULES if rule in beside.policy},
    )
    log.info("%s is judged as the first run was; that its maker kept to the same rules is taken on trust", name)
    return contender_of_lists(name, report, lists, beside)


def _with_requests(lists: pd.DataFrame, truth: pd.DataFrame, name: str) -> pd.DataFrame:
    """Lists by user with the request of each, where the truth has one request a user; others as they are."""
    if USER not in lists or not {USER, REQUEST} <= set(truth.columns):
        return lists
    check_same_kind(lists[USER], name, truth[USER], "truth", USER)
    pairs = truth[[REQUEST, USER]].drop_duplicates()
    return lists if pairs[USER].duplicated().any() else lists.merge(pairs, on=USER)


def _tell(result: ComparisonResult) -> None:
    about = result.contenders.iloc[0]
    headline(
        f"{title(result.metric)} against {result.reference}: {about['requests']:,} requests, {about['users']:,} users"
    )
    table = result.values.rename(columns={name: title(str(name)) for name in result.values if name != "contender"})
    measured = tuple(table.columns[1:])
    if (result.contenders["seeds"] > 1).any():
        table.insert(1, "seeds", result.contenders["seeds"])
    show_table(table, best=measured)
    say()
    rows = result.headline
    shown = {
        "contender": rows["contender"],
        "difference": rows["difference"].map("{:+.4f}".format),
        "": rows["relative"].map("{:+.1%}".format),
        f"{result.confidence:.0%} interval": [
            f"{low:+.4f} to {high:+.4f}" for low, high in zip(rows["low"], rows["high"], strict=True)
        ],
        "Holm p": rows["p_holm"].map("{:.2g}".format),
        "verdict": [_verdict(row) for row in rows.to_dict("records")],
    }
    show_table(pd.DataFrame(shown))
    _tell_segments(result)
    for what, frame in (
        ("overlap of lists", _overlaps(result.pairs) if len(result.pairs) else result.pairs),
        ("settings that differ", result.params),
        ("cost", result.cost.map(lambda value: f"{value:,.6g}" if isinstance(value, float) else value)),
    ):
        if len(frame):
            headline(what)
            show_table(frame)
    for note in result.notes:
        log.warning("%s", note)


def _verdict(row: dict[Any, Any]) -> str:
    if not row["significant"]:
        return "not shown to differ"
    return "better" if row["difference"] > 0 else "worse"


def _tell_segments(result: ComparisonResult) -> None:
    if not len(result.segments):
        return
    found = result.segments[result.segments["significant"]]
    headline(f"groups of requests that differ, of {len(result.segments)} looked at (Holm)")
    if not len(found):
        say("none")
        return
    names = ["contender", "column", "segment", "requests", "difference", "low", "high", "p_holm"]
    show_table(found[names].sort_values("p_holm").head(12))


def _overlaps(pairs: pd.DataFrame) -> pd.DataFrame:
    table = pairs.pivot_table(index="first", columns="second", values="overlap", sort=False)
    return table.rename_axis(index="contender", columns=None).reset_index()


def _page(result: ComparisonResult) -> str:
    from recattn.pages.comparison import comparison_page

    return comparison_page(result)
