"""Furnished rooms for training the mono network: geometry, light and views."""
