"""imagekit serve."""

from pathlib import Path

import click

from imagekit.cli import options
from imagekit.cli.things import named


@click.command("serve")
@click.argument("folder", type=options.FOLDER, metavar="DIR")
@click.option("--bind", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="The port to listen on; 0 takes any."
)
def command(folder: Path, bind: str, port: int) -> None:
    """Serve a folder, such as a PXE directory, over HTTP for a quick test.

    It prints the URL, and the iPXE and QEMU commands to try; a line is logged for each request. Ctrl-C ends it. TFTP is
    left to dnsmasq.

    \b
      imagekit serve output-pxe
      imagekit serve output-pxe --bind 0.0.0.0 --port 80
    """
    from imagekit import serve  # noqa: PLC0415 - keeps --help quick

    serve.serve(folder, bind, port, lambda line: click.echo(named(line)), options.note)
