"""Model cards, backends and the estimators that turn a frame into a DepthEstimate."""
