"""Draw the picture of the viewer in docs/view.md, with a headless Chromium.

Run the viewer first, then this:
    ./run demo --keep && ./run exec depth_perception view --bag out/recordings/played
    ./run exec python benchmark/view_picture.py docs/view.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test' / 'helpers'))
from browser import CHROMIUM, Page

SAMPLES = 12  # of the pinned pixel


def main() -> None:
    """Draw it once the pinned pixel has a history."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('out', type=Path, help='.jpg or .png')
    parser.add_argument('--url', default='http://127.0.0.1:8765/#pin=285,319')
    parser.add_argument('--size', type=int, nargs=2, default=(1440, 900), metavar=('W', 'H'))
    options = parser.parse_args()
    if not CHROMIUM:
        raise SystemExit('needs Chromium: apt-get install chromium')
    with Page(options.url, tuple(options.size)) as page:
        page.until(f'Number(document.body?.dataset.samples) >= {SAMPLES}', 300.0)
        page.value("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'a', "
                   'bubbles: true}))')  # fmt: skip
        page.until("document.querySelector('#points-panel canvas').dataset.stride === '1'")
        page.picture(options.out)
        print(f'{options.out}: {options.out.stat().st_size // 1024} kB; {page.complaints}')


if __name__ == '__main__':
    main()
