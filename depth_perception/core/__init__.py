"""Geometry, uncertainty and synchronisation in numpy; knows no ROS, no files and no clocks."""
