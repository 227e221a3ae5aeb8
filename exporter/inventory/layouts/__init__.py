"""How each generation of Docker lays out images and layers on the disk."""
