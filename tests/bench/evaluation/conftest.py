"""What tests of runs share."""

from __future__ import annotations

import pytest

from visaudio_bench.pool import map_unordered


@pytest.fixture
def made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sounds are made in this process, where functions can be replaced and listened to."""
    module = "visaudio_bench.bench.evaluation.generation"
    monkeypatch.setattr(f"{module}.map_unordered", lambda call, chunks, workers, needs: map_unordered(call, chunks, 1))
