"""What is kept of a decision, where people look for it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from mlflow import MlflowClient

from recattn.tracking import artifacts
from recattn.tracking.evaluated import EvaluatedRun
from recattn.tracking.promotion.decision import Decision

TAG = "recattn.promotion."
_DIGESTS = ("truth_sha256", "users_sha256", "catalog_sha256", "requests", "seen", "ties", "time")


def facts(who: str, run: EvaluatedRun) -> dict[str, Any]:
    """Digests and counts of a run's evaluation and of its model."""
    rules = {name: run.report.policy[name] for name in _DIGESTS if name in run.report.policy}
    tags = {
        name.removeprefix("recattn."): value
        for name, value in run.tags.items()
        if name == "recattn.config" or name.endswith("vocabulary_sha256")
    }
    return {who: {"run_name": run.name, **rules, **tags}}


def write(client: MlflowClient, decision: Decision, record_id: str) -> None:
    """The whole decision as `promotion/<id>.json` of the challenger's run, its figures as tags of the version.

    The tag `recattn.promotion.decision` says `open` until `confirm`.
    """
    path = f"promotion/{record_id}.json"
    text = json.dumps(decision.to_dict(), indent=2)
    artifacts.write(client, decision.run_id, path, text)
    window = decision.window
    values = {
        "decision": "open",
        "id": record_id,
        "at": decision.decided_at,
        "by": decision.by,
        "evidence": f"runs:/{decision.run_id}/{path}",
        "evidence_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "evidence_expires": decision.expires_at,
        "previous_champion": decision.previous or "none",
        "window": str(window),
        "rules": json.dumps(decision.to_dict()["rules"]),
        "guards": json.dumps(decision.to_dict()["guards"]),
        **{f"check.{c.name}": f"{_WORDS[c.passed]}: {c.says}" for c in decision.checks},
    }
    for name, value in values.items():
        client.set_model_version_tag(decision.name, str(decision.version), TAG + name, value)


def confirm(client: MlflowClient, decision: Decision) -> None:
    """The outcome, once it is so."""
    client.set_model_version_tag(decision.name, str(decision.version), f"{TAG}decision", decision.outcome)


_WORDS = {True: "holds", False: "fails", None: "not judged"}
