"""imagekit demo."""

from pathlib import Path

import click

from imagekit.cli import options


@click.command("demo")
@click.argument("folder", type=options.FOLDER)
def command(folder: Path) -> None:
    """Make a demo workspace in FOLDER: manifests, a proto area, boot stand-ins.

    \b
      imagekit demo demo
      imagekit platform -r demo
      imagekit boot -r demo
      imagekit usb -r demo -c ttyb
    """
    from imagekit.platform.demo import make_demo  # noqa: PLC0415 - keeps --help quick

    options.print_lines([f"{make_demo(folder)}  demo workspace: manifest.d, boot.manifest.d, proto, imagekit.yaml"])
