"""Training of the package's own networks: nothing here is needed, or imported, at run time."""
