"""Tests that need another library: a package, so that names may be those of tests beside it."""
