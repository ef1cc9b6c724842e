"""Fixtures of the tests of inference."""

import importlib
import sys

from depth_perception.resources import resource_path
import pytest

SCRIPTS = (
    'graph_builder',
    'proof_scene',
    'proof_networks',
    'proof_meanings',
    'proof_graph',
    'proof_table',
    'prove_cards',
    'make_descriptor_stereo',
)


@pytest.fixture(scope='module')
def model_script():
    """Return what imports a script of the folder models by its name."""
    sys.path.insert(0, str(resource_path('models')))
    try:
        yield importlib.import_module
    finally:
        sys.path.pop(0)
        for name in SCRIPTS:
            sys.modules.pop(name, None)


@pytest.fixture(scope='module')
def prover(model_script):
    """Return the module models/prove_cards.py."""
    return model_script('prove_cards')
