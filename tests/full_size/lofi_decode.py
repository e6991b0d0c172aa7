"""A decoder of compressed lofi files, written from the description of the format alone."""

import struct
import zlib
from itertools import pairwise


def decode(source, target):
    """Decode a file into another; raise ValueError for all that is not as the format has it."""

    def expect(what, *, holds):
        if not holds:
            raise ValueError(what)

    source.seek(0, 2)
    length = source.tell()
    source.seek(0)
    name, segment_size, entries, last = struct.unpack(">36sIII", source.read(48))
    expect("the file is whole sectors", holds=length % 512 == 0)
    expect("signature gzip", holds=name == b"gzip" + bytes(32))
    expect("segments of 128 KiB", holds=segment_size == 131072)
    expect("last segment's size", holds=1 <= last <= segment_size)
    index = struct.unpack(f">{entries}Q", source.read(8 * entries))
    expect("first offset", holds=index[0] == 0)
    for number, (first, after) in enumerate(pairwise(index)):
        expect("offsets ascend", holds=first < after <= length)
        segment = source.read(after - first)
        plain = segment[1:]
        if segment[0] == 1:
            inflate = zlib.decompressobj(wbits=15)  # RFC 1950, nothing else
            plain = inflate.decompress(plain)
            expect("streams end with their segments", holds=inflate.eof and not inflate.unused_data)
            expect("the saving of a compressed segment", holds=len(segment) - 1 <= segment_size - 2048)
        else:
            expect("flags", holds=segment[0] == 0)
        expect("segment sizes", holds=len(plain) == (last if number == entries - 2 else segment_size))
        target.write(plain)
    padding = source.read()
    expect("the padding", holds=len(padding) < 512 and not any(padding))
