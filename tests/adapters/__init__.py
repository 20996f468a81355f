"""Tests that need optional libraries.

A package, so that its files may have the same names as those in tests.
"""
