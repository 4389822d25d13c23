"""Beats: they make the messages of due schedules; any number may run, and none is a leader."""
