"""Figures of depth, disparity, sigma, structure, time and clouds against a truth."""
