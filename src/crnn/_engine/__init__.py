"""The work itself: validation, and the compiled modules over csrc/."""
