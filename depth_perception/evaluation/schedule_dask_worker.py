"""In the workers of a Dask cluster: run a unit, tell of it, and say which code this is."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from importlib import import_module
import os
from pathlib import Path
import pickle
from typing import Any

import depth_perception
from depth_perception.errors import BackendUnavailableError
from depth_perception.evaluation.schedule_parts import (
    failure,
    INTERRUPTED,
    packed_attempt,
    Reply,
    Report,
    SchedulingError,
    worker_name,
)
from depth_perception.evaluation.schedule_worker import limit_opencv

TOPIC = 'depth_perception'  # one for all runs: the scheduler keeps the last events of each
_PROGRESS_S = 0.5
_stopped_runs: set[str] = set()  # runs of which the user has had enough


def dask_distributed() -> Any:
    """Return the module `distributed`.

    Raises:
        BackendUnavailableError: If it is not installed.
    """
    try:
        return import_module('distributed')
    except ImportError:
        raise BackendUnavailableError(
            'work on a cluster needs Dask: pip install distributed, or apt-get install '
            'python3-distributed'
        ) from None


@lru_cache(maxsize=1)
def fingerprint() -> tuple[str, str]:
    """Return the version of this package, and a hash of its source."""
    root = Path(depth_perception.__file__).parent
    digest = sha256()
    for path in sorted(root.rglob('*.py')):
        digest.update(path.relative_to(root).as_posix().encode() + b'\0' + path.read_bytes())
    return depth_perception.__version__, digest.hexdigest()[:12]


def stop_run(run: str) -> None:
    """Ask the units of a run to stop; called in every worker."""
    _stopped_runs.add(run)


def serve_unit(packed: bytes, index: int, run: str, expected: tuple[str, str]) -> bytes:
    """Run one packed unit in a worker, and return the packed reply."""
    worker = dask_distributed().get_worker()

    def tell(kind: str, done: int = 0, total: int = 0) -> None:
        with suppress(Exception):  # a scheduler that is going away
            worker.log_event(TOPIC, [run, kind, index, done, total, worker_name()])

    def has_stopped() -> bool:
        return run in _stopped_runs

    if has_stopped():
        return pickle.dumps(Reply(error=INTERRUPTED, stopped=True))
    tell('started')
    threads = os.environ.get('OMP_NUM_THREADS', '')
    if threads.isdecimal() and int(threads) > 0:
        limit_opencv(int(threads))
    report = Report(lambda done, total: tell('progress', done, total), has_stopped, _PROGRESS_S)
    return packed_attempt(packed, report, lambda: check_versions({'': fingerprint()}, expected))


def check_versions(found: dict[str, Any], expected: tuple[str, str]) -> None:
    """Check that workers run the same code, for the same results.

    Args:
        found: Address of a worker ('': this process) -> its fingerprint, or what it raised.
        expected: Fingerprint of the process that hands out the work.

    Raises:
        SchedulingError: Naming the first worker that does not.
    """
    for address, theirs in found.items():
        where = f'worker {address}' if address else f'worker {worker_name()}'
        if isinstance(theirs, BaseException):
            raise SchedulingError(
                f'{where} cannot load depth_perception {expected[0]}: {failure(theirs).error}; '
                'install the same version there'
            )
        if tuple(theirs) != expected:
            raise SchedulingError(
                f'{where} has depth_perception {theirs[0]} (source {theirs[1]}), here it is '
                f'{expected[0]} (source {expected[1]}); install the same version there'
            )
