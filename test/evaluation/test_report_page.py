"""The page of an evaluation: whole, escaped, self-contained, and right about who is best."""

import base64
from html.parser import HTMLParser
from pathlib import Path
import re

from depth_perception.core.estimate import DepthEstimate, Rung, Scale
from depth_perception.evaluation.catalogue import METRICS
from depth_perception.evaluation.pictures import read_picture, UNKNOWN_RGB
from depth_perception.evaluation.report_page import html_of
from depth_perception.evaluation.report_pictures import ERROR_SCALE, frame_pictures, scale_from
from depth_perception.evaluation.report_values import best_of
from depth_perception.evaluation.truth import Truth
import numpy as np
import pytest

pytest.importorskip('cv2')
pytest.importorskip('scipy')
HERE = str(Path(__file__).resolve().parent)
VOID = {'meta', 'img', 'br', 'line', 'polyline', 'path', 'circle'}


@pytest.fixture
def made(monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    import report_example

    return report_example


class Reader(HTMLParser):
    """Checks that tags close in order; collects tags, headings, cells and what would be loaded."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.loaded, self.alts, self.headings = [], [], [], [], []
        self.handlers, self.ids, self.links = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.handlers += [name for name in given if name.startswith('on')]
        self.loaded += [given[name] for name in ('src', 'srcset', 'data') if name in given]
        self.links += [given['href']] if 'href' in given else []
        self.ids += [given['id']] if 'id' in given else []
        if tag == 'img':
            self.alts.append(given.get('alt', ''))
        if re.fullmatch(r'h\d', tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def with_pictures(made, report):
    """Give the first runs one frame in pictures, and return the files."""
    truth, rgb = made.scene(7)
    estimates = {model[0]: made.estimate_of(model, truth, 7) for model in made.MODELS}
    shown = frame_pictures(rgb, Truth(truth), estimates)
    files = {f'{name}.jpg': data for name, data in shown.shared.items()}
    for i, model in enumerate(made.MODELS):
        own = {f'{i}-{name}.jpg': data for name, data in shown.of_model[model[0]].items()}
        files.update(own)
        names = {name: f'{name}.jpg' for name in shown.shared}
        names |= {file[2:-4]: file for file in own}
        entry = {'rank': 'worst', 'frame': 2, 'stamp_ns': 5, 'value': 0.5, 'files': names}
        report['runs'][i]['pictures'] = [
            {**entry, 'metric': 'online/abs_rel', 'scales': shown.scales}
        ]
    return files


def test_page_is_whole_and_loads_nothing_and_runs_nothing(made):
    report = made.example()
    text = html_of(report, with_pictures(made, report))
    page = Reader(text)
    assert not {'script', 'link', 'iframe', 'object', 'b>'} & set(page.tags)
    assert page.handlers == []
    assert len(page.loaded) == 3 + 3 * 4
    assert all(url.startswith('data:image/jpeg;base64,') for url in page.loaded)
    assert all(page.alts)
    assert {f'#{name}' for name in page.ids} == set(page.links)
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
    assert made.HOSTILE not in text
    assert '<img src=x>' not in text
    assert '@import' not in text
    assert 'url(' not in text


def row(text, title):
    """Return the cells of the first row with a title: (is best, text)."""
    found = re.search(rf'>{re.escape(title)}<small>.*?</tr>', text)[0]
    cells = re.findall(r'<td( class="best")?>(.*?)</td>', found)
    return [(bool(best), re.sub('<[^>]+>', ' ', cell)) for best, cell in cells]


def test_table_has_values_and_marks_the_best_of_each_row(made):
    report = made.example()
    text = html_of(report, {})
    errors = [summary['metrics']['online/abs_rel']['value'] for summary in report['summary']]
    cells = row(text, 'AbsRel')
    assert [f'{value:.4g}' in cell for value, (_, cell) in zip(errors, cells, strict=True)] == [
        True
    ] * 3
    assert [best for best, _ in cells] == [value == min(errors) for value in errors]
    assert [best for best, _ in row(text, 'Coverage')] == [False, False, True]  # higher is better
    latency = report['summary'][1]['metrics']['online/latency_ms']
    assert f'p95 {latency["p95"]:.4g}' in row(text, 'Latency [ms]')[1][1]
    assert 'not measured on the same frames' in text
    assert 'TAE' not in text.split('What the figures mean</h2>')[0]  # null for all: no row


def test_best_knows_direction_target_and_ties():
    nan = float('nan')
    assert best_of(METRICS['abs_rel'], [0.2, nan, 0.1]) == {2}
    assert best_of(METRICS['delta1'], [0.2, 0.9, 0.9]) == {1, 2}
    assert best_of(METRICS['within_1_sigma'], [0.5, 0.7, 0.99]) == {1}
    assert best_of(METRICS['abs_rel'], [0.2, 0.2]) == set()
    assert best_of(METRICS['abs_rel'], [0.2, nan]) == set()


def test_every_label_is_explained_and_every_metric_defined(made):
    text = html_of(made.example(), {})
    assert 'As published, not scaled to the truth' in text
    assert 'Each image multiplied by median(truth) / median(depth).' in text
    assert 'mean |y - g| / g (Eigen 2014).' in text
    assert text.index('As published, not scaled') < text.index('Each image multiplied')


def test_failed_runs_gates_drops_and_hashes_are_told(made):
    text = html_of(made.example(), {})
    for told in ('no such &lt;tensor&gt;', '1 of 2 gates failed', '2 x truncated', '0f' * 32):
        assert told in text
    assert 'no commercial use' in text
    assert 'baseline 0.12 m' in text


def test_report_with_nothing_in_it_still_makes_a_page(made):
    run = {**made.example()['runs'][-1], 'pictures': [{'rank': 'best', 'files': {'image': 'no'}}]}
    for report in ({}, {'runs': [run], 'summary': [{'model': 'a', 'frames': 0}], 'bags': None}):
        text = html_of(report, {})
        Reader(text)
        assert 'No figure could be measured.' in text
        assert '<svg' not in text


def decoded(data, tmp_path):
    path = tmp_path / 'a.jpg'
    path.write_bytes(data)
    return read_picture(path).astype(int)


def constant(camera, depth_m, sigma_m):
    shape = (camera.height, camera.width)
    depth = np.full(shape, depth_m, np.float32)
    sigma = np.full(shape, sigma_m, np.float32)
    return DepthEstimate(depth, sigma, np.isfinite(depth), camera, Scale(Rung.NETWORK))


def test_error_and_sigma_share_one_fixed_scale(made, tmp_path):
    shape = (made.CAMERA.height, made.CAMERA.width)
    rgb = np.zeros((*shape, 3), np.uint8)
    truth = Truth(np.full(shape, 2.0, np.float32))
    found = frame_pictures(rgb, truth, {'m': constant(made.CAMERA, 2.2, 0.11)})
    wanted = ERROR_SCALE.colours(np.array([0.5, 0.25])).astype(int)  # 10 % off, sigma 5 %
    for name, colour in zip(('error', 'sigma'), wanted, strict=True):
        middle = decoded(found.of_model['m'][name], tmp_path)[60, 80]
        assert np.abs(middle - colour).max() <= 3
    assert found.scales['error'] == found.scales['sigma']
    assert scale_from(found.scales['error']) == ERROR_SCALE
    assert scale_from({'low': 3.0, 'high': 1.0}) is None


def test_depth_of_all_models_has_the_scale_of_the_truth(made):
    truth, rgb = made.scene(3)
    both = {'a': constant(made.CAMERA, 90.0, 1.0), 'b': constant(made.CAMERA, 3.0, 1.0)}
    scale = scale_from(frame_pictures(rgb, Truth(truth), both).scales['depth'])
    assert scale.low == pytest.approx(np.nanpercentile(truth, 1))
    assert scale.high == pytest.approx(np.nanpercentile(truth, 98))
    alone = scale_from(frame_pictures(rgb, None, both).scales['depth'])
    assert (alone.low, alone.high) == (3.0, 90.0)


def test_sparse_truth_is_drawn_with_dots_a_person_sees(made, tmp_path):
    depth = np.full((made.CAMERA.height, made.CAMERA.width), np.nan, np.float32)
    depth[20, 30], depth[90, 130], depth[10, 5] = 3.0, 4.0, 9.0
    depth[110, 5] = 2.0
    rgb = np.zeros((*depth.shape, 3), np.uint8)
    found = frame_pictures(rgb, Truth(depth), {'m': constant(made.CAMERA, 2.0, 0.1)})
    lit = np.abs(decoded(found.shared['truth'], tmp_path) - UNKNOWN_RGB).max(-1) > 40
    assert lit[19:22, 29:32].all()
    assert lit[89:92, 129:132].all()
    assert lit[40:80].sum() == 0


def test_large_pictures_are_shrunk_and_embedded_as_they_are(made):
    camera = type(made.CAMERA)(1300, 700, 900.0, 900.0, 650.0, 350.0)
    rgb = np.zeros((700, 1300, 3), np.uint8)
    found = frame_pictures(rgb, None, {'m': constant(camera, 4.0, 0.1)})
    assert set(found.of_model['m']) == {'depth', 'sigma', 'cloud'}
    report = made.example()
    report['runs'][0]['pictures'] = [{'rank': 'best', 'files': {'image': 'i.jpg'}}]
    text = html_of(report, {'i.jpg': found.shared['image']})
    data = re.search(r'base64,([^"]+)', text)[1]
    assert base64.b64decode(data) == found.shared['image']
    import cv2

    assert cv2.imdecode(np.frombuffer(found.shared['image'], np.uint8), 1).shape == (345, 640, 3)
