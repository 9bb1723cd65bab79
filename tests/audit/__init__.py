"""Tests of sepo.audit."""
