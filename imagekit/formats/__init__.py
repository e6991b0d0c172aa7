"""The formats that imagekit reads and writes, one module or folder each.

A writer plans first and gives a Content, the whole image as pieces; a reader takes a Content and gives a Tree.
"""
