"""The baseline answers every pixel, and rightly where it is easy."""

from depth_perception.evaluation.opencv_baseline import opencv_filled
import numpy as np
import pytest

pytest.importorskip('cv2')


def test_every_column_is_searched_and_every_hole_filled():
    rng = np.random.default_rng(4)
    wide = rng.integers(0, 256, (90, 180, 1), np.uint8).repeat(3, axis=2)
    left, right = wide[:, :160].copy(), wide[:, 11:171]  # seen at column u - 11 on the right
    left[30:60, 60:110] = 128  # nothing to match
    found = opencv_filled(left, right, 32)
    assert found.shape == (90, 160)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[5:-5, 16:50], 11.0, atol=0.1)
    assert np.median(np.abs(found[35:55, 65:105] - 11.0)) < 0.1
    assert np.abs(found[5:-5, :11] - 11.0).mean() < 1.0  # out of the view of the right image
