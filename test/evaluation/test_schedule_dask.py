"""Units of work on a real Dask cluster of this machine, of which workers are killed."""

import os
from pathlib import Path
import signal
import sys
import threading
import time

import depth_perception
from depth_perception.errors import BackendUnavailableError
from depth_perception.evaluation import schedule_dask, schedule_dask_worker
from depth_perception.evaluation.schedule import run_ordered
from depth_perception.evaluation.schedule_parts import Interrupted, SchedulingError
import pytest

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope='module')
def distributed():
    return pytest.importorskip('distributed', reason='Dask (distributed) is not installed')


def local_cluster(distributed, workers):
    return distributed.LocalCluster(
        n_workers=workers,
        processes=True,
        threads_per_worker=1,
        dashboard_address='127.0.0.1:0',  # None takes port 8787, and warns where that is taken
        host='127.0.0.1',
    )


@pytest.fixture(scope='module')
def cluster(distributed):
    """Yield a cluster of two worker processes, which can import the units beside this file."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(HERE))
    with local_cluster(distributed, 2) as started:
        yield started
    patch.undo()


@pytest.fixture
def units(cluster):
    import schedule_units

    return schedule_units


def wait_for(condition, limit_s=90.0):
    until_s = time.monotonic() + limit_s
    while not condition() and time.monotonic() < until_s:
        time.sleep(0.02)
    return condition()


def comparable(results):
    return [(r.index, r.outcome, r.error, r.attempts, r.stopped) for r in results]


def test_results_are_those_of_this_process_though_a_worker_is_killed(units, cluster, tmp_path):
    names = ['square', 'frames', 'fail', 'square', 'frames', 'strange', 'square', 'leave']
    work = [units.Unit(name, 40 + n, str(tmp_path)) for n, name in enumerate(names)]
    expected = run_ordered(work, units.work, workers=2)
    events, killed = [], []

    def listen(event):
        events.append(event)
        half_way = event.kind == 'progress' and event.index == 1 and event.done > 10
        if half_way and not killed:
            worker = next(e.worker for e in events if e.kind == 'started' and e.index == 1)
            killed.append(int(worker.rpartition(':')[2]))
            assert killed[0] != os.getpid()
            os.kill(killed[0], signal.SIGKILL)

    results = run_ordered(work, units.work, scheduler=cluster.scheduler_address, on_event=listen)
    assert killed
    assert [r[:3] for r in comparable(results)] == [r[:3] for r in comparable(expected)]
    assert results[1].attempts == 2
    assert results[1].worker.rpartition(':')[2] != str(killed[0])
    assert 'retried' in [event.kind for event in events if event.index == 1]
    assert [e.index for e in events if e.kind == 'ended'] != list(range(8))  # as they come
    last = max((e for e in events if e.kind == 'progress' and e.index == 4), key=lambda e: e.done)
    assert (last.done, last.total) == (44, 44)


def test_a_deadly_unit_fails_alone(units, cluster, tmp_path):
    work = [units.Unit('square', 3), units.Unit('die', 7, str(tmp_path)), units.Unit('square', 5)]
    results = run_ordered(work, units.work, scheduler=cluster.scheduler_address, retries=1)
    assert [r.outcome and r.outcome['square'] for r in results] == [9, None, 25]
    assert results[1].error.startswith('WorkerDied: the workers that ran it have died')
    assert 2 <= results[1].attempts <= len(list(tmp_path.iterdir()))


def test_ctrl_c_keeps_what_was_done(units, cluster, tmp_path):
    assert wait_for(lambda: len(cluster.scheduler.workers) == 2)  # others may have died before
    work = [units.Unit('square', 5)]
    work += [units.Unit('frames', 5000 + n, str(tmp_path)) for n in range(4)]
    ended = threading.Event()

    def press():
        if ended.wait(90.0) and wait_for(lambda: len(list(tmp_path.glob('*-*'))) >= 2):
            os.kill(os.getpid(), signal.SIGINT)

    pressing = threading.Thread(target=press)
    pressing.start()
    with pytest.raises(Interrupted) as stopped:
        run_ordered(
            work,
            units.work,
            scheduler=cluster.scheduler_address,
            on_event=lambda event: event.kind == 'ended' and ended.set(),
        )
    pressing.join()
    results = stopped.value.results
    assert results[0].outcome['square'] == 25
    assert [result.stopped for result in results] == [False, True, True, True, True]
    partial = [result.outcome for result in results[1:] if result.attempts]
    assert len(partial) == 2
    assert all(0 <= frames < 5000 for frames in partial)
    waiting = [result for result in results if not result.attempts]
    assert [result.error for result in waiting] == ['interrupted before it had ended'] * 2
    again = run_ordered(work[:1], units.work, scheduler=cluster.scheduler_address)
    assert again[0].outcome['square'] == 25


@pytest.fixture
def another_version(monkeypatch):
    """Let this process be of a version that the workers are not."""
    schedule_dask_worker.fingerprint.cache_clear()
    monkeypatch.setattr(depth_perception, '__version__', '9.9')
    yield
    schedule_dask_worker.fingerprint.cache_clear()


def test_workers_of_another_version_are_refused(units, cluster, another_version):
    wanted = r'worker tcp://127.0.0.1:\d+ has depth_perception 0\.1\.0 .* here it is 9\.9'
    with pytest.raises(SchedulingError, match=wanted):
        run_ordered([units.Unit('square')], units.work, scheduler=cluster.scheduler_address)


def test_workers_of_another_version_that_come_late_do_nothing(
    units, cluster, another_version, monkeypatch
):
    monkeypatch.setattr(schedule_dask, 'check_versions', lambda *_: None)
    work = [units.Unit('square')]
    (result,) = run_ordered(work, units.work, scheduler=cluster.scheduler_address)
    assert result.outcome is None
    assert 'has depth_perception 0.1.0' in result.error


def test_workers_without_the_package_are_refused():
    missing = {'tcp://10.0.0.1:1': ModuleNotFoundError('No module named depth_perception')}
    with pytest.raises(SchedulingError, match=r'cannot load .*: ModuleNotFoundError'):
        schedule_dask_worker.check_versions(missing, ('1.2', 'ab'))


def test_a_cluster_without_workers_is_a_clear_error(units, distributed):
    with local_cluster(distributed, 0) as empty:
        address = empty.scheduler_address
        with pytest.raises(SchedulingError, match='has no worker; start some with'):
            run_ordered([units.Unit('square')], units.work, scheduler=address, connect_s=1.0)


def test_a_scheduler_that_is_not_there_is_a_clear_error(units):
    began_s = time.monotonic()
    with pytest.raises(SchedulingError, match='no Dask scheduler answers'):
        run_ordered([units.Unit('square')], units.work, scheduler='tcp://127.0.0.1:1', connect_s=1)
    assert time.monotonic() - began_s < 8.0


def test_without_dask_the_error_says_what_to_install(units, monkeypatch):
    monkeypatch.setitem(sys.modules, 'distributed', None)
    with pytest.raises(BackendUnavailableError, match='pip install distributed'):
        run_ordered([units.Unit('square')], units.work, scheduler='tcp://127.0.0.1:1')
