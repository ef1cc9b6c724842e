"""Recordings, metrics and reports; reads bags without rclpy."""
