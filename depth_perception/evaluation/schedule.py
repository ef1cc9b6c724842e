"""Run many units of work: in this process, in processes of this machine, or on a Dask cluster.

The three give the same results in the same order, because a unit knows nothing of the others. A
unit that fails, or that takes its worker along, is reported and never loses the others. Ctrl-C
asks the running units for what they have; a second one does not wait for it.

On a cluster the workers open the files of a unit themselves: recordings, models and output folders
must have the same paths there, on a file system that all share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from depth_perception.errors import SettingsError
from depth_perception.evaluation.schedule_parts import (
    attempt,
    Event,
    INTERRUPTED,
    Interrupted,
    Interrupts,
    Listener,
    Reply,
    Report,
    require_importable,
    Result,
    worker_name,
)

Unit = TypeVar('Unit')
Outcome = TypeVar('Outcome')


def run_ordered(  # noqa: PLR0913 - all but three have good defaults
    work: Sequence[Unit],
    function: Callable[[Unit, Report], Outcome],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    on_event: Listener | None = None,
    retries: int = 2,
    grace_s: float = 10.0,
    connect_s: float = 15.0,
) -> list[Result[Outcome]]:
    """Return the results of `function(unit, report)` for every unit, in the order of the work.

    Args:
        work: Units; pickled on their way to other processes.
        function: At the top level of a module that the workers can import. It tells of progress
            with `report.progress(done, total)`, and returns what it has when
            `report.should_stop()` says so.
        workers: Number of processes; 1 does the work in this one. Each may use its share of the
            cores. Of no meaning with a scheduler.
        scheduler: Address of a Dask scheduler, e.g. 'tcp://10.0.0.1:8786'.
        on_event: Told what happens, in this thread.
        retries: How often a unit whose worker has died is begun anew. On a cluster its own setting
            `distributed.scheduler.allowed-failures` may add to it.
        grace_s: How long units may take to end after ctrl-C [s].
        connect_s: How long a scheduler and its first worker may take to answer [s].

    Raises:
        Interrupted: If ctrl-C was pressed; it holds what there is.
        SettingsError: If `workers` or `function` cannot be used.
        SchedulingError: If the cluster cannot be used.
        BackendUnavailableError: If the package `distributed` is needed and missing.
    """
    require_importable(function)
    if workers < 1 or retries < 0:
        raise SettingsError(f'wanted workers >= 1 and retries >= 0, got {workers} and {retries}')
    tell = on_event or _unheard
    if not work:
        return []
    with Interrupts() as interrupts:
        if scheduler is not None:
            from depth_perception.evaluation.schedule_dask import ClusterRun

            cluster = ClusterRun(scheduler, tell, interrupts, retries=retries, grace_s=grace_s)
            results = cluster.run(work, function, connect_s)
        elif workers > 1:
            from depth_perception.evaluation.schedule_processes import ProcessRun

            processes = ProcessRun(workers, tell, interrupts, retries=retries, grace_s=grace_s)
            results = processes.run(work, function)
        else:
            results = _run_here(work, function, tell, interrupts)
    if interrupts.count:
        raise Interrupted(results)
    return results


def _unheard(event: Event) -> None:
    """Tell nobody."""
    del event


def _run_here(
    work: Sequence[Unit],
    function: Callable[[Unit, Report], Outcome],
    tell: Listener,
    interrupts: Interrupts,
) -> list[Result[Outcome]]:
    """Do all in this process, one after the other."""
    results: list[Result[Outcome]] = []
    name = worker_name()

    def progress(done: int, total: int) -> None:
        tell(Event('progress', len(results), done, total))

    for index, unit in enumerate(work):
        result: Result[Outcome] = Result(index, error=INTERRUPTED, attempts=0, stopped=True)
        if not interrupts.count:
            tell(Event('started', index, worker=name))
            report = Report(progress, lambda: interrupts.count > 0)
            try:
                with interrupts.raising():
                    reply = attempt(function, unit, report)
            except KeyboardInterrupt:
                interrupts.count = max(interrupts.count, 1)
                reply = Reply(error=INTERRUPTED, stopped=True)
            result = reply.result(index, 1, name)
            if interrupts.count:
                tell(Event('stopping'))
        results.append(result)
        tell(Event('ended', index, result=result))
    return results
