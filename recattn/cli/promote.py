"""`recattn promote`: the champion of a registered model, by evidence."""

from __future__ import annotations

import json

import pandas as pd

from recattn.cli.console import headline, log, say, show_table, working
from recattn.cli.files import check_place
from recattn.tracking.promotion import Decision, Guards, Rules, promote

RULES, GUARDS = Rules(), Guards()
REFUSED = 3
WORDS = {True: "holds", False: "FAILS", None: "-"}


def run(
    run: str,
    model: str,
    rules: Rules = RULES,
    guards: Guards = GUARDS,
    prefix: str = "test",
    dry_run: bool = False,
    out: str | None = None,
    tracking_uri: str | None = None,
    overwrite: bool = False,
) -> None:
    """Make a run's model the champion of a registered model, if its evaluation shows that it should be.

    recattn promote 0123456789abcdef0123456789abcdef --model books --dry_run
    recattn promote base --model books --config gate.yaml

    Exit status: 0 promoted (or, in a dry run, it would be), 3 refused by a rule, 1 and 2 for errors as everywhere.

    Args:
        run: The challenger: run id or name, or a model: `models:/name/3`, `runs:/id/model`.
        model: Name of the registered model; made where there is none. The alias `champion` is what moves.
        rules: How much better the challenger must be.
        guards: What must not get worse.
        prefix: Which evaluation of the runs counts, as in `run.log(report, prefix)`; champion and challenger need it.
        dry_run: Show what would be decided, and write nothing.
        out: JSON file for the decision with all its figures.
        tracking_uri: The MLflow; by default MLFLOW_TRACKING_URI, else sqlite:///mlflow.db right here.
        overwrite: Whether to replace the file.
    """
    place = check_place(out, overwrite=overwrite) if out is not None else None
    with working("deciding"):
        decision = promote(run, model, rules, guards, prefix=prefix, tracking_uri=tracking_uri, dry_run=dry_run)
    _tell(decision)
    if place is not None:
        place.write_text(json.dumps(decision.to_dict(), indent=2) + "\n", encoding="utf-8")
        log.info("the decision is in %s", place)
    if decision.outcome == "refused":
        raise SystemExit(REFUSED)


def _tell(decision: Decision) -> None:
    version = "a new version" if decision.version is None else f"version {decision.version}"
    against = "no champion" if decision.previous is None else f"champion version {decision.previous}"
    headline(f"{decision.name}: {version} (run {decision.run_id}) against {against}, {decision.window}")
    rows = [{"check": c.name, "": WORDS[c.passed], "figures": c.says} for c in decision.checks]
    show_table(pd.DataFrame(rows))
    promoted = decision.outcome == "promoted"
    word = ("would be " if decision.dry_run else "") + decision.outcome
    style = "green" if promoted else "red"
    if not promoted:
        failed = [check.name for check in decision.checks if check.passed is False]
        say(f"{word}: {', '.join(failed)}", style=style)
    else:
        first = ", the first champion, by the absolute rules only" if decision.previous is None else ""
        say(f"{word}: {version} is {'' if decision.dry_run else 'now '}the champion{first}", style=style)
    if decision.dry_run:
        log.info("dry run: nothing was written")
