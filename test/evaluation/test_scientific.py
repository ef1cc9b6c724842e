import sys

from depth_perception.errors import BackendUnavailableError
from depth_perception.evaluation.scientific import scipy_module
import pytest


def test_scipy_module_returns_the_submodule_that_was_asked_for():
    pytest.importorskip('scipy')
    assert scipy_module('special').erf(0.5) == pytest.approx(0.5204998778130465, abs=1e-15)
    assert scipy_module('stats').__name__ == 'scipy.stats'


def test_scipy_module_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'scipy', None)
    monkeypatch.delitem(sys.modules, 'scipy.special', raising=False)
    with pytest.raises(BackendUnavailableError, match='pip install scipy'):
        scipy_module('special')
