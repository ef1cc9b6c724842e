"""Recordings: what is written is read back, in order of time, and what is damaged is told."""

from contextlib import closing
import hashlib
import sqlite3

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import RecordingError
from depth_perception.evaluation.bag_hash import sha256_of, storage_files
from depth_perception.evaluation.bag_writer import BagWriter
from depth_perception.evaluation.bags import Recording, typestore
import numpy as np
import pytest

rosbag2 = pytest.importorskip('rosbags.rosbag2')
CAMERA = PinholeCamera(5, 3, 100.0, 110.0, 2.5, 1.25)
FIRST_NS, SECOND_NS = 10_000_000_007, 10_500_000_000
STORE = typestore()


@pytest.fixture
def bag(tmp_path):
    """Return a bag of two pictures, a depth image and two camera_infos."""
    path = tmp_path / 'bag'
    rgb = np.arange(45, dtype=np.uint8).reshape(3, 5, 3)
    depth = np.linspace(1.0, 2.0, 15, dtype=np.float32).reshape(3, 5)
    with BagWriter(path) as writer:
        for stamp_ns in (FIRST_NS, SECOND_NS):
            writer.write_image('/left/image_rect', stamp_ns, 'optical', rgb, 'rgb8')
            writer.write_camera_info('/right/camera_info', stamp_ns, 'optical', CAMERA, 0.2)
        writer.write_image('/depth', SECOND_NS, 'optical', depth, '32FC1')
    return path


def write(path, messages, storage='MCAP', kind='std_msgs/msg/String', store=STORE):
    """Write (topic, log time, message or bytes) as they are."""
    plugin = rosbag2.StoragePlugin[storage]
    made = {}
    with rosbag2.Writer(path, version=9, storage_plugin=plugin) as writer:
        for topic, log_ns, content in messages:
            if topic not in made:
                made[topic] = writer.add_connection(topic, kind, typestore=store)
            raw = content if isinstance(content, bytes) else store.serialize_cdr(content, kind)
            writer.write(made[topic], log_ns, raw)
    return path


def words(*pairs, topic='/words'):
    cls = STORE.types['std_msgs/msg/String']
    return [(topic, log_ns, cls(text)) for log_ns, text in pairs]


def texts(path, **window):
    with Recording(path) as recording:
        return [m.content.data for m in recording.messages(['/words'], **window)]


def test_what_is_written_is_read_back(bag):
    with Recording(bag) as recording:
        messages = list(recording.messages(['/left/image_rect']))
        depth = recording.first('/depth')
        info = recording.first('/right/camera_info')
        assert recording.topics('sensor_msgs/msg/Image') == ['/depth', '/left/image_rect']
        assert recording.warnings == []
    assert [m.stamp_ns for m in messages] == [FIRST_NS, SECOND_NS]
    assert messages[0].content.header.frame_id == 'optical'
    assert messages[0].content.data[42:].tolist() == [42, 43, 44]
    assert depth.data.view('<f4')[14] == 2.0
    assert info.p[3] == pytest.approx(-20.0)


def test_what_is_known_of_a_recording(bag):
    with Recording(bag) as recording:
        assert recording.storage == 'mcap'
        assert recording.bytes == (bag / 'bag.mcap').stat().st_size
        counts = [recording.count(topic) for topic in ('/left/image_rect', '/depth', '/none')]
        assert counts == [2, 1, 0]
        assert recording.start_ns == FIRST_NS
        assert recording.duration_s == pytest.approx(0.499999993, abs=1e-12)


def test_missing_topic_lists_those_there(bag):
    with Recording(bag) as recording, pytest.raises(RecordingError, match='its topics: /depth'):
        recording.first('/image')


def test_what_is_no_bag_is_refused(tmp_path):
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'broken.mcap').write_bytes(b'\x89MCAP0\r\n' + bytes(40))
    for path in (tmp_path / 'none', tmp_path / 'notes', tmp_path / 'broken.mcap'):
        with pytest.raises(RecordingError, match='not a rosbag2'):
            Recording(path)


def test_a_bag_is_never_overwritten(bag):
    with pytest.raises(RecordingError, match='cannot write'):
        BagWriter(bag)


def test_a_bag_cut_before_its_first_message_is_an_error_with_its_cause(bag):
    storage = next(bag.glob('*.mcap'))
    storage.write_bytes(storage.read_bytes()[:300])
    with pytest.raises(RecordingError, match='loss of power'):
        Recording(bag)


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_messages_come_in_order_of_time_whatever_order_they_were_written_in(tmp_path, storage):
    messages = words((30, 'c'), (10, 'a'), (20, 'b1'), (20, 'b2'), (40, 'd'))
    assert texts(write(tmp_path / 'bag', messages, storage)) == ['a', 'b1', 'b2', 'c', 'd']


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
@pytest.mark.parametrize(
    ('window', 'expected'),
    [
        ({'start_ns': 20}, 'bcd'),
        ({'stop_ns': 30}, 'ab'),
        ({'start_ns': 11, 'stop_ns': 31}, 'bc'),
        ({'start_ns': 41}, ''),
    ],
)
def test_a_window_of_time_includes_its_start_and_not_its_end(tmp_path, storage, window, expected):
    messages = words((10, 'a'), (20, 'b'), (30, 'c'), (40, 'd'))
    assert ''.join(texts(write(tmp_path / 'bag', messages, storage), **window)) == expected


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_a_damaged_message_is_left_out_and_counted_once(tmp_path, storage):
    (_, _, last), (_, _, first) = words((3, 'last'), (1, 'first'))
    lying = b'\x00\x01\x00\x00' + (1 << 30).to_bytes(4, 'little') + b'text'
    foreign = b'\xff\xff\xff\xff'
    messages = [('/words', 1, first), ('/words', 2, lying), ('/words', 2, foreign)]
    path = write(tmp_path / 'bag', [*messages, ('/words', 3, last)], storage)
    with Recording(path) as recording:
        assert recording.count('/words') == 4
        for _ in range(2):
            assert [m.log_ns for m in recording.messages(['/words'])] == [1, 3]
            assert recording.damaged == {'/words': 2}
            (warning,) = recording.warnings
            assert warning.startswith('2 damaged messages on /words were left out; the first: ')


def test_a_topic_of_an_unknown_type_is_left_out_if_it_is_asked_for(tmp_path):
    path = write(tmp_path / 'bag', words((1, 'a')), 'SQLITE3')
    with closing(sqlite3.connect(path / 'bag.db3')) as database, database:
        database.execute("UPDATE topics SET type = 'std_msgs/msg/Strong'")
    with Recording(path) as recording:
        assert recording.types == {'/words': 'std_msgs/msg/Strong'}
        assert recording.warnings == []
        assert list(recording.messages(['/words'])) == []
        assert "'std_msgs/msg/Strong' is not known" in recording.warnings[0]
        with pytest.raises(RecordingError, match='nothing that can be read'):
            recording.first('/words')


def test_the_hash_is_that_of_the_messages_not_of_the_name(bag, tmp_path):
    content = (bag / 'bag.mcap').read_bytes()
    expected = hashlib.sha256(content).hexdigest()
    renamed = tmp_path / 'other'
    bag.rename(renamed)
    (renamed / 'bag.mcap').rename(renamed / 'x.mcap')
    (renamed / 'metadata.yaml').unlink()
    assert sha256_of(renamed) == expected
    assert sha256_of(renamed / 'x.mcap') == expected
    (renamed / 'x.mcap').write_bytes(content[:-1])
    assert sha256_of(renamed) != expected


def test_the_hash_takes_parts_in_order(tmp_path):
    for number in (10, 2, 1):
        (tmp_path / f'bag_{number}.mcap').write_bytes(b'%d' % number)
    assert [file.name[4:-5] for file in storage_files(tmp_path)] == ['1', '2', '10']
    assert sha256_of(tmp_path) == hashlib.sha256(b'1210').hexdigest()
    with pytest.raises(RecordingError, match='does not exist'):
        sha256_of(tmp_path / 'none')
