"""A cluster whose only worker is this process, which is sent everything as a worker on another machine would be."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from visaudio_bench import pool
from visaudio_bench.bench.cluster.units import carry_out, errand
from visaudio_bench.pool import Needs, Outcome


class InProcess:
    """As `pool.Engine`, last items first; `asked` holds each function that was sent, with what an item needs."""

    workers = 2

    def __init__(self) -> None:
        self.asked: list[tuple[Any, Needs]] = []

    def __call__(
        self, function: Callable[[Any], Any], items: Sequence[Any], needs: Needs, /
    ) -> Iterator[Outcome[Any, Any]]:
        self.asked.append((function, needs))
        work = errand(function, self.tokens)
        for item in reversed(items):
            ((value, error),) = self._far(pickle.dumps((work, [item])))
            yield Outcome(item, value, error)

    def _far(self, message: bytes) -> Any:
        """What a worker answers, for which no engine works, and which has an environment of its own."""
        engines, environment = list(pool._engines), dict(os.environ)
        pool._engines.clear()
        try:
            return pickle.loads(pickle.dumps(carry_out(*pickle.loads(message))))
        finally:
            pool._engines.extend(engines)
            os.environ.clear()
            os.environ.update(environment)

    tokens: Sequence[Path] = ()


def conduct(monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """Let `--ray` mean such a cluster."""
    engine = InProcess()

    @contextmanager
    def connected(address: str, workers: int | None, tokens: Sequence[Path]) -> Iterator[InProcess]:
        engine.tokens = tokens
        yield engine

    monkeypatch.setattr("visaudio_bench.bench.cluster.opening.ray_engine", connected)
    return engine
