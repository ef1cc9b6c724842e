"""Damaged recordings from end to end: every good frame is judged, and the report says the rest."""

from pathlib import Path
from types import SimpleNamespace

from depth_perception.evaluation.bag_writer import BagWriter
from depth_perception.evaluation.bags import typestore
from depth_perception.evaluation.plan import make_plan, Request
from depth_perception.evaluation.runner import evaluate_unit
from depth_perception.evaluation.units import choose_models
import numpy as np
import pytest

rosbag2 = pytest.importorskip('rosbags.rosbag2')
pytest.importorskip('cv2')
pytest.importorskip('scipy')
LEFT = '/left/image_rect'
FOREVER = SimpleNamespace(progress=lambda *_: None, should_stop=lambda: False)


@pytest.fixture
def evaluated(tmp_path, evaluation_bags):
    """Return a function: the entry of a bag in the report, and the run of SGBM on it."""

    def evaluate(bag):
        models = tuple(choose_models([evaluation_bags.SGBM], []))
        plan = make_plan(Request((bag,), models, tmp_path / 'out'))
        assert plan.problems == {}
        (unit,) = plan.units
        return plan.bags[0], evaluate_unit(unit, FOREVER)

    return evaluate


def rewritten(source: Path, target: Path, change):
    """Copy a bag with `change(topic, number, data)` applied to each message."""
    numbers: dict[str, int] = {}
    with (
        rosbag2.Reader(source) as reader,
        rosbag2.Writer(target, version=9, storage_plugin=rosbag2.StoragePlugin.MCAP) as writer,
    ):
        connections = {
            c.topic: writer.add_connection(c.topic, c.msgtype, typestore=typestore())
            for c in reader.connections
        }
        for connection, log_ns, data in reader.messages(reader.connections):
            number = numbers.setdefault(connection.topic, 0)
            numbers[connection.topic] += 1
            writer.write(
                connections[connection.topic], log_ns, change(connection.topic, number, data)
            )
    return target


def assert_judged(run, stamps_ns):
    """Check that exactly these frames were served, and that their figures are right."""
    assert run['stamps_ns'] == stamps_ns
    assert run['status'] == 'complete'
    assert np.max(run['columns']['online/abs_rel'][:-1]) < 0.02  # NaN fails
    assert not run['columns']['online/abs_rel'][-1] >= 0.02  # its truth may be cut off


@pytest.mark.parametrize('metadata', [True, False])
@pytest.mark.parametrize('kept', [0.45, 0.8, 0.9])
def test_truncated(tmp_path, evaluation_bags, evaluated, kept, metadata):
    bag = evaluation_bags.write_stereo(tmp_path / 'bag', frames=12)
    (storage,) = bag.glob('*.mcap')
    content = storage.read_bytes()
    storage.write_bytes(content[: int(kept * len(content))])
    if not metadata:
        (bag / 'metadata.yaml').unlink()
    entry, run = evaluated(bag)
    frames = len(run['stamps_ns'])
    assert int(12 * kept) - 1 <= frames < 12
    assert_judged(run, [evaluation_bags.stamp_ns(number) for number in range(frames)])
    assert 'is lost' in ' '.join(entry['warnings'])
    assert 'is lost' in ' '.join(run['warnings'])


def test_one_message_that_cannot_be_decoded(tmp_path, evaluation_bags, evaluated):
    bag = rewritten(
        evaluation_bags.write_stereo(tmp_path / 'good'),
        tmp_path / 'bad',
        lambda topic, number, data: data[:5000] if (topic, number) == (LEFT, 2) else data,
    )
    _, run = evaluated(bag)
    assert_judged(run, [evaluation_bags.stamp_ns(number) for number in (0, 1, 3, 4, 5)])
    assert f'1 damaged message on {LEFT} was left out' in ' '.join(run['warnings'])


def test_one_image_that_is_shorter_than_it_says(tmp_path, evaluation_bags, evaluated):
    def shorten(topic, number, data):
        """Leave the last 100 pixels out, in the length of the sequence as well."""
        if (topic, number) != (LEFT, 4):
            return data
        pixels = evaluation_bags.WIDTH * evaluation_bags.HEIGHT
        length = pixels.to_bytes(4, 'little')
        assert data.count(length) == 1
        return data[: -100 - (len(data) - data.index(length) - 4 - pixels)].replace(
            length, (pixels - 100).to_bytes(4, 'little')
        )

    bag = rewritten(evaluation_bags.write_stereo(tmp_path / 'good'), tmp_path / 'bad', shorten)
    _, run = evaluated(bag)
    assert_judged(run, [evaluation_bags.stamp_ns(number) for number in (0, 1, 2, 3, 5)])
    assert run['drops'] == {'truncated': 1}
    assert 'data has 19100 bytes' in ' '.join(run['warnings'])


def test_the_clock_of_the_recorder_jumps_back(tmp_path, evaluation_bags, evaluated):
    """The recorder wrote frames 3 to 5 with earlier times than 0 to 2; the cameras did not."""
    stamps = [evaluation_bags.stamp_ns(number) for number in range(6)]
    logs = [stamp - (10**9 if number > 2 else 0) for number, stamp in enumerate(stamps)]
    bag = evaluation_bags.write_stereo(tmp_path / 'bag', stamps=stamps, logs=logs)
    _, run = evaluated(bag)
    assert_judged(run, [*stamps[3:], *stamps[:3]])
    assert 'jumped back' in ' '.join(run['warnings'])


def test_a_cloud_without_tf_is_no_truth_but_frames_are_served(
    tmp_path, evaluation_bags, evaluated
):
    bag = evaluation_bags.write_stereo(tmp_path / 'good', truth='none', moving=False)
    with BagWriter(tmp_path / 'clouds') as writer:
        for number in range(6):
            points = np.ones((50, 4), np.float32)
            writer.write_points('/points', evaluation_bags.stamp_ns(number), 'lidar', points)
    (bag / 'metadata.yaml').unlink()
    next((tmp_path / 'clouds').glob('*.mcap')).rename(bag / 'more.mcap')
    _, run = evaluated(bag)
    assert run['stamps_ns'] == [evaluation_bags.stamp_ns(number) for number in range(6)]
    assert run['truth']['kind'] == 'cloud'
    assert run['drops'] == {'served without truth': 6}
    assert 'frames without truth' in ' '.join(run['warnings'])
    assert 'lidar' in ' '.join(run['warnings'])
    assert 'online/abs_rel' not in run['columns']
    assert np.all(np.isfinite(run['columns']['online/latency_ms']))
