"""evaluate on a Dask cluster of this machine: the same report, though a worker is killed."""

import functools
import json
import os
import signal

from depth_perception.cli.main import main
from depth_perception.evaluation import evaluate as evaluation
from depth_perception.evaluation.schedule_parts import Event
import numpy as np
import pytest

distributed = pytest.importorskip('distributed')
pytest.importorskip('rosbags')
pytest.importorskip('cv2')
pytest.importorskip('scipy')
TIMED = ('latency_ms', 'network_ms', 'metrics_ms')


@pytest.fixture
def cluster():
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host='127.0.0.1',
        dashboard_address='127.0.0.1:0',
    ) as cluster:
        yield cluster


def steady_runs(out):
    """Return the runs without what depends on the clock."""
    runs = json.loads((out / 'report.json').read_text())['runs']
    for run in runs:
        run['columns'] = {k: v for k, v in run['columns'].items() if not k.endswith(TIMED)}
        run['totals'].pop('online/live_drop_rate')
        run.pop('pictures')
    return runs


def test_a_killed_worker_changes_nothing(cluster, tmp_path, evaluation_bags, monkeypatch, capsys):
    bags = [str(evaluation_bags.write_stereo(tmp_path / f'bag{n}', 12 + n)) for n in range(4)]
    command = ['evaluate', *bags, '--model', 'sgbm', '--no-pictures']
    assert main([*command, '--out', str(tmp_path / 'here')]) == 0
    killed = []
    run_ordered = evaluation.run_ordered

    def killing(*arguments, on_event, **options):
        def hear(event: Event):
            on_event(event)
            if event.kind == 'started' and not killed:
                killed.append(int(event.worker.rpartition(':')[2]))
                os.kill(killed[0], signal.SIGKILL)

        return run_ordered(*arguments, on_event=hear, **options)

    monkeypatch.setattr(evaluation, 'run_ordered', killing)
    address = cluster.scheduler_address
    assert main([*command, '--out', str(tmp_path / 'there'), '--scheduler', address]) == 0
    assert killed
    assert killed[0] != os.getpid()
    np.testing.assert_equal(steady_runs(tmp_path / 'there'), steady_runs(tmp_path / 'here'))
    assert [run['bag'] for run in steady_runs(tmp_path / 'there')] == [f'bag{n}' for n in range(4)]


def test_a_cluster_that_is_not_there_is_told(tmp_path, evaluation_bags, monkeypatch, capsys):
    hasty = functools.partial(evaluation.run_ordered, connect_s=1.0)
    monkeypatch.setattr(evaluation, 'run_ordered', hasty)
    bag = evaluation_bags.write_stereo(tmp_path / 'bag', 2)
    out = str(tmp_path / 'out')
    assert main(['evaluate', str(bag), '--out', out, '--scheduler', 'tcp://127.0.0.1:9']) == 2
    assert 'tcp://127.0.0.1:9' in capsys.readouterr().err
