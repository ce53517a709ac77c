"""The promotion gate: a challenger becomes the champion by evidence, or not."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from typing import Any

from mlflow import MlflowClient

import recattn
from recattn.errors import ArtifactError, ConfigError, DataError
from recattn.tracking import stale
from recattn.tracking.evaluated import EvaluatedRun, read_run
from recattn.tracking.promotion import evidence, records
from recattn.tracking.promotion.decision import Check, Decision, Window
from recattn.tracking.promotion.guards import guard_checks
from recattn.tracking.promotion.headline import check_comparable, headline_check, minimum_check, users_check
from recattn.tracking.promotion.lock import one_at_a_time
from recattn.tracking.promotion.records import Record
from recattn.tracking.promotion.rules import Guards, Rules
from recattn.tracking.promotion.shelf import CHALLENGER, Shelf, model_of, permitted, user
from recattn.tracking.server import connect, explained

RULES, GUARDS = Rules(), Guards()


def promote(
    run: str,
    name: str,
    rules: Rules = RULES,
    guards: Guards = GUARDS,
    *,
    prefix: str = "test",
    tracking_uri: str | None = None,
    dry_run: bool = False,
) -> Decision:
    """Make the model of a run the champion of a registered model, if its evaluation shows that it should be.

    The model becomes a version of `name` (unless it is one) with the alias `challenger`. The alias `champion` moves to
    it, and `challenger` goes, where every check holds: the evaluation under `prefix` is fresh and judged data that no
    decision about `name` has used before; the challenger is significantly better than the champion in it, by `rules`;
    it is not worse by `guards`. Without a champion only the absolute rules count. The decision is kept with its
    figures: as tags of the version, as `promotion/<id>.json` of the run, as a record on the registered model.

    A decision whose test was made has used its data, whatever came of it. A dry run writes nothing and uses nothing
    up: who shows the gate several challengers on one window by dry runs, and then promotes the best, has selected on
    that window, and the level does not hold.

    **Two at once.** On one host a lock lets one decision about a model run at a time. Between hosts MLflow has no
    compare-and-set; each decision first writes a claim of its own on the registered model, then reads all of them, and
    goes on only if it is alone and the champion is still the one it was compared with; after the move it reads again,
    and a move that met another is taken back and reported. So of two decisions at once at most one moves the alias, if
    the registry shows a write to every later read, a process does not sleep for ten minutes between its claim and its
    move, and clocks differ by less. Nothing keeps a hand or another tool from setting the alias: a move during the
    decision is found and left standing, one after it is not.

    Args:
        run: Run id or name, `runs:/id`, `models:/name/3`, `models:/name@alias`.
        name: Of the registered model; made where there is none.
        rules: Superiority.
        guards: Non-inferiority.
        prefix: The evaluation, as given to `Run.log`; the champion's run must have it too.
        tracking_uri: As for `track`.
        dry_run: Decide, and write nothing.

    Raises:
        ArtifactError: No such run, one that still runs or failed, one without an evaluation or a logged model; the same
            for the champion's; a registry that refuses; another decision under way.
        DataError: Champion and challenger judged different requests, or by different rules.
        ConfigError: The run is the champion's; a metric that is not there; an MLflow that cannot be used.
    """
    client = connect(tracking_uri)
    with explained(client.tracking_uri):
        if dry_run:
            return _decide(client, Shelf(client, name), run, rules, guards, prefix)[0]
        with one_at_a_time(client.tracking_uri, name), permitted(name):
            shelf = Shelf(client, name)
            shelf.settle()
            decision, model_id = _decide(client, shelf, run, rules, guards, prefix)
            return _carry_out(client, shelf, dataclasses.replace(decision, dry_run=False), model_id)


def _decide(
    client: MlflowClient, shelf: Shelf, run: str, rules: Rules, guards: Guards, prefix: str
) -> tuple[Decision, str]:
    """The decision as a dry run, with the id of the challenger's logged model."""
    challenger = read_run(client, run, prefix, lists=False)
    model_id = model_of(client, challenger.id, challenger.experiment_id)
    champion = _champion(client, shelf, prefix)
    if champion is not None and champion.id == challenger.id:
        raise ConfigError(f"run {challenger.id} is the champion of {shelf.name!r} already (version {shelf.champion}).")
    challenger.report.values(rules.metric)
    if champion is not None:
        try:
            check_comparable(challenger.report, champion.report, rules.metric)
        except DataError as error:
            raise DataError(f"{error} {_judge_again(champion.id, prefix)}") from error
    judged = [one for one in (challenger, champion) if one is not None]
    evaluated = min(_evaluated(client, one, f"{prefix}/{rules.metric}") for one in judged)
    expires = evaluated + datetime.timedelta(days=rules.max_age_days)
    now = datetime.datetime.now(datetime.UTC)
    question = _question(challenger, champion, rules, guards, prefix)
    window = Window.of(challenger.report)

    checks = [_window_check(shelf, window, question), _fresh_check(evaluated, expires, now)]
    checks.append(users_check(challenger.report, rules))
    tested = all(check.passed for check in checks)
    if tested:
        checks.append(minimum_check(challenger.report, rules))
        if champion is None:
            says = f"{shelf.name} has no champion: this promotion goes by the absolute rules only"
            checks.append(Check("headline", None, says))
        else:
            checks.append(headline_check(challenger.report, champion.report, rules))
        checks += guard_checks(challenger, champion, rules, guards)
    known = shelf.version_of(challenger.id) if shelf.exists else None
    decision = Decision(
        outcome="refused" if any(check.passed is False for check in checks) else "promoted",
        dry_run=True,
        name=shelf.name,
        version=None if known is None else str(known.version),
        run_id=challenger.id,
        previous=shelf.champion,
        champion_run_id=None if champion is None else champion.id,
        checks=tuple(checks),
        window=window,
        spent=tested,
        evaluated_at=_iso(evaluated),
        expires_at=_iso(expires),
        decided_at=_iso(now),
        by=user(),
        prefix=prefix,
        rules=rules,
        guards=guards,
        facts={"question": question, "recattn": recattn.__version__, "model_id": model_id}
        | evidence.facts("challenger", challenger)
        | (evidence.facts("champion", champion) if champion is not None else {}),
    )
    return decision, model_id


def _carry_out(client: MlflowClient, shelf: Shelf, decision: Decision, model_id: str) -> Decision:
    """Claim, write the evidence, then move the alias: killed anywhere, what is there is true."""
    decision = dataclasses.replace(decision, version=decision.version or shelf.register(model_id))
    version = str(decision.version)
    client.set_registered_model_alias(shelf.name, CHALLENGER, version)
    record = Record(
        id=records.new_id(),
        action="promote",
        state="open",
        version=version,
        previous=decision.previous,
        by=decision.by,
        beat=json.loads(stale.heartbeat()),
        run_id=decision.run_id,
        question=decision.facts["question"],
        window=decision.window if decision.spent else None,
    )
    shelf.claim(record)
    with shelf.given_up_on_error(record):
        evidence.write(client, decision, record.id)
        if decision.outcome == "promoted":
            shelf.move(record)
        else:
            shelf.write(record.ended("refused"))
    evidence.confirm(client, decision)
    return decision


def _champion(client: MlflowClient, shelf: Shelf, prefix: str) -> EvaluatedRun | None:
    if shelf.champion is None:
        return None
    which = f"models:/{shelf.name}/{shelf.champion}"
    try:
        return read_run(client, which, prefix, lists=False)
    except ArtifactError as error:
        raise ArtifactError(
            f"the champion cannot be compared with: {error} {_judge_again(which, prefix)} Or roll back to the champion "
            f"before it (recattn rollback {shelf.name}), or remove the alias: without a champion the absolute rules "
            "decide."
        ) from error


def _judge_again(which: str, prefix: str) -> str:
    return (
        f"Judge the champion ({which}) on the challenger's truth, in its own run: `with mlflow.start_run(run_id=...), "
        f"recattn.track() as run: run.log(report, {prefix!r})`."
    )


def _window_check(shelf: Shelf, window: Window, question: str) -> Check:
    earlier = records.used_by(shelf.records, window, question)
    if earlier is None:
        return Check("window", True, f"no decision about {shelf.name} has used {window} before")
    return Check(
        "window",
        False,
        f"{window} was used by the decision {earlier.id} about version {earlier.version} ({earlier.state}, by "
        f"{earlier.by}): judge both models on newer data",
    )


def _fresh_check(evaluated: datetime.datetime, expires: datetime.datetime, now: datetime.datetime) -> Check:
    says = f"the evaluation is of {_iso(evaluated)} and counts until {_iso(expires)}"
    return Check("fresh", now <= expires, says if now <= expires else f"{says}: judge both models again")


def _evaluated(client: MlflowClient, run: EvaluatedRun, metric: str) -> datetime.datetime:
    points = client.get_metric_history(run.id, metric)
    if not points:
        raise ArtifactError(f"run {run.id} has no metric {metric!r}, by which its evaluation is dated.")
    return datetime.datetime.fromtimestamp(max(point.timestamp for point in points) / 1000, datetime.UTC)


def _question(
    challenger: EvaluatedRun, champion: EvaluatedRun | None, rules: Rules, guards: Guards, prefix: str
) -> str:
    asked: dict[str, Any] = {
        "runs": [challenger.id, champion and champion.id],
        "rules": dataclasses.asdict(rules),
        "guards": dataclasses.asdict(guards),
        "prefix": prefix,
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def _iso(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="seconds")
