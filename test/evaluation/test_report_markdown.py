"""The table for pull requests: right values, and nothing of a bag becomes markup."""

import html
from pathlib import Path
import re

from depth_perception.errors import SettingsError
from depth_perception.evaluation.report_markdown import escaped, markdown_of
from hypothesis import given
from hypothesis import strategies as st
import pytest

HERE = str(Path(__file__).resolve().parent)


@pytest.fixture
def made(monkeypatch):
    pytest.importorskip('scipy')
    monkeypatch.syspath_prepend(HERE)
    import report_example

    return report_example


def small(**metrics):
    """Return a report of two models with (value of a, value of b) of each online figure."""
    keys = [f'online/{name}' for name in metrics]
    summary = [
        {
            'model': model,
            'frames': 3,
            'metrics': {
                key: {'value': pair[i], 'low': None, 'high': None, 'kind': 'mean', 'frames': 3}
                for key, pair in zip(keys, metrics.values(), strict=True)
            },
        }
        for i, model in enumerate(('a', 'b'))
    ]
    return {'summary': summary, 'bags': [{'name': 'x'}], 'runs': [{'status': 'complete'}] * 2}


def cells(text, key):
    line = next(line for line in text.splitlines() if line.startswith(f'| `{key}`'))
    return [cell.strip() for cell in line.strip('|').split('|')][1:]


def test_best_is_bold_and_the_baseline_gets_deltas():
    report = small(abs_rel=(0.1, 0.08), delta1=(0.9, 0.8), within_1_sigma=(0.5, 0.7))
    text = markdown_of(report, 'a')
    assert cells(text, 'online/abs_rel') == ['0.1', '**0.08**<br>-0.02 (-20.0 %) better']
    assert cells(text, 'online/delta1') == ['**0.9**', '0.8<br>-0.1 (-11.1 %) worse']
    assert cells(text, 'online/within_1_sigma')[1].endswith('better')  # nearer to its target
    assert '| figure | a (baseline) | b |' in text
    assert '2 models, 1 bag, 2 runs, 6 frames' in text


def test_without_baseline_there_are_no_deltas_and_nulls_are_dashes():
    text = markdown_of(small(abs_rel=(0.1, None), epe_px=(None, None)))
    assert cells(text, 'online/abs_rel') == ['0.1', '-']
    assert 'epe_px' not in text
    with pytest.raises(SettingsError, match="no model 'c'"):
        markdown_of(small(abs_rel=(1, 2)), 'c')


def test_intervals_gates_and_failures_are_told(made):
    report = made.example()
    text = markdown_of(report)
    found = report['summary'][0]['metrics']['online/abs_rel']
    wanted = f'**{found["value"]:.4g}** ({found["low"]:.4g} to {found["high"]:.4g})'
    assert cells(text, 'online/abs_rel')[0] == wanted
    assert '**Gates: 1 of 2 failed**' in text
    assert text.index('**FAILED**') < text.index('* passed')
    assert 'no such &#60;tensor&#62;' in text


def test_every_row_of_the_table_has_the_same_cells(made):
    lines = [ln for ln in markdown_of(made.example(), 'sgbm').splitlines() if ln.startswith('|')]
    assert len(lines) > 8
    assert {line.count('|') for line in lines} == {5}
    text = markdown_of(made.example())
    assert '<script' not in text
    assert '@all' not in text
    assert 'https://' not in text


def test_many_warnings_are_cut_short():
    report = small(abs_rel=(1, 2))
    report['bags'] = [{'name': 'x', 'warnings': [f'w{i}' for i in range(14)]}]
    text = markdown_of(report)
    assert 'x: w9' in text
    assert 'x: w10' not in text
    assert '14 warnings' in text
    assert 'and 4 more' in text


def test_empty_report():
    assert 'No figure could be measured.' in markdown_of({})


@given(st.text(max_size=60))
def test_escaped_text_reads_the_same_and_holds_no_markup(text):
    shown = escaped(text)
    assert html.unescape(shown) == html.unescape(html.unescape(shown)) or '&' in text
    plain = re.sub(r'&#\d+;', '', shown)
    assert not set('<>|`*_[]\\@~&\n') & set(plain)
    restored = re.sub(r'&#(\d+);', lambda found: chr(int(found[1])), shown)
    assert restored == ' '.join(text.split())
