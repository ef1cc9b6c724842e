"""Pages: self-contained, well-formed, escaped."""

from html.parser import HTMLParser

from depth_perception.evaluation import page
from depth_perception.evaluation.pictures import ColourScale
import numpy as np
import pytest

pytest.importorskip('cv2')
VOID = {'meta', 'img', 'br', 'line', 'polyline'}


class Checker(HTMLParser):
    """Checks that tags close in order, and collects what a browser would load."""

    def __init__(self):
        super().__init__()
        self.open, self.loaded = [], []

    def handle_starttag(self, tag, attrs):
        self.loaded += [value for name, value in attrs if name in ('src', 'href')]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def test_document_is_well_formed_and_loads_nothing():
    scale = ColourScale(2.0, 4.0, inverse=True)
    parts = [
        page.tiles('head', [page.Tile('1 %', 'error')]),
        page.section(
            'A & B',
            page.grid([page.picture(np.zeros((4, 6, 3), np.uint8), 'x < y', 'z', scale)] * 2),
            page.table(['', 'a'], [['row', '1']]),
            page.latency_chart([('a', [1.0, 2.0]), ('b', [3.0])]),
        ),
    ]
    text = page.document('T', 'S', parts)
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert checker.loaded
    assert all(url.startswith('data:') for url in checker.loaded)
    assert 'A &amp; B' in text
    assert 'x &lt; y' in text


def test_colour_bar_names_values_and_unit():
    bar = page.colour_bar(ColourScale(1.0, 4.0, inverse=True), ticks=3)
    assert '<span>1</span><span>1.6</span><span>4 m</span>' in bar
