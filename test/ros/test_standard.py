"""The standard packages and our own do the same; tests marked apt run where the former are."""

from array import array
import importlib.util

from depth_perception.errors import FrameError, SettingsError
from depth_perception.messages.clouds import xyz_from_cloud
from depth_perception.messages.images import picture_from_image
from depth_perception.ros import standard
from depth_perception.ros.standard import (
    bgr_by_cv_bridge,
    make_synchroniser,
    synchroniser,
    xyz_by_sensor_msgs_py,
)
import numpy as np
import pytest
from sensor_msgs.msg import Image, PointCloud2, PointField

pytestmark = pytest.mark.ros
MS = 1_000_000


def needs(package):
    """Return the marks of a test that compares with a package of a full ROS installation."""
    there = importlib.util.find_spec(package) is not None
    reason = f'{package} comes with a full ROS 2 installation (apt)'
    return [pytest.mark.apt, pytest.mark.skipif(not there, reason=reason)]


both = pytest.mark.parametrize(
    'installed', [False, pytest.param(True, marks=needs('message_filters'))]
)


def stream(seed, count, frames, jitter_ns):
    """Return (index, stamp, item) in order of arrival: with jitter, drops and late messages."""
    rng = np.random.default_rng(seed)
    events = []
    for frame in range(frames):
        for index in range(count):
            if rng.random() > 0.1:
                stamp = (frame + 1) * 33 * MS + int(rng.integers(-jitter_ns, jitter_ns + 1))
                arrival = stamp + int(rng.integers(0, 60 * MS))
                events.append((arrival, index, stamp, f'{index}:{frame}'))
    return [event[1:] for event in sorted(events)]


def sets_of(synchroniser, events):
    matched = [synchroniser.add(*event) for event in events]
    return [items for items in matched if items is not None]


@pytest.mark.parametrize('count', [2, 4])
@pytest.mark.parametrize('tolerance_ns', [None, 10 * MS])
@pytest.mark.parametrize('seed', range(10))
@pytest.mark.apt
@pytest.mark.skipif(not importlib.util.find_spec('message_filters'), reason='needs a full ROS 2')
def test_message_filters_pair_as_we_do(count, tolerance_ns, seed):
    events = stream(seed, count, 200, jitter_ns=0 if tolerance_ns is None else 4 * MS)
    ours = synchroniser(count, tolerance_ns, 5, standard=False)
    theirs = synchroniser(count, tolerance_ns, 5, standard=True)
    sets = sets_of(ours, events)
    assert sets == sets_of(theirs, events)
    assert len(sets) > 60
    assert all(len({item.split(':')[1] for item in items}) == 1 for items in sets)


@both
def test_equal_stamps_make_a_set(installed):
    pairing = synchroniser(2, None, 5, standard=installed)
    assert pairing.add(0, 33 * MS, 'left') is None
    assert pairing.add(1, 33 * MS + 1, 'late') is None
    assert pairing.add(1, 33 * MS, 'right') == ('left', 'right')


@both
def test_tolerance_includes_its_end(installed):
    for apart, fits in ((10 * MS, True), (10 * MS + 1, False)):
        pairing = synchroniser(2, 10 * MS, 5, standard=installed)
        pairing.add(1, 100 * MS, 'right')
        assert (pairing.add(0, 100 * MS + apart, 'left') is not None) == fits


@both
def test_jump_back_does_not_block_the_inputs(installed):
    pairing = synchroniser(2, None, 3, standard=installed)
    for frame in range(100, 110):
        pairing.add(0, frame * 1000 * MS, 'left')
    for frame in range(4):
        pairing.add(0, frame * MS, f'left {frame}')
        matched = pairing.add(1, frame * MS, f'right {frame}')
        assert matched == (f'left {frame}', f'right {frame}')
    assert pairing.resets == 1


@both
def test_small_step_back_is_no_jump_and_old_sets_stay_away(installed):
    pairing = synchroniser(2, None, 5, standard=installed)
    pairing.add(0, 500 * MS, 'a')
    assert pairing.add(1, 500 * MS, 'b') == ('a', 'b')
    pairing.add(0, 400 * MS, 'c')
    assert pairing.add(1, 400 * MS, 'd') is None
    assert pairing.resets == 0


@both
def test_repeated_stamp_makes_no_second_set(installed):
    pairing = synchroniser(2, None, 5, standard=installed)
    for frame in range(3):
        pairing.add(0, 0, f'left {frame}')
        matched = pairing.add(1, 0, f'right {frame}')
        assert matched == (('left 0', 'right 0') if frame == 0 else None)


@both
@pytest.mark.parametrize('stamp_ns', [-1, 2**31 * 1_000_000_000])
def test_stamp_that_no_clock_gives_is_dropped(installed, stamp_ns):
    pairing = synchroniser(2, None, 5, standard=installed)
    assert pairing.add(0, stamp_ns, 'left') is None
    assert (pairing.waiting(), pairing.dropped) == ([0, 0], [1, 0])


@both
def test_every_unpaired_item_is_counted(installed):
    pairing = synchroniser(2, None, 3, standard=installed)
    for stamp in range(10):
        pairing.add(0, stamp * MS, 'left')
    assert (pairing.waiting(), pairing.dropped) == ([3, 0], [7, 0])
    pairing.add(1, 9 * MS, 'right')
    assert sum(pairing.waiting()) + sum(pairing.dropped) == 9
    pairing.reset()
    assert (pairing.waiting(), pairing.dropped) == ([0, 0], [9, 0])


def test_factory_takes_what_is_installed():
    pairing = make_synchroniser(2, approximate=True, tolerance_s=0.01, queue_size=5)
    pairing.add(0, 0, 'left')
    assert pairing.add(1, 10 * MS, 'right') == ('left', 'right')
    exact = make_synchroniser(2, approximate=False, tolerance_s=0.01, queue_size=5)
    exact.add(0, 0, 'left')
    assert exact.add(1, 1, 'right') is None


@pytest.mark.parametrize(
    'wrong', [{'count': 0}, {'tolerance_s': -1.0}, {'tolerance_s': np.nan}, {'queue_size': 0}]
)
def test_factory_refuses_wrong_numbers(wrong):
    arguments = {'count': 2, 'tolerance_s': 0.01, 'queue_size': 5, **wrong}
    with pytest.raises(SettingsError, match='wants'):
        make_synchroniser(approximate=True, **arguments)


def test_report_names_every_package_and_what_serves():
    report = standard.installation_report()
    assert set(report) == {'message_filters', 'cv_bridge', 'sensor_msgs_py'}
    for package, text in report.items():
        there = importlib.util.find_spec(package) is not None
        assert text.startswith('own') or there
        assert text != 'own'


@pytest.mark.parametrize('error', [ImportError, AttributeError, SystemError])
def test_broken_package_does_not_break_us(error, monkeypatch):
    def fail(name):
        raise error(f'{name}: numpy.core.multiarray failed to import')

    standard._importable.cache_clear()
    standard._cv_bridge.cache_clear()
    monkeypatch.setattr(standard.importlib, 'import_module', fail)
    try:
        report = standard.installation_report()
        assert all('broken: ' in text and 'multiarray' in text for text in report.values())
        assert standard.bgr_by_cv_bridge(Image()) is None
        with pytest.raises(FrameError, match='rgb16'):
            picture_from_image(
                image(np.zeros((2, 3, 3), np.uint16), 'rgb16'), foreign=bgr_by_cv_bridge
            )
    finally:
        standard._importable.cache_clear()
        standard._cv_bridge.cache_clear()


def image(pixels, encoding, *, padding=0, big_endian=False):
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], -1)
    rubbish = np.full((rows.shape[0], padding), 0xAB, np.uint8)
    msg = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    msg.step, msg.is_bigendian = rows.shape[1] + padding, int(big_endian)
    msg.data = array('B', np.hstack([rows, rubbish]).tobytes())
    return msg


@pytest.mark.apt
@pytest.mark.skipif(not importlib.util.find_spec('cv_bridge'), reason='needs a full ROS 2')
@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize(
    ('encoding', 'channels'),
    [
        ('rgb8', 3), ('bgr8', 3), ('mono8', 1), ('rgba8', 4), ('bgra8', 4), ('bayer_rggb8', 1),
        ('bayer_bggr8', 1), ('bayer_gbrg8', 1), ('bayer_grbg8', 1), ('yuv422', 2),
        ('yuv422_yuy2', 2),
    ],
)  # fmt: skip
def test_cv_bridge_gives_the_pixels_that_we_give(encoding, channels, padding):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, channels), np.uint8)
    msg = image(pixels, encoding, padding=padding)
    picture = picture_from_image(msg, foreign=bgr_by_cv_bridge)
    bgr = picture.pixels[..., ::-1] if picture.order == 'rgb' else picture.pixels
    if picture.order == 'grey':
        bgr = np.repeat(picture.pixels[..., None], 3, axis=2)
    np.testing.assert_array_equal(standard.bgr_by_cv_bridge(msg), bgr)


@pytest.mark.apt
@pytest.mark.skipif(not importlib.util.find_spec('cv_bridge'), reason='needs a full ROS 2')
@pytest.mark.parametrize('order', '<>')
def test_cv_bridge_reads_encodings_that_we_do_not_know(order):
    values = np.random.default_rng(0).integers(0, 65535, (3, 4, 3), np.uint16)
    msg = image(values.astype(f'{order}u2'), 'rgb16', padding=4, big_endian=order == '>')
    picture = picture_from_image(msg, foreign=bgr_by_cv_bridge)
    assert picture.order == 'bgr'
    difference = picture.pixels[..., ::-1] - values / 257.0
    assert np.abs(difference).max() <= 0.51


@pytest.mark.apt
@pytest.mark.skipif(not importlib.util.find_spec('sensor_msgs_py'), reason='needs a full ROS 2')
@pytest.mark.parametrize('height', [1, 4])
def test_sensor_msgs_py_reads_the_points_that_we_read(height, monkeypatch):
    table = np.random.default_rng(0).normal(size=(12, 5)).astype('<f4')
    table[3, 1] = np.nan
    msg = PointCloud2(height=height, width=12 // height, point_step=20, row_step=240 // height)
    msg.fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate(['intensity', 'x', 'y', 'z', 'ring'])
    ]
    msg.data = array('B', table.tobytes())
    assert standard.xyz_by_sensor_msgs_py(msg) is not None
    theirs = xyz_from_cloud(msg, xyz_by_sensor_msgs_py)
    np.testing.assert_array_equal(theirs, xyz_from_cloud(msg))
    assert theirs.shape == (11, 3)
