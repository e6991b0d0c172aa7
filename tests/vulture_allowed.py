"""Names that vulture cannot see being used."""

import tarfile

from imagekit.cli import LazyGroup
from imagekit.media.serve.handler import Handler, _Requests
from imagekit.media.serve.server import Server

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
    Handler.close_connection,
    Handler.disable_nagle_algorithm,
    Handler.do_HEAD,
    Handler.log_message,
    Handler.log_request,
    Handler.version_string,
    Server.address_family,
    Server.block_on_close,
    Server.daemon_threads,
    Server.request_queue_size,
    _Requests.readable,
    _Requests.readinto,
)

# click calls these.
_ = (LazyGroup.format_commands, LazyGroup.get_command, LazyGroup.list_commands)
