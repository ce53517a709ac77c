from __future__ import annotations

import pytest
import torch

from recattn.cli.threads import cpu_threads
from recattn.errors import ConfigError


def test_threads_are_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    with cpu_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with cpu_threads(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before


def test_no_thread_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="threads must be at least 1, got 0"), cpu_threads(0):
        pass
