"""Tasks in the admin: one list of what lives and what has ended, each in full, and what operators do with them."""
