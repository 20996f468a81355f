"""The computation: validation, and the compiled modules over csrc/."""
