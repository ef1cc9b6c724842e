"""Units of work in this process and in processes of their own, with failures, deaths, ctrl-C."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

from depth_perception.errors import SettingsError
from depth_perception.evaluation import schedule_processes
from depth_perception.evaluation.schedule import run_ordered
from depth_perception.evaluation.schedule_parts import Interrupted, Report
from depth_perception.inference.backend import usable_cpus
import pytest

HERE = Path(__file__).resolve().parent


@pytest.fixture
def units(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    import schedule_units

    return schedule_units


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pids_in(folder):
    return [int(path.read_text()) for path in folder.glob('[0-9]*-[0-9]*')]


def wait_for(condition, limit_s=90.0):
    until_s = time.monotonic() + limit_s
    while not condition() and time.monotonic() < until_s:
        time.sleep(0.02)
    return condition()


def press_ctrl_c_when(condition, times=1):
    """Send this process SIGINT as soon as `condition()` holds."""

    def press():
        if wait_for(condition):
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.3)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


@pytest.mark.parametrize('workers', [1, 2])
def test_results_are_the_same_and_in_order_and_one_failure_loses_nothing(units, workers):
    names = ['square', 'fail', 'square', 'leave', 'square', 'square']
    work = [units.Unit(name, number) for number, name in enumerate(names, 4)]
    results = run_ordered(work, units.work, workers=workers)
    assert [result.index for result in results] == [0, 1, 2, 3, 4, 5]
    squares = [result.outcome and result.outcome['square'] for result in results]
    assert squares == [16, None, 36, None, 64, 81]
    assert [result.error for result in results] == [
        '', 'ValueError: bag 5 is broken', '', 'SystemExit: 3', '', '',
    ]  # fmt: skip
    assert 'schedule_units.py' in results[1].trace
    assert '_fail' in results[1].trace
    assert all(result.attempts == 1 and not result.stopped for result in results)
    assert results[2].outcome['text'] == format(6 / 7, '.17g')
    assert (results[0].worker == results[1].worker.rpartition(':')[0] + f':{os.getpid()}') == (
        workers == 1
    )


@pytest.mark.parametrize('workers', [1, 2])
def test_events_tell_the_whole_story_in_the_calling_thread(units, workers):
    events = []
    work = [units.Unit('square', 3), units.Unit('fail', 1), units.Unit('square', 9)]

    def listen(event):
        assert threading.current_thread() is threading.main_thread()
        events.append(event)

    results = run_ordered(work, units.work, workers=workers, on_event=listen)
    for index, kinds in enumerate((['progress'], [], ['progress'])):
        told = [event for event in events if event.index == index]
        assert [event.kind for event in told] == ['started', *kinds, 'ended']
        assert told[-1].result == results[index]
        assert told[0].worker == results[index].worker
    assert [(e.done, e.total) for e in events if e.kind == 'progress' and e.index == 2] == [(9, 9)]


def test_a_killed_worker_costs_an_attempt_and_a_deadly_unit_only_itself(units, tmp_path):
    names = ['square', 'die', 'square', 'die_once', 'square']
    work = [units.Unit(name, number, str(tmp_path)) for number, name in enumerate(names)]
    events = []
    results = run_ordered(work, units.work, workers=2, retries=2, on_event=events.append)
    assert [result.attempts for result in results] == [1, 3, 1, 2, 1]
    assert [bool(result.error) for result in results] == [False, True, False, False, False]
    assert results[1].error == (
        'WorkerDied: its worker process was ended by SIGKILL (out of memory?); begun 3 times'
    )
    retried = [event.index for event in events if event.kind == 'retried']
    assert sorted(retried) == [1, 1, 3]
    deaths = [(tmp_path / name).read_text() for name in ('1-1', '1-2', '1-3', '3-1')]
    assert len(set(deaths)) == 4
    assert not any(map(is_alive, pids_in(tmp_path)))


def test_the_last_attempt_has_the_machine_for_itself(units, tmp_path):
    work = [units.Unit('die', 0, str(tmp_path)), *(units.Unit('frames', n) for n in (20, 21))]
    work = [units.Unit(unit.name, unit.number, str(tmp_path)) for unit in work]
    told = []
    run_ordered(work, units.work, workers=2, retries=1, on_event=told.append)
    last_start = max(n for n, e in enumerate(told) if e.kind == 'started' and e.index == 0)
    ends = [n for n, e in enumerate(told) if e.kind == 'ended' and e.index > 0]
    assert last_start > max(ends)


def test_what_cannot_be_pickled_fails_alone(units):
    work = [units.Unit('strange'), units.Unit('square', 2), units.Unit(lambda: None)]
    results = run_ordered(work, units.work, workers=2)
    assert [bool(result.error) for result in results] == [True, False, True]
    assert 'pickle' in results[0].error
    assert results[2].attempts == 0
    assert results[1].outcome['square'] == 4


def test_workers_that_do_not_start_are_an_error_and_no_endless_loop(units, monkeypatch):
    monkeypatch.setattr(schedule_processes, 'serve', os.abort)  # refuses its arguments
    results = run_ordered([units.Unit('square', n) for n in (1, 2)], units.work, workers=2)
    assert all('worker processes do not start: the last ended' in r.error for r in results)


@pytest.mark.parametrize('workers', [1, 2])
def test_ctrl_c_keeps_what_was_done(units, tmp_path, workers):
    work = [units.Unit('square', 5), units.Unit('frames', 2000, str(tmp_path))]
    work += [units.Unit('frames', 2001, str(tmp_path))] * 3
    pressing = press_ctrl_c_when(lambda: len(pids_in(tmp_path)) >= workers)
    events = []
    with pytest.raises(Interrupted) as stopped:
        run_ordered(work, units.work, workers=workers, on_event=events.append)
    pressing.join()
    results = stopped.value.results
    assert results[0].outcome['square'] == 25
    assert [result.stopped for result in results] == [False, True, True, True, True]
    assert 0 < results[1].outcome < 2000
    assert results[1].error == ''
    assert results[4].outcome is None
    assert (results[4].attempts, results[4].error) == (0, 'interrupted before it had ended')
    assert [event.kind for event in events].count('stopping') == 1
    assert not any(pid != os.getpid() and is_alive(pid) for pid in pids_in(tmp_path))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(('times', 'grace_s'), [(1, 0.5), (2, 50.0)])
def test_a_unit_that_does_not_listen_is_given_up(units, tmp_path, times, grace_s):
    work = [units.Unit('deaf', 1, str(tmp_path)), units.Unit('frames', 500, str(tmp_path))]
    pressing = press_ctrl_c_when(lambda: len(pids_in(tmp_path)) == 2, times)
    began_s = time.monotonic()
    with pytest.raises(Interrupted) as stopped:
        run_ordered(work, units.work, workers=2, grace_s=grace_s)
    pressing.join()
    assert time.monotonic() - began_s < 45.0
    assert stopped.value.results[0].outcome is None
    assert stopped.value.results[0].error == 'interrupted before it had ended'
    assert stopped.value.results[1].stopped
    assert not any(map(is_alive, pids_in(tmp_path)))


def test_the_second_ctrl_c_ends_a_deaf_unit_in_this_process(units, tmp_path):
    work = [units.Unit('square', 3), units.Unit('deaf', 1, str(tmp_path)), units.Unit('square')]
    pressing = press_ctrl_c_when(lambda: len(pids_in(tmp_path)) == 1, 2)
    with pytest.raises(Interrupted) as stopped:
        run_ordered(work, units.work)
    pressing.join()
    assert [result.stopped for result in stopped.value.results] == [False, True, True]


SCRIPT = """
import sys
sys.path[:0] = sys.argv[1:3]
from depth_perception.evaluation.schedule import run_ordered
import schedule_units as units
if __name__ == '__main__':
    work = [units.Unit('deaf', n, sys.argv[3]) for n in (1, 2)]
    run_ordered(work, units.work, workers=2)
"""


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_no_orphans_when_this_process_is_killed(tmp_path, number):
    script = tmp_path / 'script.py'
    script.write_text(SCRIPT)
    folder = tmp_path / 'pids'
    folder.mkdir()
    command = [sys.executable, str(script), str(HERE.parents[1]), str(HERE), str(folder)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as parent:
        try:
            assert wait_for(lambda: len(pids_in(folder)) == 2)
            assert all(map(is_alive, pids_in(folder)))
        finally:
            parent.send_signal(number)
    assert wait_for(lambda: not any(map(is_alive, pids_in(folder))), 5.0)


def test_an_error_of_the_listener_leaves_no_process_behind(units, tmp_path):
    def listen(event):
        if event.kind == 'progress':
            raise OSError('the terminal is gone')

    work = [units.Unit('frames', number, str(tmp_path)) for number in (900, 901)]
    with pytest.raises(OSError, match='terminal'):
        run_ordered(work, units.work, workers=2, on_event=listen)
    assert pids_in(tmp_path)
    assert not any(map(is_alive, pids_in(tmp_path)))


def test_workers_share_the_cores(units, monkeypatch):
    for name in schedule_processes.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    share = max(1, usable_cpus() // 2)
    results = run_ordered([units.Unit('threads')] * 3, units.work, workers=2)
    for result in results:
        variable, opencv = result.outcome
        assert variable == str(share)
        assert opencv in (share, None)
    assert 'OMP_NUM_THREADS' not in os.environ
    monkeypatch.setenv('OMP_NUM_THREADS', '7')  # the user's own word stands
    assert run_ordered([units.Unit('threads')], units.work, workers=2)[0].outcome[0] == '7'


def test_progress_is_told_at_most_ten_times_per_second(monkeypatch):
    told, now_s = [], [100.0]
    monkeypatch.setattr(time, 'monotonic', lambda: now_s[0])
    report = Report(lambda *counts: told.append(counts), lambda: False)
    for frame in range(1, 101):
        report.progress(frame, 100)
        now_s[0] += 0.03125  # exact
    assert told == [(frame, 100) for frame in (*range(1, 100, 4), 100)]
    assert not report.stopped


def test_what_cannot_be_run_is_refused(units):
    with pytest.raises(SettingsError, match='top level'):
        run_ordered([1], lambda *given: given)
    with pytest.raises(SettingsError, match='workers'):
        run_ordered([1], units.work, workers=0)
    assert run_ordered([], units.work, workers=4) == []
