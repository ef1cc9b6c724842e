"""Renderer of stereo pairs with exact truth, for training and for tests (see README.md)."""

from training.renderer.degrade import degrade
from training.renderer.kinds import KINDS
from training.renderer.pair import Camera, Pair, render, render_scene

__all__ = ['KINDS', 'Camera', 'Pair', 'degrade', 'render', 'render_scene']
