"""Sign-ups, each of which is answered by a mail."""
