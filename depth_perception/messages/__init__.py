"""Messages to pictures, cameras and points, duck-typed: bags and nodes share one reader."""
