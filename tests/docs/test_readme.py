"""The README's code, run as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from recattn.cli.main import main
from recattn.dataset.synthetic import make_world
from recattn.jobs import open_output

README = Path(__file__).parents[2] / "README.md"


def blocks(kind: str) -> list[str]:
    """The code blocks of the README that are marked `test: kind`."""
    return re.findall(rf"<!-- test: {kind} -->\n```\w+\n(.*?)```", README.read_text(), flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


def test_the_python_of_the_readme_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    exec(compile(code, str(README), "exec"), {"__name__": "readme"})
    assert "ndcg_at_10" in capsys.readouterr().out
    assert (folder / "books-model" / "manifest.json").exists()


def test_the_commands_of_the_readme_run(folder: Path) -> None:
    world = make_world(n_users=150, seed=1)
    world.interactions.to_parquet("interactions.parquet")
    world.items.to_parquet("items.parquet")
    slate = world.interactions[["user_id"]].head(3).merge(world.items[["item_id"]].head(4), how="cross")
    slate.drop_duplicates().to_csv("candidates.csv", index=False)
    (folder / "slates").mkdir()
    for part in (0, 1):
        slate.drop_duplicates().iloc[part::2].to_parquet(f"slates/{part}.parquet")
    commands = "".join(blocks("shell"))
    for command in commands.strip().splitlines():
        assert main(shlex.split(command)[1:]) == 0, command
    scored = [open_output(name).to_table().num_rows for name in ("scores", "sharded")]
    assert scored == [len(slate.drop_duplicates())] * 2
    for name in ("recommendations.parquet", "scores.csv", "reasons.csv"):
        assert (folder / name).stat().st_size > 0


def test_every_file_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README.read_text())
    assert links
    assert all((README.parent / link).exists() for link in links)
