"""Tests of sepo.cli."""
