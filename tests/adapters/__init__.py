"""Tests of what other frameworks run."""
