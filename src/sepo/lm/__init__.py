"""Causal language models: loading them, putting chats into tokens, scoring legal strings fast. Knows no game."""
