"""How big it is: directory trees measured with lstat alone.

No symbolic link is followed, and nothing but directories is opened.
"""
