"""The only room that imports rclpy and messages: codecs, parameters, diagnostics and nodes."""
