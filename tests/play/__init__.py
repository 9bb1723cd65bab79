"""Tests of sepo.play."""
