"""Fixtures shared by all tests."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / 'shared'


@pytest.fixture(scope='session')
def shared_dir() -> Path:
    """Return the folder of sample data beside the checkout, or skip with the reason."""
    if not (SHARED / 'data').is_dir():
        pytest.skip('the sample data beside the checkout (../shared) is not there')
    return SHARED
