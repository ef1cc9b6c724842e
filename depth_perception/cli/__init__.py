"""The depth_perception command and its verbs."""
