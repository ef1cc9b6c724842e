"""Types of messages that a recording describes itself."""

import time

from depth_perception.evaluation.bag_parts import Channel, DamagedError
from depth_perception.evaluation.bag_types import MessageTypes, typestore
from depth_perception.evaluation.bags import Recording
import numpy as np
import pytest

rosbag2 = pytest.importorskip('rosbags.rosbag2')
typesys = pytest.importorskip('rosbags.typesys')
KIND = 'robot_msgs/msg/Wheel'
TEXT = 'uint8 LEFT=0\nfloat64 angle\nstring name\nrobot_msgs/Gear gear\n' + '=' * 80 + '\n'
TEXT += 'MSG: robot_msgs/Gear\nint16[2] teeth\n'


def described(text, kind=KIND, language='ros2msg'):
    return MessageTypes([Channel('/x', kind, 'cdr', text, language)])


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_a_type_of_the_recording_is_read(tmp_path, storage):
    store = typestore()
    store.register(typesys.get_types_from_msg(TEXT, KIND))
    gear = store.types['robot_msgs/msg/Gear'](teeth=np.array([7, -9], 'i2'))
    wheel = store.types[KIND](angle=1.5, name='left', gear=gear)
    plugin = rosbag2.StoragePlugin[storage]
    with rosbag2.Writer(tmp_path / 'bag', version=9, storage_plugin=plugin) as writer:
        made = writer.add_connection('/wheel', KIND, typestore=store)
        writer.write(made, 5, store.serialize_cdr(wheel, KIND))
    with Recording(tmp_path / 'bag') as recording:
        found = recording.first('/wheel')
        assert recording.warnings == []
    assert (found.angle, found.name, found.gear.teeth.tolist()) == (1.5, 'left', [7, -9])


def test_idl_is_understood():
    text = 'module robot_msgs {\nmodule msg {\nstruct Wheel {\ndouble angle;\n};\n};\n};\n'
    types = described('=' * 80 + '\nIDL: robot_msgs/msg/Wheel\n' + text, language='ros2idl')
    data = b'\x00\x01\x00\x00' + b'\x00' * 6 + b'\xf8\x3f'
    assert types.message(data, KIND).angle == 1.5


def test_where_the_recording_differs_from_the_standard_it_is_right():
    types = described('int32 sec\nuint32 nanosec\nint32 extra\n', 'builtin_interfaces/msg/Time')
    data = b'\x00\x01\x00\x00' + bytes([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0])
    time_message = types.message(data, 'builtin_interfaces/msg/Time')
    assert (time_message.sec, time_message.nanosec, time_message.extra) == (1, 2, 3)
    assert 'sensor_msgs/msg/Image' in types
    assert (
        types.message(b'\x00\x01\x00\x00\x02\x00\x00\x00a\x00', 'std_msgs/msg/String').data == 'a'
    )


@pytest.mark.parametrize(
    ('text', 'why'),
    [
        ('string[1000000000] names\n', 'elements'),
        ('string[100000] names\n', 'too long'),
        ('float32[4000000000] values\n', 'elements'),
        ('float32 [(', 'wrong'),
        (''.join(f'int32 a{i}\n' for i in range(2000)), 'too long'),
        ('#' * (1 << 19), 'characters'),
        (TEXT.partition('=' * 80)[0], ''),
        (f'{KIND} itself\n', ''),
    ],
    ids=range(8),
)
def test_a_definition_that_is_no_use_is_told_and_nothing_hangs(text, why):
    started = time.monotonic()
    types = described(text)
    assert why in types.warnings.get(KIND, '')
    with pytest.raises(DamagedError):
        types.message(b'\x00\x01\x00\x00' + bytes(64), KIND)
    assert types.message(b'\x00\x01\x00\x00\x01\x00\x00\x00\x00', 'std_msgs/msg/String').data == ''
    assert time.monotonic() - started < 5.0


def test_bytes_that_are_no_message_are_refused():
    types = MessageTypes([])
    for data in (
        b'',
        b'\x00\x01',
        b'\x00\x01\x00\x00\xff\xff\xff\xffabc',
        b'\x00\x07' + bytes(20),
    ):
        with pytest.raises(DamagedError):
            types.message(data, 'std_msgs/msg/String')
    with pytest.raises(DamagedError):
        types.message(b'\x00\x01\x00\x00\x02\x00\x00\x00\xff\x00', 'std_msgs/msg/String')
