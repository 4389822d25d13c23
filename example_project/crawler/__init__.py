"""A distributed crawler: tasks that send tasks."""
