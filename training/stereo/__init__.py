"""A stereo network of our own: its parts, its training and its export."""
