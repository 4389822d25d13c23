"""The workflow around a task: what is next to it, in which layers it stands, and how that is drawn."""
