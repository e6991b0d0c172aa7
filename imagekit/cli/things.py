"""What the things that messages name are called on the command line: by their options."""

import re
from collections.abc import Mapping

from imagekit.errors import Thing

OPTIONS: Mapping[str, str] = {
    Thing.ACCEL: "--accel",
    Thing.ANSWERS: "--answers",
    Thing.AS: "--as",
    Thing.BIND: "--bind",
    Thing.BOOT: "--boot",
    Thing.BOOTFILE: "--bootfile",
    Thing.COMPLETE: "--complete",
    Thing.CONSOLE: "-c",
    Thing.FIT: "--fit",
    Thing.LAYOUT: "--layout",
    Thing.MAC: "--mac",
    Thing.MEMORY: "--memory",
    Thing.MODULE: "--module",
    Thing.NO_COMPRESS: "--no-compress",
    Thing.NO_WAIT: "--no-wait",
    Thing.OUTPUT: "-o",
    Thing.PLATFORM: "--platform",
    Thing.PORT: "--port",
    Thing.PROPERTIES: "-B",
    Thing.PROTO: "-p",
    Thing.REMOVE: "--remove",
    Thing.REPLACE: "--replace",
    Thing.ROOT: "-r",
    Thing.ROOT_PASSWORD: "--root-password",
    Thing.ROOT_SIZE: "--root-size",
    Thing.SIZE: "--size",
    Thing.STAMP: "--stamp",
    Thing.STRICT: "--strict",
    Thing.UEFI: "--uefi",
    Thing.UNSHIPPED: "--unshipped",
    Thing.URL: "--url",
    Thing.USR_SIZE: "--usr-size",
    Thing.VERBOSE: "-v",
}


def named(text: str) -> str:
    """Return a message with the options in the place of the things that it names."""
    return re.sub("«[a-z_]+»", lambda found: OPTIONS.get(found[0], found[0]), text)
