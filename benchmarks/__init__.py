"""djtasks beside its peers: each program measures both sides in one run, and writes its figures to ``results/``."""
