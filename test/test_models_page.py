"""docs/models.md and docs/model_parity.md against the cards."""

from pathlib import Path
import re

from depth_perception.cli.main import main
from depth_perception.inference.cards import available_cards
import pytest

DOCS = Path(__file__).resolve().parents[1] / 'docs'
OUT_OF_SCOPE = ('diffusion loop', 'tiled fusion', 'two-view reconstruction')
NAMED = [  # in networks.md 1.2 and 1.3, and in the issue
    'Depth Anything V1', 'Depth Anything V2', 'Depth Anything V2 Metric', 'Depth Anything 3',
    'Metric3D v1', 'Metric3D v2', 'Depth Pro', 'MoGe-1', 'MoGe-2', 'UniDepth V1', 'UniDepth V2',
    'MiDaS 2.1', 'DPT', 'ZoeDepth', 'ZeroDepth', 'PatchFusion', 'Marigold', 'LeReS', 'AdaBins',
    'Monodepth2', 'Monodepth', 'SfMLearner', 'Eigen 2014', 'DORN', 'Hu et al. 2019', 'Deep3D',
    'Garg 2016', 'RSA', 'DUSt3R', 'MASt3R', 'Video Depth Anything', 'FastDepth', 'Lite-Mono',
    'Semi-global matching', 'FoundationStereo', 'Fast-FoundationStereo', 'S2M2', 'RAFT-Stereo',
    'IGEV++', 'RT-IGEV', 'CREStereo', 'HITNet', 'LightStereo', 'ESS', 'Plane-sweep', 'PSMNet',
    'MC-CNN',
]  # fmt: skip


@pytest.fixture(scope='module')
def page():
    return (DOCS / 'models.md').read_text(encoding='utf-8')


@pytest.fixture(scope='module')
def rows(page):
    """Return the rows of the tables of the literature: network, card, why not, facts from."""
    literature = page.split('## All cards')[0]
    lines = [line for line in literature.splitlines() if line.startswith('| ')]
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    return [row for row in cells if row[0] != 'network']


def ids(text):
    return re.findall(r'`([a-z0-9-]+)`', text)


def test_table_of_cards_is_what_the_command_prints(page, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv('DEPTH_PERCEPTION_CACHE', str(tmp_path))
    assert main(['models', 'list', '--markdown']) == 0
    start, end = '<!-- cards -->\n', '<!-- end of cards -->'
    assert page.split(start)[1].split(end)[0] == capsys.readouterr().out


def test_every_network_of_the_field_has_a_card_or_a_reason(rows):
    networks = ', '.join(row[0] for row in rows)
    assert [name for name in NAMED if name not in networks] == []
    for network, card, instead, facts in rows:
        assert len(row_ids := ids(card)) > 0 or card == 'none', network
        assert bool(row_ids) == bool(facts), network
        assert bool(row_ids) != bool(instead), network


def test_every_card_stands_in_the_table_of_networks_once(rows):
    there = [name for row in rows for name in ids(row[1])]
    assert sorted(there) == sorted(card.id for card in available_cards())


def test_what_is_advised_instead_exists(rows):
    known = {card.id for card in available_cards()}
    advised = [row for row in rows if row[1] == 'none']
    assert len(advised) >= 10
    for network, _, instead, _ in advised:
        cards = set(ids(instead)) & known
        assert cards or 'plug-in' in instead, network
    reasons = ' '.join(row[2] for row in advised)
    assert all(reason in reasons for reason in OUT_OF_SCOPE)


def test_recorded_comparisons_reach_the_goal_and_name_cards():
    page = (DOCS / 'model_parity.md').read_text(encoding='utf-8')
    lines = [line for line in page.splitlines() if line.startswith('| `')]
    known = {card.id for card in available_cards()}
    assert len(lines) >= 30
    for line in lines:
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        assert set(ids(cells[0])) <= known, line
        assert re.fullmatch(r'[0-9a-f]{7}', cells[2]), line
        assert float(cells[5]) <= 1e-4, line
