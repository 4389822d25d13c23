"""Recordings, brought to one loudness and drawn."""
