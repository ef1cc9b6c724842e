"""What surrounds an image, from messages of references and of TF; good ones and bad ones."""

from array import array
from types import SimpleNamespace as Message

from depth_perception.messages.references import MOST_POINTS, ReferenceBuffer
from depth_perception.parameters import MonoSettings
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from reference_messages import (
    around,
    buffer_of,
    cloud,
    depth_image,
    driving,
    expected,
    EYE,
    found,
    header,
    IN_OPTICAL,
    NOW,
    POINTS,
    S,
    transforms,
    UNIT,
)


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


def large(count):
    """Return a cloud of `count` points on the wall at 4 m, some of it outside of the image."""
    rng = np.random.default_rng(4)
    points = np.stack([*rng.uniform(-3.0, 3.0, (2, count)), np.full(count, 4.0)], axis=1)
    return cloud(points.astype(np.float32))


def test_large_clouds_are_thinned_as_they_come_and_let_go():
    buffer = buffer_of()
    made = large(3 * MOST_POINTS + 1)
    for number in range(8):
        one = Message(**{**vars(made), 'header': header(NOW - number * S // 100)})
        buffer.add('reference/points', one)
    kept = list(buffer._kept['reference/points'])
    assert (buffer.thinned, buffer.received['reference/points']) == (8, 8)
    assert len(kept) == 6
    assert all(one.message is None for one in kept)
    assert all(0.7 * MOST_POINTS < len(one.cloud[0]) <= MOST_POINTS for one in kept)
    references = around(buffer).references
    assert len(references) == 2000
    np.testing.assert_allclose(references.rho, 0.25, rtol=1e-6)


def test_what_was_read_is_not_kept_twice_and_serves_again():
    buffer = buffer_of()
    buffer.add('reference/points', cloud(POINTS))
    buffer.add('reference/points', cloud(POINTS, NOW - S // 10))
    first = around(buffer).references
    assert [one.message is None for one in buffer._kept['reference/points']] == [True, False]
    np.testing.assert_array_equal(around(buffer).references.rho, first.rho)
    assert buffer.thinned == 0


def test_a_large_cloud_that_cannot_be_read_is_counted_as_it_comes():
    buffer = buffer_of()
    broken = large(MOST_POINTS + 1)
    broken.data = broken.data[:-1]
    buffer.add('reference/points', broken)
    assert buffer.refused == {'reference/points truncated': 1}
    assert buffer.thinned == 0
    assert 'whole clouds' in around(buffer).problem
