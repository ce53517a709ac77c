"""`python -m recattn.dataset.synthetic --out FOLDER`: a generated world in files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from recattn.dataset.synthetic.sample import write_sample
from recattn.dataset.synthetic.world import make_world
from recattn.errors import ConfigError


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the world that the arguments describe; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m recattn.dataset.synthetic", description=__doc__)
    parser.add_argument("--out", required=True, help="folder for the files; made if absent")
    parser.add_argument("--users", type=int, default=1200)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--interactions", type=float, default=40.0, help="mean interactions a user")
    parser.add_argument("--days", type=float, default=180.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="draw by popularity alone")
    given = parser.parse_args(arguments)
    try:
        world = make_world(
            given.users,
            given.items,
            mean_interactions=given.interactions,
            days=given.days,
            seed=given.seed,
            order_matters=not given.plain,
        )
        paths = write_sample(world, given.out)
    except (ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path in paths:
        print(f"{path}  {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
