"""The platform image: what `gmake live` assembles after the components are built."""
