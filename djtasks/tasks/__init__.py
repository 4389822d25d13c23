"""What application code holds: tasks, their results, the registry and the context of a run."""
