\ imagekit's stand-in: the real file of this name comes with a SmartOS build, in proto.boot/boot/forth.
