"""What boot programs need: consoles, loader.conf, patched boot sectors."""
