"""gzip (RFC 1952): `compress` a content in parallel, and `inflate` one to where it can be read at any offset."""

from imagekit.formats.gzip.backends import Backend, Level, available, choose
from imagekit.formats.gzip.reader import Inflated, inflate, inflate_to_temporary, is_gzip
from imagekit.formats.gzip.writer import Result, compress

__all__ = [
    "Backend",
    "Inflated",
    "Level",
    "Result",
    "available",
    "choose",
    "compress",
    "inflate",
    "inflate_to_temporary",
    "is_gzip",
]
