"""The peers' apps: the least code that has the same tasks, called as their documents tell."""
