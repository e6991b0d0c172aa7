"""Boots products in QEMU: `run` finds out what a product is and puts a console of it on the terminal."""

from imagekit.run.command import DEFAULT_TIMEOUT, Outcome, RunRequest, run

__all__ = ["DEFAULT_TIMEOUT", "Outcome", "RunRequest", "run"]
