"""The plug-in of docs/scale.md, installed as a package and found by its entry point."""

from pathlib import Path
import re
import sys

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import Picture
from depth_perception.core.scale_types import Rejected, ScaleFit
from depth_perception.errors import SettingsError
from depth_perception.inference.scale_plugin import guess_of, open_plugin
import numpy as np
import pytest

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'scale.md'
CAMERA = PinholeCamera(4, 3, 5.0, 5.0, 1.5, 1.0)
PICTURE = Picture(np.zeros((3, 4), np.uint8), 'grey')
OUTPUT = np.ones((3, 4), np.float32)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install the package that the page shows."""
    text = PAGE.read_text(encoding='utf-8')
    code = re.search(r'```python\n# site_scale.py\n(.*?)```', text, re.DOTALL).group(1)
    point = re.search(r'^(site) = "(.*)"$', text, re.MULTILINE)
    (tmp_path / 'site_scale.py').write_text(code)
    info = tmp_path / 'site_scale-1.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: site-scale\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text(
        f'[depth_perception.scale]\n{point.group(1)} = {point.group(2)}\n'
        'broken = site_scale:Nothing\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop('site_scale', None)


@pytest.mark.usefixtures('installed')
def test_documented_plugin_is_found_and_asked():
    found = guess_of(open_plugin('site'), PICTURE, OUTPUT, CAMERA)
    assert (found.s, found.t) == (0.9, 0.06)
    np.testing.assert_allclose(found.covariance, 0.04 * np.outer([0.9, 0.06], [0.9, 0.06]))


@pytest.mark.usefixtures('installed')
def test_absent_and_broken_plugins_are_named():
    with pytest.raises(SettingsError, match='there are broken, site'):
        open_plugin('other')
    with pytest.raises(SettingsError, match='broken does not start'):
        open_plugin('broken')


@pytest.mark.parametrize(
    ('answer', 'words'),
    [
        (None, 'has no guess'),
        (ScaleFit(float('nan'), 0.0, np.zeros((2, 2))), 'gave no numbers'),
        (ScaleFit(1.0, 0.0, np.zeros(3)), 'gave no numbers'),
        (ScaleFit(-2.0, 0.0, np.zeros((2, 2))), 'gave the scale -2'),
        ('much', 'failed'),
    ],
)
def test_whatever_a_plugin_answers_is_checked(answer, words):
    class Plugin:
        def scale(self, *_):
            return answer

    found = guess_of(Plugin(), PICTURE, OUTPUT, CAMERA)
    assert isinstance(found, Rejected)
    assert words in found.text
