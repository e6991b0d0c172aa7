"""Names that vulture cannot see being used."""

import tarfile

# tarfile itself reads these when it makes a header.
_ = (
    tarfile.TarInfo.devmajor,
    tarfile.TarInfo.devminor,
    tarfile.TarInfo.gname,
    tarfile.TarInfo.linkname,
    tarfile.TarInfo.uname,
)
