"""The live viewer: frames for a browser, and the small web server that brings them there."""
