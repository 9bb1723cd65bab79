"""Tests of sepo.games."""
