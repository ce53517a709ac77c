"""Other people's recommenders, each in an environment of its own, driven through files."""

from pipelines.benchmark.peers.peer import Peer, defaults, refitted, versions

__all__ = ["Peer", "defaults", "refitted", "versions"]
