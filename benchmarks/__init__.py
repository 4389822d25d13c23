"""djtasks beside its peers: each program measures all sides in one run, and writes its figures to ``results/``.

A peer has a file in ``sides/``, which says how it is started and looked at, and one in ``apps/``, which has its tasks
and how they are called.
"""
