"""Judging a recording: topics found by type, frames paired by stamp, means by hand."""

from dataclasses import replace

from depth_perception.core.camera import PinholeCamera
from depth_perception.errors import RecordingError
from depth_perception.evaluation.bag_writer import BagWriter
from depth_perception.evaluation.bags import Recording
from depth_perception.evaluation.playback import (
    diagnostics_of,
    find_streams,
    read_given,
    read_published,
    Streams,
)
import numpy as np
import pytest

pytest.importorskip('rosbags')
CAMERA = PinholeCamera(4, 3, 100.0, 100.0, 1.5, 1.0)
RIGHT = replace(CAMERA, cx=3.5)
GREY = np.full((3, 4), 90, np.uint8)


@pytest.fixture
def given(tmp_path):
    with BagWriter(tmp_path / 'in') as bag:
        for i in range(3):
            stamp_ns = 10**9 * (i + 1)
            for side, camera, baseline_m in (('left', CAMERA, 0.0), ('right', RIGHT, 0.1)):
                bag.write_image(f'/rig/{side}/image_rect', stamp_ns, 'f', GREY, 'mono8')
                bag.write_camera_info(
                    f'/rig/{side}/camera_info', stamp_ns, 'f', camera, baseline_m
                )
        bag.write_image('/other/image', 10**9, 'f', GREY, 'mono8')
        bag.write_image('/ground_truth/depth', 10**9, 'f', np.full_like(GREY, 2, 'f4'), '32FC1')
    with Recording(tmp_path / 'in') as recording:
        return find_streams(recording), read_given(recording, find_streams(recording))


def test_streams_are_found_by_type(given):
    assert given[0] == Streams(
        '/rig/left/image_rect', '/rig/left/camera_info',
        '/rig/right/image_rect', '/rig/right/camera_info', '/ground_truth/depth',
    )  # fmt: skip


def test_what_was_given(given):
    assert given[1].rig.baseline_m == pytest.approx(0.1)
    assert given[1].rig.doffs_px == pytest.approx(2.0)
    assert (given[1].frames, given[1].rate_hz) == (3, 1.0)
    assert given[1].picture.shape == (3, 4, 3)
    assert given[1].truth[2, 3] == 2.0


def test_published_frames_are_judged_one_by_one(tmp_path, given):
    sigma = np.full((3, 4), 0.3, np.float32)
    with BagWriter(tmp_path / 'out') as bag:
        for stamp_ns, depth_m in ((10**9, 2.2), (2 * 10**9, 2.4)):
            depth = np.full((3, 4), depth_m, np.float32)
            depth[0] = np.nan
            bag.write_image('/stereo/depth/image_rect', stamp_ns, 'f', depth, '32FC1')
            bag.write_image('/stereo/uncertainty/image', stamp_ns, 'f', sigma, '32FC1')
        bag.write_image('/stereo/depth/image_rect', 3 * 10**9, 'f', sigma, '32FC1')  # no sigma
    with Recording(tmp_path / 'out') as recording:
        published = read_published(recording, '/stereo', given[1])
        assert read_published(recording, '/mono', given[1]) is None
        assert diagnostics_of(recording, 'stereo') == {}
    figures = published.figures
    assert published.frames == 3
    assert published.rate_hz == 1.0
    assert figures['valid'] == pytest.approx(2 / 3)
    assert figures['depth']['abs_rel'] == pytest.approx((0.1 + 0.2) / 2, rel=1e-5)
    assert figures['sigma']['within_1'] == 0.5
    # f b = 10: disparities 5 - 2, 10 / 2.2 - 2 and 10 / 2.4 - 2
    epe_px = ((5 - 10 / 2.2) + (5 - 10 / 2.4)) / 2
    assert figures['disparity']['epe_px'] == pytest.approx(epe_px, rel=1e-5)
    assert published.latency_percentiles_ms() == {'p50': 0, 'p95': 0, 'p99': 0, 'max': 0}


def test_no_camera_is_an_error(tmp_path):
    with BagWriter(tmp_path / 'in') as bag:
        bag.write_image('/image', 1, 'f', GREY, 'mono8')
    with (
        Recording(tmp_path / 'in') as recording,
        pytest.raises(RecordingError, match='no image with a camera_info'),
    ):
        find_streams(recording)


def test_beyond_the_range_claims_no_disparity(tmp_path, given):
    # Depth 2 m as in the truth, but one row that the node gave as +Inf: unknown, not 0 px.
    depth = np.full((3, 4), 2.0, np.float32)
    depth[0] = np.inf
    sigma = np.where(np.isfinite(depth), np.float32(0.1), np.float32(np.nan))
    with BagWriter(tmp_path / 'out') as bag:
        bag.write_image('/stereo/depth/image_rect', 10**9, 'f', depth, '32FC1')
        bag.write_image('/stereo/uncertainty/image', 10**9, 'f', sigma, '32FC1')
    with Recording(tmp_path / 'out') as recording:
        figures = read_published(recording, '/stereo', given[1]).figures['disparity']
    assert figures['epe_px'] == pytest.approx(0.0, abs=1e-5)
    assert figures['coverage'] == pytest.approx(2 / 3)
