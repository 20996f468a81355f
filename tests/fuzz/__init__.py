"""Damaged files for the readers, and random models for everything.

A target is a function of bytes, which choose what is damaged (see `damage`). pytest runs each with
some bytes, the same in every run. `python tests/fuzz/run.py` looks for others by coverage, with
atheris. Models are drawn by Hypothesis (see `models`). CRNN_FUZZ=N tries N times as many of both.
A package, so that its files may have the same names as those in tests.
"""
