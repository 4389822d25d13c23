"""Signatures, what is composed of them, and the messages and edges that they become."""
