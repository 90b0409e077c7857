"""Stands where a package is that only a development environment has."""

raise ImportError("no image has this package")
