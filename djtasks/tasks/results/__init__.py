"""The handles of what was sent: what is recorded of it, and the wait for its end."""
