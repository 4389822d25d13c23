"""What `demo.py` is made of: the world outside the example and its processes, screen and proofs."""
