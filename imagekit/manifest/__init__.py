"""Manifests: grammar, combining, lint, resolving against a proto area, verification."""
