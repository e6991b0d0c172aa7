"""imagekit: platform images and boot media for SmartOS and its relatives.

Import what you need from the modules: `imagekit.tree` is the model, `imagekit.formats` reads and writes each
format, `imagekit.manifest`, `imagekit.boot` and `imagekit.media` build on them.  docs/architecture.md draws the map.
"""

__version__ = "0.1.0"
