"""The script `run`: a stage of the tests that breaks off is a failure that says so."""

from pathlib import Path
import subprocess

import pytest

ROOT = Path(__file__).resolve().parents[1]
CLOSING = 'echo "== 3 passed, 1 skipped in 2.50s =="'
DESTROYS = r'echo "  File \"/x/rclpy/node.py\", line 1965 in destroy_node"'
LOCKS_UP = f'{DESTROYS}; kill -ABRT $$'


@pytest.mark.parametrize(
    ('command', 'status', 'said', 'total'),
    [
        (CLOSING, 0, '', '3 passed, 0 failed, 1 skipped'),
        ('echo "= 2 failed, 3 passed in 9.1s ="; exit 1', 1, '', '3 passed, 2 failed, 0 skipped'),
        ('echo ..; kill -ABRT $$', 134, 'broken off: unit, exit code 134', '0 passed, 1 failed'),
        (LOCKS_UP, 134, 'was destroyed, see above; once more', '0 passed, 1 failed'),
        (f'[ -e ran ] || {{ touch ran; {LOCKS_UP}; }}; {CLOSING}', 0, 'once more', '3 passed, 0'),
        ('exec sleep 60', 124, 'unit: ended after 1 s', '0 passed, 1 failed'),
    ],
    ids=['passed', 'failed', 'killed', 'locks_up', 'locks_up_once', 'too_slow'],
)
def test_a_stage_is_counted_as_it_ended(tmp_path, command, status, said, total):
    script = f'source ./run help >/dev/null; cd {tmp_path}; stage_limit_s=1; result=0\n'
    script += 'stage unit "$1" bash -c "$2" || result=$?; total "$1"; echo "result $result"'
    done = subprocess.run(
        ['bash', '-c', script, 'bash', str(tmp_path / 'log'), command],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert said in done.stdout + done.stderr
    assert total in done.stdout
    assert done.stdout.endswith(f'result {status}\n')
