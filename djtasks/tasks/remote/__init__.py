"""What is said to running workers, and what they answer."""
