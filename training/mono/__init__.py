"""Training of the mono network: affine-invariant inverse depth with its own error bar."""
