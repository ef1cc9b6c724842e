"""ctrl-C in the midst of an evaluation: what is done is kept, and the same command carries on."""

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip('rosbags')
pytest.importorskip('cv2')
pytest.importorskip('scipy')
ROOT = Path(__file__).resolve().parents[2]
FRAMES = 60
TIMED = ('latency_ms', 'network_ms', 'metrics_ms')


def command(bag, out, *more):
    words = ['evaluate', str(bag), '--model', 'sgbm', '--no-pictures', '--out', str(out), *more]
    return [sys.executable, '-m', 'depth_perception.cli.main', *words]


def started(bag, out, *more):
    return subprocess.Popen(
        command(bag, out, *more),
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def columns(out):
    run = json.loads((out / 'report.json').read_text())['runs'][0]
    return run, {k: v for k, v in run['columns'].items() if not k.endswith(TIMED)}


@pytest.mark.parametrize('workers', ['1', '2'])
def test_interrupted_work_is_kept_and_carried_on(tmp_path, evaluation_bags, workers):
    bag = evaluation_bags.write_stereo(tmp_path / 'bag', FRAMES)
    out = tmp_path / 'out'
    running = started(bag, out, '--workers', workers)
    end_s = time.monotonic() + 120.0
    while not any(path.stat().st_size > 20_000 for path in out.glob('frames/*.jsonl')):
        assert time.monotonic() < end_s
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGINT)  # as the terminal does
    said = running.communicate(timeout=120.0)[1]
    assert running.returncode == 130, said
    assert 'Traceback' not in said
    run, before = columns(out)
    assert run['status'] == 'partial'
    done = len(run['stamps_ns'])
    assert 0 < done < FRAMES
    assert subprocess.run(
        command(bag, out), cwd=ROOT, env={**os.environ, 'PYTHONPATH': str(ROOT)}, check=False,
        capture_output=True, timeout=240.0,
    ).returncode == 0  # fmt: skip
    run, after = columns(out)
    assert (run['status'], len(run['stamps_ns'])) == ('complete', FRAMES)
    assert all(after[key][:done] == before[key] for key in before)
