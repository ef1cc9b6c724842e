from array import array
import contextlib

from depth_perception.errors import FrameError
from depth_perception.messages.clouds import xyz_from_cloud
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2, PointField

pytestmark = pytest.mark.ros


POINTS = np.array(
    [[1.5, -2.0, 3.25], [4.0, 5.0, -6.0], [np.nan, 1.0, 1.0], [7.0, np.inf, 1.0], [0.5, 0.25, 2.0],
     [9.0, 8.0, 7.0]], np.float32,
)  # fmt: skip


def cloud(points=POINTS, *, height=1, kind='f4', order='<', point_pad=0, row_pad=0):
    """Return a cloud with fields z, y, x (in this order) and padding."""
    dtype = np.dtype(
        {
            'names': ['z', 'y', 'x'],
            'formats': [order + kind] * 3,
            'offsets': [np.dtype(kind).itemsize * i for i in range(3)],
            'itemsize': 3 * np.dtype(kind).itemsize + point_pad,
        }
    )
    table = np.zeros(len(points), dtype)
    for column, name in enumerate('xyz'):
        table[name] = points[:, column]
    rows = np.frombuffer(table.tobytes(), np.uint8).reshape(height, -1)
    padded = np.hstack([rows, np.full((height, row_pad), 0xAB, np.uint8)])
    datatype = PointField.FLOAT32 if kind == 'f4' else PointField.FLOAT64
    msg = PointCloud2(height=height, width=len(points) // height, is_bigendian=order == '>')
    msg.point_step, msg.row_step = dtype.itemsize, padded.shape[1]
    msg.fields = [
        PointField(name=name, offset=dtype.fields[name][1], datatype=datatype, count=1)
        for name in dtype.names
    ]
    msg.data = array('B', padded.tobytes())
    return msg


@pytest.mark.parametrize('kind', ['f4', 'f8'])
@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize(('height', 'row_pad'), [(1, 0), (1, 5), (2, 0), (3, 7)])
def test_any_layout_gives_its_finite_points(kind, order, height, row_pad):
    msg = cloud(height=height, kind=kind, order=order, point_pad=3, row_pad=row_pad)
    before = bytes(msg.data)
    xyz = xyz_from_cloud(msg)
    assert xyz.dtype == np.float32
    np.testing.assert_array_equal(xyz, POINTS[[0, 1, 4, 5]])
    assert bytes(msg.data) == before


def test_empty_cloud_has_no_points():
    msg = cloud()
    msg.width, msg.data = 0, array('B')
    assert xyz_from_cloud(msg).shape == (0, 3)


@pytest.mark.parametrize(
    'other',
    [
        {'name': 'x_', 'datatype': 99, 'count': 1},
        {'name': 'pad', 'datatype': 7, 'count': 0},
        {'name': 'pad', 'datatype': 8, 'count': 1, 'offset': 2**32 - 1},
    ],
)
def test_unsound_fields_that_nobody_asks_for_do_no_harm(other):
    msg = cloud()
    msg.fields = [*msg.fields, PointField(**other), PointField(**other)]
    np.testing.assert_array_equal(xyz_from_cloud(msg), POINTS[[0, 1, 4, 5]])


def test_float64_beyond_float32_is_left_out():
    points = np.array([[1e300, 0.0, 1.0], [1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(xyz_from_cloud(cloud(points, kind='f8')), [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize(
    ('changes', 'cause', 'seen'),
    [
        ({'width': 7}, 'truncated', '72 bytes'),
        ({'width': 2**32 - 1, 'height': 2**32 - 1}, 'too_large', 'limit'),
        ({'height': 3, 'width': 2, 'row_step': 23}, 'step', 'row_step 23'),
        ({'height': 3, 'width': 2, 'row_step': 2**32 - 1}, 'truncated', 'bytes'),
        ({'point_step': 11}, 'step', 'point_step 11'),
        ({'point_step': 0}, 'step', 'point_step 0'),
        ({'point_step': 2**32 - 1}, 'truncated', 'bytes'),
        ({'data': array('B')}, 'truncated', '0 bytes'),
        ({'fields': []}, 'fields', 'none'),
        ({'fields': [PointField(name='x', datatype=7, count=1)] * 2}, 'fields', 'x:7x1, x:7x1'),
        ({'fields': [PointField(name=n, datatype=99, count=1) for n in 'xyz']}, 'fields', 'x:99'),
        ({'fields': [PointField(name=n, datatype=7, count=9) for n in 'xyz']}, 'fields', 'x:7x9'),
        (
            {'fields': [PointField(name=n, datatype=7, offset=2**32 - 1) for n in 'xyz']},
            'step',
            '4294967295',
        ),
    ],
)
def test_lying_cloud_is_refused_with_its_cause(changes, cause, seen):
    msg = cloud()
    for name, value in changes.items():
        setattr(msg, name, value)
    with pytest.raises(FrameError, match=seen) as caught:
        xyz_from_cloud(msg)
    assert caught.value.cause == cause


@settings(deadline=None)
@given(
    size=st.tuples(st.integers(0, 9), st.integers(0, 4)),
    steps=st.tuples(st.integers(0, 24), st.integers(0, 100)),
    offsets=st.tuples(*[st.integers(0, 24)] * 3),
    datatypes=st.tuples(*[st.integers(0, 9)] * 3),
    length=st.integers(0, 200),
)
def test_whatever_the_header_says_no_other_error_comes(size, steps, offsets, datatypes, length):
    msg = PointCloud2(width=size[0], height=size[1], point_step=steps[0], row_step=steps[1])
    msg.data = array('B', bytes(length))
    msg.fields = [
        PointField(name=name, offset=offset, datatype=datatype, count=1)
        for name, offset, datatype in zip('xyz', offsets, datatypes, strict=True)
    ]
    with contextlib.suppress(FrameError):
        assert xyz_from_cloud(msg).shape == (size[0] * size[1], 3)
