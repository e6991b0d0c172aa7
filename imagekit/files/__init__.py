"""Files on disk: outputs that appear whole or not at all, temporaries, raw images."""
