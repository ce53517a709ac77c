"""`recattn rollback`: the champion before, back in one step."""

from __future__ import annotations

from recattn.cli.console import log, say


def run(model: str, to: int | None = None, dry_run: bool = False, tracking_uri: str | None = None) -> None:
    """Give the alias champion of a registered model back to the version that had it before.

    recattn rollback books
    recattn rollback books --to 3

    Again, it goes one further back, never forth: `--to` names any former champion. Deleted versions are passed over.

    Args:
        model: Name of the registered model.
        to: The version to go to; it must have been champion before.
        dry_run: Show what would be done, and write nothing.
        tracking_uri: The MLflow; by default MLFLOW_TRACKING_URI, else sqlite:///mlflow.db right here.
    """
    from recattn.tracking.promotion import rollback

    done = rollback(model, to=to, tracking_uri=tracking_uri, dry_run=dry_run)
    for version in done.skipped:
        log.warning("version %s, a champion before, is deleted and passed over", version)
    before = "there was none" if done.previous is None else f"it was version {done.previous}"
    say(f"{model}: version {done.version} {'would be' if dry_run else 'is'} the champion ({before})")
