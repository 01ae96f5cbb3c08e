"""What all tests share."""

import os

import torch

# Windows open in memory.
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

# The tests' tensors are small: torch's threads would mostly wait for each other.
torch.set_num_threads(1)
