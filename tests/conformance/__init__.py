"""Runs Django's own tests of its tasks against our backend: ``make conformance``.

They are downloaded with Django's source distribution and never kept here; the shim gives the backend what the tests ask
of Django's dummy backend beside the contract.
"""
