"""Tests of sepo.policies."""
