"""RVL: the bytes of the standard's own coder, and nothing but an error for what is damaged."""

import contextlib

from depth_perception.core.rvl import codes_from_rvl, rvl_from_codes
from depth_perception.errors import FrameError
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest


def test_bytes_are_those_of_the_standard_coder():
    """Golden bytes: made by rvl_codec.cpp of image_transport_plugins 7404d77, compiled."""
    codes = np.array([[0, 0, 5, 7, 7, 0, 65535, 1]], np.uint16)
    assert rvl_from_codes(codes).hex() == '1240a123bff3ff8e0000f3ff'


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.lists(st.integers(0, 65535), max_size=30)), max_size=8
    )
)
def test_there_and_back(runs):
    parts = [part for zeros, values in runs for part in (np.zeros(zeros), values)]
    codes = np.concatenate([[3], *parts]).astype(np.uint16)
    np.testing.assert_array_equal(codes_from_rvl(rvl_from_codes(codes[None]), codes.size), codes)


def test_an_image_without_any_depth_is_tiny():
    data = rvl_from_codes(np.zeros((480, 640), np.uint16))
    assert len(data) == 4
    assert not codes_from_rvl(data, 480 * 640).any()


@given(st.binary(max_size=64), st.integers(1, 400))
def test_anything_at_all_is_read_or_refused(data, count):
    with contextlib.suppress(FrameError):
        assert codes_from_rvl(data, count).shape == (count,)


def test_what_is_cut_off_is_refused():
    data = rvl_from_codes(np.arange(1, 301, dtype=np.uint16)[None] * 200)
    with pytest.raises(FrameError) as caught:
        codes_from_rvl(data[:40], 300)
    assert caught.value.cause == 'corrupt'  # the run it announces is longer than what is there
