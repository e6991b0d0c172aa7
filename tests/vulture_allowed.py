"""Names that vulture cannot see being used."""

import sys
import tarfile

from imagekit.cli import LazyGroup
from imagekit.errors import Thing
from imagekit.files.output import Outputs
from imagekit.formats.compressed import zip_file
from imagekit.serve.handler import Handler
from imagekit.serve.server import Server

# tarfile itself reads these when it makes a header.
_ = (
    tarfile.TarInfo.devmajor,
    tarfile.TarInfo.devminor,
    tarfile.TarInfo.gname,
    tarfile.TarInfo.linkname,
    tarfile.TarInfo.uname,
)

# The standard library's servers use these.
_ = (
    Handler.handle,
    Server.address_family,
    Server.block_on_close,
    Server.daemon_threads,
    Server.request_queue_size,
)

# click calls these.
_ = (LazyGroup.format_commands, LazyGroup.get_command, LazyGroup.list_commands)

# For PXE directories.
_ = (Outputs.clear, Outputs.remove)

# zipfile reads through this.
_ = (zip_file._Reader.readable, zip_file._Reader.seek, zip_file._Reader.seekable, zip_file._Reader.tell)

# Python calls these.
_ = (sys.unraisablehook, Thing._generate_next_value_)
