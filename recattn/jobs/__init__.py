"""Batch jobs: every row once, in bounded memory, whatever happens on the way."""

from __future__ import annotations

from recattn.jobs.job import JobResult, ScoreJob
from recattn.jobs.output import open_output
from recattn.jobs.publish import publish
from recattn.jobs.run import run_job

__all__ = ["JobResult", "ScoreJob", "open_output", "publish", "run_job"]
