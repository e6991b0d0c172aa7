"""Serves a folder over HTTP for a quick test: `serve` until Ctrl-C, or a `Server` of one's own."""

from imagekit.serve.server import Server, serve

__all__ = ["Server", "serve"]
