"""What all tests share."""

import os

# Windows open in memory.
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
