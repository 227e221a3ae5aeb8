"""How big it is: directory trees measured by lstat alone.

Nothing is followed or read, and nothing but directories is opened.
"""
