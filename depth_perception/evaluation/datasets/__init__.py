"""Readers of public data sets, and the one bag layout that they are converted to."""
