"""Metric depth with an honest error bar, from a mono camera or a rectified stereo pair."""

__version__ = '0.1.0'
