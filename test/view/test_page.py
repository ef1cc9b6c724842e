"""The page in a real browser: what is drawn, what is said below the cursor, and no complaint."""

import browser
from depth_perception.core.colours import ColourScale
from depth_perception.view.feed import Feeds
import numpy as np
import pytest

pytestmark = [
    pytest.mark.skipif(not browser.CHROMIUM, reason='Chromium is not installed'),
    pytest.mark.slow,
]
DEPTH = np.tile(np.linspace(1.0, 3.0, 64, dtype=np.float32), (48, 1))
DEPTH[:, :4], DEPTH[:, 4:8], DEPTH[:, 8:12] = np.nan, np.inf, -np.inf
SIGMA = (0.02 * DEPTH).astype(np.float32)
SIGMA[:, :12] = np.nan


def pixel(panel, column, row):
    """Return an expression for the RGBA that is drawn over a pixel of the depth grid."""
    return f"""(() => {{
      const canvas = document.querySelector('#{panel}-panel .stage canvas');
      const size = Math.min(canvas.width / 64, canvas.height / 48);
      const x = (canvas.width - 64 * size) / 2 + ({column} + 0.5) * size;
      const y = (canvas.height - 48 * size) / 2 + ({row} + 0.5) * size;
      const probe = new OffscreenCanvas(1, 1).getContext('2d', {{ willReadFrequently: true }});
      probe.drawImage(canvas, -Math.floor(x), -Math.floor(y));
      return [...probe.getImageData(0, 0, 1, 1).data];
    }})()"""


def test_pixels_numbers_and_keys(messages, serve):
    feeds = Feeds()
    feed = feeds.feed('/front')
    feed.status = {'level': 1, 'message': 'cold', 'values': {'scale rung': 'stereo'}}
    info = messages.info(1, 64, 48)
    feed.take('info', info)
    feed.take('sigma', messages.image(SIGMA, 5))
    feed.take('depth', messages.image(DEPTH, 5))
    client, _ = serve(feeds)
    address = f'http://127.0.0.1:{client.port}/#pin=40,20&bars&points=sigma'
    with browser.Page(address) as page:
        page.until("document.body?.dataset.samples === '1'")
        scale = ColourScale(1.0, 3.0, inverse=True)
        for column in (20, 40, 60):
            expected = scale.colours(scale.fraction(DEPTH[0, column : column + 1]))[0]
            drawn = page.value(pixel('depth', column, 30))
            np.testing.assert_allclose(drawn[:3], expected.astype(int), atol=2)
        assert page.value(pixel('depth', 6, 30))[:3] == [236, 238, 242]
        assert page.value(pixel('depth', 10, 30))[:3] == [255, 0, 255]
        z = float(np.float16(DEPTH[20, 40]))
        words = page.value("document.querySelector('#numbers').textContent")
        assert f'pin (40, 20){z:.3f} m ± {1000 * 0.02 * z:.1f} mm' in words
        assert words.partition('mm')[2].startswith('\N{GREEK SMALL LETTER SIGMA}/z 2 %')
        assert f'x {(40 - 3.25) / 6.5 * z:.3f} m' in words
        assert page.value("document.querySelector('#status span').textContent") == 'cold'
        assert 'stereo' in page.value("document.querySelector('#facts').textContent")
        page.value("document.body.dispatchEvent(new KeyboardEvent('keydown', "
                   "{key: 'd', bubbles: true}))")  # fmt: skip
        assert 'scale rung' in page.until("document.querySelector('#details table').textContent")
        assert [one for one in page.complaints if 'ReadPixels' not in one] == []
