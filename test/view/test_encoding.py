"""What the page is given, number by number."""

from types import SimpleNamespace

from depth_perception.errors import FrameError
from depth_perception.view.encoding import FrameEncoder
from depth_perception.view.frames import FrameSet, picture_bytes
from depth_perception.view.status import picture_topic, status_as_dict
import numpy as np
import pytest


def test_values_arrive_to_within_half_precision_and_infinities_as_they_are(messages, parsed):
    frame = FrameSet(
        messages.image(messages.depth, 7_000_000_013),
        messages.image(messages.sigma),
        None,
        messages.info(),
    )
    header, parts = parsed(FrameEncoder(640).encode(5, frame, {'rate_hz': 2.0}))
    depth = np.frombuffer(parts['depth'], '<f2').reshape(4, 7)
    sigma = np.frombuffer(parts['sigma'], '<f2').reshape(4, 7)
    np.testing.assert_allclose(depth, messages.depth, rtol=5e-4)
    np.testing.assert_allclose(sigma, messages.sigma, rtol=5e-4)
    assert (header['number'], header['stamp_ns']) == (5, '7000000013')
    assert (header['size'], header['grid'], header['step']) == ([7, 4], [7, 4], 1)
    assert header['camera'] == {'fx': 6.5, 'fy': 6.5, 'cx': 3.25, 'cy': 1.75}
    assert (header['rate_hz'], header['frame_id']) == (2.0, 'left_optical')


def test_figures_of_a_frame(messages, parsed):
    frame = FrameSet(messages.image(messages.depth), messages.image(messages.sigma))
    header, _ = parsed(FrameEncoder(640).encode(1, frame, {}))
    known = messages.depth[np.isfinite(messages.depth)]
    assert header['figures']['known_percent'] == pytest.approx(100 * 25 / 28)
    assert header['figures']['median_depth_m'] == pytest.approx(float(np.median(known)))
    assert header['figures']['median_relative_sigma_percent'] == pytest.approx(1.3, rel=1e-4)


def test_a_large_image_is_thinned_out_and_its_camera_with_it(messages, parsed):
    depth = np.arange(1, 1 + 300 * 500, dtype=np.float32).reshape(300, 500) / 1e4
    info = messages.info(width=500, height=300)
    header, parts = parsed(
        FrameEncoder(200).encode(1, FrameSet(messages.image(depth), info=info), {})
    )
    assert (header['step'], header['grid']) == (3, [167, 100])
    thin = np.frombuffer(parts['depth'], '<f2').reshape(100, 167)
    np.testing.assert_allclose(thin, depth[::3, ::3], rtol=5e-4)
    # Pixel (i, j) of the grid looks along the same ray as pixel (3 i, 3 j) of the image.
    camera = header['camera']
    for i, j in ((0, 0), (100, 40)):
        assert (i - camera['cx']) / camera['fx'] == pytest.approx((3 * i - 3.25) / 6.5)
        assert (j - camera['cy']) / camera['fy'] == pytest.approx((3 * j - 1.75) / 6.5)


def test_picture_comes_as_jpeg_in_its_own_colours(messages):
    cv2 = pytest.importorskip('cv2')
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[:, :30], rgb[:, 30:] = (220, 30, 10), (5, 60, 240)
    data = picture_bytes(messages.image(rgb))
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert bgr.shape == (40, 60, 3)
    np.testing.assert_allclose(bgr[20, 10, ::-1].astype(int), [220, 30, 10], atol=8)
    np.testing.assert_allclose(bgr[20, 50, ::-1].astype(int), [5, 60, 240], atol=8)
    wide = picture_bytes(messages.image(np.zeros((20, 2560, 3), np.uint8)))
    assert cv2.imdecode(np.frombuffer(wide, np.uint8), 1).shape == (10, 1280, 3)


def test_compressed_pictures_pass_and_what_is_none_is_refused():
    jpeg = b'\xff\xd8\xff\xe0 and so on'
    assert picture_bytes(SimpleNamespace(format='jpeg', data=jpeg)) == jpeg
    for data in (b'<svg onload=alert(1)>', b'', jpeg + bytes(5 << 20)):
        with pytest.raises(FrameError):
            picture_bytes(SimpleNamespace(format='jpeg', data=data))


def test_what_cannot_be_used_is_told_and_the_rest_is_shown(messages, parsed):
    broken = messages.image(messages.sigma)
    broken.data = broken.data[:-3]
    small = messages.info(width=6, height=4)
    frame = FrameSet(messages.image(messages.depth), broken, None, small)
    header, parts = parsed(FrameEncoder(640).encode(1, frame, {}))
    assert set(parts) == {'depth'}
    assert header['camera'] is None
    assert [remark.partition(':')[0] for remark in header['remarks']] == ['sigma', 'camera_info']
    depth = messages.image(messages.depth)
    depth.step = 1 << 20
    with pytest.raises(FrameError):
        FrameEncoder(640).encode(1, FrameSet(depth), {})


def test_an_image_without_any_depth_is_no_error(messages, parsed):
    nothing = np.full((4, 7), np.nan, np.float32)
    frame = FrameSet(messages.image(nothing), messages.image(nothing))
    header, _ = parsed(FrameEncoder(640).encode(1, frame, {}))
    assert header['figures'] == {'known_percent': 0.0}


def test_status_tells_where_the_picture_is():
    values = {'input image': '/cam/image_rect: 4 received, 1 publishers, reliable', 'model': 'a'}
    pairs = [SimpleNamespace(key=key, value=value) for key, value in values.items()]
    message = SimpleNamespace(level=b'\x01', name='n: depth', message='odd', values=pairs)
    status = status_as_dict(message)
    assert status == {'level': 1, 'name': 'n: depth', 'message': 'odd', 'values': values}
    assert picture_topic(status) == '/cam/image_rect'
    assert picture_topic({'values': {'input left/image_rect': '/l: x'}}) == '/l'
    assert picture_topic({}) == picture_topic({'values': {'input image': ''}}) == ''
