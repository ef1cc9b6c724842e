"""What surrounds an image, from messages of references and of TF; good ones and bad ones."""

from array import array
import math
from types import SimpleNamespace as Message

from depth_perception.core.camera import PinholeCamera
from depth_perception.messages.locating import frames_wanted
from depth_perception.messages.references import ReferenceBuffer
from depth_perception.parameters import MonoSettings, StereoSettings
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

CAMERA = PinholeCamera(160, 120, 200.0, 190.0, 78.5, 61.25)
S = 10**9
NOW = 1_700_000_000 * S
EYE = 'eye'
POINTS = np.array([[0.5, -0.25, 2.0], [-0.4, 0.3, 4.0], [0.1, 0.6, 3.0]])
IN_OPTICAL = (-0.5, 0.5, -0.5, 0.5)  # a body frame (x ahead) sees an optical one turned by this
UNIT = (0.0, 0.0, 0.0, 1.0)


def header(stamp_ns, frame=EYE):
    sec, nanosec = divmod(stamp_ns, S)
    return Message(frame_id=frame, stamp=Message(sec=sec, nanosec=nanosec))


def cloud(points, stamp_ns=NOW, frame=EYE, *, names='xyz', kind='<f4', rows=1, **changes):
    """Return a cloud whose columns are numbers of one kind."""
    table = np.asarray(points, kind)
    size = table.dtype.itemsize
    fields = [
        Message(name=name, offset=size * i, datatype={4: 7, 8: 8}[size], count=1)
        for i, name in enumerate(names)
    ]
    made = Message(
        header=header(stamp_ns, frame), height=rows, width=len(table) // rows, fields=fields,
        is_bigendian=kind[0] == '>', point_step=size * len(fields),
        row_step=size * len(fields) * (len(table) // rows), is_dense=True,
        data=array('B', table.tobytes()),
    )  # fmt: skip
    vars(made).update(changes)
    return made


def depth_image(values, stamp_ns=NOW, frame=EYE, encoding='32FC1', **changes):
    values = np.asarray(values, {'32FC1': '<f4', '16UC1': '<u2'}[encoding])
    made = Message(
        header=header(stamp_ns, frame), height=values.shape[0], width=values.shape[1],
        encoding=encoding, is_bigendian=0, step=values.strides[0], data=values.tobytes(),
    )  # fmt: skip
    vars(made).update(changes)
    return made


def info(camera, frame=EYE, stamp_ns=NOW):
    c = camera
    roi = Message(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    return Message(
        header=header(stamp_ns, frame), width=c.width, height=c.height, roi=roi, binning_x=0,
        binning_y=0, distortion_model='plumb_bob', d=np.zeros(5),
        k=np.array([c.fx, 0, c.cx, 0, c.fy, c.cy, 0, 0, 1.0]), r=np.eye(3).ravel(),
        p=np.array([c.fx, 0, c.cx, 0, 0, c.fy, c.cy, 0, 0, 0, 1.0, 0]),
    )  # fmt: skip


def transforms(*edges):
    """Return a TFMessage of (parent, child, stamp_ns, translation, quaternion)."""
    return Message(
        transforms=[
            Message(
                header=header(stamp_ns, parent), child_frame_id=child,
                transform=Message(
                    translation=Message(**dict(zip('xyz', t, strict=True))),
                    rotation=Message(**dict(zip('xyzw', q, strict=True))),
                ),
            )
            for parent, child, stamp_ns, t, q in edges
        ]
    )  # fmt: skip


def buffer_of(**given):
    return ReferenceBuffer(MonoSettings(**given))


def around(buffer, stamp_ns=NOW):
    return buffer.surroundings_at(stamp_ns, CAMERA, EYE)


def expected(points):
    """Return (u, v, rho) of points in the frame of the camera, by rising rho."""
    x, y, z = np.asarray(points, float).T
    table = np.stack([CAMERA.fx * x / z + CAMERA.cx, CAMERA.fy * y / z + CAMERA.cy, 1 / z])
    return table[:, np.argsort(table[2])]


def found(references):
    table = np.stack([references.u, references.v, references.rho])
    return table[:, np.argsort(table[2])]


def test_nothing_is_known_without_messages():
    surroundings = around(buffer_of())
    assert surroundings.references is None
    assert surroundings.ground is None
    assert surroundings.fixed_from_camera is None
    assert surroundings.problem == ''


@pytest.mark.parametrize('kind', ['<f4', '>f4', '<f8', '>f8'])
@pytest.mark.parametrize('rows', [1, 3])
def test_clouds_of_any_layout(kind, rows):
    buffer = buffer_of()
    buffer.add('reference/points', cloud(POINTS, kind=kind, rows=rows))
    references = around(buffer).references
    np.testing.assert_allclose(found(references), expected(POINTS), rtol=1e-5)


def test_only_position_counts_and_a_sigma_field_wins():
    times = np.array([9.0, 8.0, 7.0])[:, None]
    sigmas = np.array([0.5, np.nan, 0.25])[:, None]
    table = np.hstack([times, POINTS, sigmas])
    buffer = buffer_of(reference__sigma_m=0.1, reference__sigma_relative=0.0)
    buffer.add('reference/points', cloud(table, names=['time', *'xyz', 'uncertainty']))
    references = around(buffer).references
    order = np.argsort(references.rho)
    np.testing.assert_allclose(
        references.sigma_rho[order], [0.1 / 16, 0.25 / 9, 0.5 / 4], rtol=1e-6
    )


def test_a_laser_is_placed_by_static_tf():
    buffer = buffer_of()
    buffer.locator.add(
        transforms(
            ('base', EYE, 0, (0.3, 0.0, 0.5), IN_OPTICAL),
            ('base', 'laser', 0, (0.1, 0.2, 0.9), UNIT),
        ),
        static=True,
    )
    # Ahead of the laser by 3, to its left by 0.4, below it by 0.6.
    buffer.add('reference/points', cloud([[3.0, 0.4, -0.6]], frame='laser'))
    # In the camera: right = -(0.4 + 0.2), down = -(0.9 - 0.6 - 0.5), ahead = 3 + 0.1 - 0.3.
    np.testing.assert_allclose(
        found(around(buffer).references), expected([[-0.6, 0.2, 2.8]]), rtol=1e-6
    )


def test_extrinsics_win_over_tf():
    buffer = buffer_of(reference__extrinsics='0.2, -0.4, -0.2, 1.5707963, -1.5707963, 0')
    buffer.add('reference/points', cloud([[3.0, 0.4, -0.6]], frame='laser'))
    np.testing.assert_allclose(
        found(around(buffer).references), expected([[-0.2, 0.2, 2.8]]), rtol=1e-5
    )
    assert around(buffer).problem == ''


def driving(buffer, speed=2.0, until_ns=NOW):
    """Let the base drive ahead at some m/s from one second before now, and turn the tree."""
    buffer.locator.add(transforms(('base', EYE, 0, (0.0, 0.0, 0.5), IN_OPTICAL)), static=True)
    for part in range(11):
        at = NOW - S + part * S // 10
        if at <= until_ns:
            where = (speed * part / 10, 0.0, 0.0)
            buffer.locator.add(transforms(('odom', 'base', at, where, UNIT)), static=False)


def test_motion_between_the_stamps_is_taken_from_tf():
    buffer = buffer_of(
        reference__sigma_m=0.0, reference__sigma_relative=0.0, reference__drift_m_per_s=0.5
    )
    driving(buffer)
    buffer.add('reference/points', cloud(POINTS + np.array([0, 0, 0.5]), NOW - S // 4))
    surroundings = around(buffer)
    np.testing.assert_allclose(found(surroundings.references), expected(POINTS), rtol=1e-6)
    np.testing.assert_allclose(
        surroundings.references.sigma_rho, 0.125 * surroundings.references.rho**2, rtol=1e-6
    )
    np.testing.assert_allclose(surroundings.fixed_from_camera[:3, 3], [2.0, 0.0, 0.5])
    assert buffer.newest.offset_s == {'reference/points': -0.25}
    assert buffer.newest.motion == ''


def test_sigma_grows_with_what_tf_does_not_know_yet():
    buffer = buffer_of(
        reference__sigma_m=0.0,
        reference__sigma_relative=0.0,
        reference__drift_m_per_s=0.0,
        reference__speed_m_per_s=3.0,
    )
    driving(buffer, until_ns=NOW - S // 10)
    buffer.add('reference/points', cloud(POINTS, NOW - S // 5))
    references = around(buffer).references
    np.testing.assert_allclose(references.sigma_rho, 0.3 * references.rho**2, rtol=1e-6)
    np.testing.assert_allclose(found(references), expected(POINTS - [0, 0, 0.2]), rtol=1e-5)


def test_without_odometry_sigma_grows_and_the_reason_is_told():
    buffer = buffer_of(reference__sigma_m=0.0, reference__sigma_relative=0.0)
    buffer.add('reference/points', cloud(POINTS, NOW - S // 5))
    references = around(buffer).references
    np.testing.assert_allclose(found(references), expected(POINTS), rtol=1e-6)
    np.testing.assert_allclose(references.sigma_rho, 0.12 * references.rho**2, rtol=1e-6)
    assert 'odom' in buffer.newest.motion


@pytest.mark.parametrize('name', ['map', 'world'])
def test_another_frame_that_stands_still_serves_where_the_first_is_not_known(name):
    buffer = buffer_of()
    buffer.locator.add(transforms((name, EYE, NOW, (1.0, 2.0, 3.0), UNIT)), static=False)
    assert around(buffer).fixed_from_camera[1, 3] == 2.0


def test_the_message_nearest_in_time_is_used():
    buffer = buffer_of(reference__max_age_s=1.0)
    for number, age_ns in enumerate((S // 2, S // 10, -S // 5, S // 4), 2):
        buffer.add('reference/points', cloud([[0.0, 0.0, float(number)]], NOW - age_ns))
    assert around(buffer).references.rho == pytest.approx([1 / 3])
    assert around(buffer, NOW + S // 5).references.rho == pytest.approx([1 / 4])


@pytest.mark.parametrize(('offset_s', 'word'), [(-0.8, 'older'), (0.8, 'younger')])
def test_old_references_are_not_used_and_the_reason_is_told(offset_s, word):
    buffer = buffer_of(reference__max_age_s=0.2)
    buffer.add('reference/points', cloud(POINTS, NOW + round(offset_s * S)))
    surroundings = around(buffer)
    assert surroundings.references is None
    assert surroundings.problem == (
        f'reference/points is 0.800 s {word} than the image, the limit is 0.2 s '
        '(reference.max_age_s)'
    )


def test_another_clock_is_suspected():
    buffer = buffer_of()
    buffer.add('reference/points', cloud(POINTS, 90 * S))
    assert around(buffer).problem.endswith('synchronise the clocks of the sensors')


def test_where_tf_fails_for_the_nearest_message_the_next_one_is_tried():
    buffer = buffer_of()
    buffer.add('reference/points', cloud(POINTS, NOW - S // 5))
    buffer.add('reference/points', cloud(POINTS, NOW, frame='laser'))
    assert len(around(buffer).references) == 3
    assert not buffer.refused  # its transform may come


def test_a_frame_that_nobody_knows_is_told():
    buffer = buffer_of()
    buffer.add('reference/points', cloud(POINTS, frame='laser'))
    assert "'laser'" in around(buffer).problem
    buffer.locator.lacking = 'tf2_msgs is not installed'
    assert 'tf2_msgs is not installed' in around(buffer).problem


BROKEN = {
    'truncated': lambda: cloud(POINTS, data=array('B', bytes(20))),
    'too_large': lambda: cloud(POINTS, width=1 << 31, row_step=(1 << 31) * 12),
    'fields': lambda: cloud(POINTS, names='xyt'),
    'step': lambda: cloud(POINTS, point_step=5),
    'zero_stamp': lambda: cloud(POINTS, 0),
}


@pytest.mark.parametrize('cause', BROKEN)
def test_a_bad_cloud_is_dropped_counted_and_explained(cause):
    buffer = buffer_of()
    buffer.add('reference/points', BROKEN[cause]())
    for _ in range(2):
        surroundings = around(buffer)
        assert surroundings.references is None
        assert surroundings.problem.startswith('reference/points: ')
    assert buffer.refused == {f'reference/points {cause}': 1}
    buffer.add('reference/points', cloud(POINTS))
    assert len(around(buffer).references) == 3
    assert around(buffer).problem == ''


SIZES = st.one_of(st.integers(0, 40), st.sampled_from([1 << 16, 1 << 31, (1 << 32) - 1]))
FIELDS = st.lists(
    st.builds(
        Message, name=st.sampled_from([*'xyzt', 'sigma', 'uncertainty']), offset=SIZES,
        datatype=st.integers(0, 9), count=SIZES,
    ),
    max_size=6,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {'height': SIZES, 'width': SIZES, 'point_step': SIZES, 'row_step': SIZES},
        optional={'is_bigendian': st.booleans(), 'fields': FIELDS},
    ),
    st.binary(max_size=400),
    st.sampled_from([EYE, '', 'laser', '/eye']),
)
def test_no_cloud_raises(changed, data, frame):
    buffer = buffer_of()
    made = cloud(POINTS, frame=frame, data=array('B', data), **changed)
    buffer.add('reference/points', made)
    surroundings = around(buffer)
    assert surroundings.problem or len(surroundings.references)


@settings(max_examples=200, deadline=None)
@given(
    SIZES, SIZES, SIZES, st.booleans(), st.binary(max_size=400),
    st.sampled_from(['16UC1', '32FC1', 'mono16', '']),
)  # fmt: skip
def test_no_depth_image_raises(height, width, step, big, data, encoding):
    buffer = ReferenceBuffer(MonoSettings(), max_side_px=8192)
    image = depth_image(np.ones((2, 2)))
    vars(image).update(
        height=height, width=width, step=step, is_bigendian=big, data=data, encoding=encoding
    )
    buffer.add('reference/depth', image)
    surroundings = around(buffer)
    assert surroundings.problem or len(surroundings.references)


@pytest.mark.parametrize('points', [np.zeros((0, 3)), np.full((4, 3), np.nan), -POINTS])
def test_a_cloud_that_the_camera_does_not_see_is_told(points):
    buffer = buffer_of()
    buffer.add('reference/points', cloud(points))
    assert around(buffer).references is None
    assert 'no point is seen' in around(buffer).problem


def sparse_depth(shape=(120, 160), encoding='32FC1'):
    values = np.zeros(shape)
    values[10, 150], values[100, 7] = (2.0, 4.0) if encoding == '32FC1' else (2000, 4000)
    return values


@pytest.mark.parametrize('encoding', ['32FC1', '16UC1'])
@pytest.mark.parametrize('frame', [EYE, '', 'a_name_that_tf_does_not_know'])
def test_depth_without_info_is_registered(encoding, frame):
    buffer = buffer_of()
    buffer.add(
        'reference/depth',
        depth_image(sparse_depth(encoding=encoding), frame=frame, encoding=encoding),
    )
    references = around(buffer).references
    np.testing.assert_allclose(found(references), [[7, 150], [100, 10], [0.25, 0.5]], rtol=1e-6)
    z = np.array([2.0, 4.0])
    np.testing.assert_allclose(references.sigma_rho, np.hypot(0.03, 0.01 * z) / z**2, rtol=1e-6)


def test_depth_of_another_camera_is_moved_to_ours():
    other = PinholeCamera(80, 60, 90.0, 95.0, 41.0, 28.5)
    buffer = buffer_of()
    buffer.locator.add(
        transforms((EYE, 'other', 0, (0.2, -0.1, 0.3), (0.0, 0.0, 0.6, 0.8))), static=True
    )
    values = np.zeros((60, 80))
    values[30, 50] = 2.5
    buffer.info_expected = True
    buffer.add('reference/depth', depth_image(values, frame='other'))
    assert around(buffer).references is None
    assert 'camera_info has not come' in around(buffer).problem
    buffer.add_depth_info(info(other, 'other'))
    x, y = (50 - 41.0) / 90 * 2.5, (30 - 28.5) / 95 * 2.5
    cos, sin = 0.28, 0.96  # of twice the angle whose half has cosine 0.8
    wanted = expected([[cos * x - sin * y + 0.2, sin * x + cos * y - 0.1, 2.8]])
    np.testing.assert_allclose(found(around(buffer).references), wanted, rtol=1e-5)


def test_registered_depth_from_a_moment_ago_is_moved_with_the_camera():
    buffer = buffer_of(reference__max_age_s=1.0)
    driving(buffer)
    buffer.add('reference/depth', depth_image(sparse_depth(), NOW - S // 2))
    x = (np.array([7, 150]) - CAMERA.cx) / CAMERA.fx * [4.0, 2.0]
    y = (np.array([100, 10]) - CAMERA.cy) / CAMERA.fy * [4.0, 2.0]
    inside = expected(np.stack([x, y, [3.0, 1.0]], 1))[:, :0]  # both leave the image
    assert inside.size == 0
    assert around(buffer).references is None
    buffer.add('reference/depth', depth_image(sparse_depth(), NOW - S // 50))
    z = np.array([3.96, 1.96])
    np.testing.assert_allclose(
        found(around(buffer).references), expected(np.stack([x, y, z], 1)), rtol=1e-5
    )


@pytest.mark.parametrize(
    ('image', 'camera', 'part'),
    [
        (depth_image(np.ones((60, 80))), None, 'the image is 160x120'),
        (depth_image(np.ones((60, 80))), CAMERA, 'its camera_info describes 160x120'),
        (depth_image(np.ones((120, 160)), encoding='32FC1', data=b'123'), None, 'whole images'),
        (depth_image(np.ones((120, 160)), width=1 << 30), None, 'limit is 8192'),
        (Message(**{**vars(depth_image(np.ones((2, 2)))), 'encoding': 'rgb8'}), None, 'rgb8'),
    ],
)
def test_bad_depth_is_dropped_counted_and_explained(image, camera, part):
    buffer = ReferenceBuffer(MonoSettings(), max_side_px=8192)
    buffer.add('reference/depth', image)
    if camera is not None:
        buffer.add_depth_info(info(camera))
    surroundings = around(buffer)
    assert surroundings.references is None
    assert part in surroundings.problem
    assert sum(buffer.refused.values()) == 1


def test_depth_of_a_camera_without_calibration_is_refused():
    bad = info(CAMERA)
    bad.p = np.zeros(12)
    buffer = buffer_of()
    buffer.add_depth_info(bad)
    buffer.add('reference/depth', depth_image(np.ones((120, 160))))
    assert 'not calibrated' in around(buffer).problem
    assert buffer.refused == {'reference/depth calibration': 1}


def test_depth_in_a_frame_elsewhere_needs_a_camera_info():
    buffer = buffer_of()
    buffer.locator.add(transforms((EYE, 'other', 0, (0.2, 0.0, 0.0), UNIT)), static=True)
    buffer.add('reference/depth', depth_image(np.ones((120, 160)), frame='other'))
    assert 'publish its camera_info' in around(buffer).problem


def test_points_and_depth_are_used_together_within_the_limit():
    buffer = buffer_of()
    rng = np.random.default_rng(1)
    z = np.full(5000, 3.0)
    points = np.stack([rng.uniform(-1, 1, 5000), rng.uniform(-0.8, 0.8, 5000), z], 1)
    buffer.add('reference/points', cloud(points))
    buffer.add('reference/depth', depth_image(np.full((120, 160), 2.0)))
    references = around(buffer).references
    assert buffer.newest.used == {'reference/points': 1000, 'reference/depth': 1000}
    np.testing.assert_allclose(np.unique(references.rho.round(6)), [0.333333, 0.5])


@pytest.mark.parametrize(('source', 'rho'), [('points', 1 / 3), ('depth', 0.5), ('none', None)])
def test_the_source_can_be_chosen(source, rho):
    buffer = buffer_of(reference__source=source)
    buffer.add('reference/points', cloud([[0.0, 0.0, 3.0]]))
    values = np.zeros((120, 160))
    values[60, 80] = 2.0
    buffer.add('reference/depth', depth_image(values))
    references = around(buffer).references
    assert (references is None) == (rho is None)
    assert rho is None or references.rho == pytest.approx([rho])


def test_a_source_that_was_named_is_missed():
    assert around(buffer_of(reference__source='points')).problem == (
        'reference/points: nothing has come yet'
    )


def test_the_floor_comes_from_tf():
    """Camera 0.9 m up, looking 30 degrees down and rolled by 10 degrees."""
    pitch, roll = math.radians(30.0), math.radians(10.0)
    down = np.array(
        [math.cos(pitch) * math.sin(roll), math.cos(pitch) * math.cos(roll), math.sin(pitch)]
    )
    ahead = np.array([0.0, 0.0, 1.0]) - down[2] * down
    x_axis = ahead / np.linalg.norm(ahead)  # of the base, seen from the camera
    rotation = np.stack([x_axis, np.cross(-down, x_axis), -down])  # base from camera
    w = math.sqrt(1.0 + np.trace(rotation)) / 2.0
    q = [(rotation[c, b] - rotation[b, c]) / (4 * w) for b, c in ((1, 2), (2, 0), (0, 1))]
    buffer = buffer_of(
        ground__frame='base', ground__height_sigma_m=0.02, ground__tilt_sigma_deg=2.0
    )
    buffer.locator.add(transforms(('base', EYE, 0, (0.3, 0.1, 0.9), (*q, w))), static=True)
    ground = around(buffer).ground
    assert ground.height_m == pytest.approx(0.9)
    assert math.degrees(ground.pitch_rad) == pytest.approx(30.0)
    assert math.degrees(ground.roll_rad) == pytest.approx(10.0)
    assert ground.height_sigma_m == 0.02
    assert math.degrees(ground.tilt_sigma_rad) == pytest.approx(2.0)


@pytest.mark.parametrize('kind', [MonoSettings, StereoSettings])
def test_a_floor_that_is_not_below_the_camera_is_told(kind):
    buffer = ReferenceBuffer(kind(ground__frame='base'))
    assert "'base'" in around(buffer).problem
    buffer.locator.add(transforms(('base', EYE, 0, (0.0, 0.0, -0.4), IN_OPTICAL)), static=True)
    assert around(buffer).ground is None
    assert '-0.400 m above' in around(buffer).problem


def test_what_was_heard_before_time_jumped_is_forgotten():
    buffer = buffer_of()
    driving(buffer)
    buffer.add('reference/points', cloud(POINTS))
    buffer.forget()
    surroundings = around(buffer)
    assert surroundings.references is None
    assert surroundings.fixed_from_camera is None
    buffer.add('reference/points', cloud(POINTS))
    assert len(around(buffer).references) == 3


def test_a_frame_may_wait_but_not_for_ever():
    buffer = buffer_of(reference__wait_s=0.05)
    buffer.add('reference/points', cloud(POINTS, NOW - S // 10))
    assert len(around(buffer).references) == 3
    buffer.add('reference/points', cloud([[0.0, 0.0, 3.0]], NOW))
    assert len(around(buffer).references) == 1


@pytest.mark.parametrize(
    ('wanted', 'given'),
    [(False, {}), (True, {'ground__frame': 'base'}), (True, {'filters__temporal': 'motion'})],
)
def test_tf_is_of_use_without_references(wanted, given):
    assert frames_wanted(StereoSettings(**given)) == wanted


@pytest.mark.parametrize('text', ['1 2 3', '1 2 3 4 5 six', '1 2 3 4 5 nan'])
def test_extrinsics_are_six_numbers(text):
    with pytest.raises(ValueError, match=r'reference\.extrinsics'):
        MonoSettings(reference__extrinsics=text)
