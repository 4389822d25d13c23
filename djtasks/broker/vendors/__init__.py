"""What one database does its own way; ``vendor_for`` chooses by the connection."""

from __future__ import annotations

import threading
from importlib import import_module

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from djtasks.broker.vendors.answers import Exchange, Recovered
from djtasks.broker.vendors.base import Listener, Vendor
from djtasks.conf import settings

__all__ = ["Exchange", "Listener", "Recovered", "Vendor", "private_vendor", "shared_vendor", "vendor_for"]

# Drivers are optional: a project with SQLite alone must not need psycopg.
_VENDORS = {
    "postgresql": ("djtasks.broker.vendors.postgresql", "PostgresqlVendor"),
    "sqlite": ("djtasks.broker.vendors.sqlite", "SqliteVendor"),
}
_PORTABLE = ("djtasks.broker.vendors.portable", "PortableVendor")

# A server that is gone is noticed within some 20 seconds, long before a lease ends.
_PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


def vendor_for(connection: BaseDatabaseWrapper, *, private: bool = False) -> Vendor:
    """Return the queue's statements for this connection's database."""
    module, name = _VENDORS.get(connection.vendor, _PORTABLE)
    vendor: Vendor = getattr(import_module(module), name)(connection, private=private)
    return vendor


_shared = threading.local()


def shared_vendor() -> Vendor:
    """Return the vendor on the caller's own connection, so that a message joins the caller's transaction."""
    connection = connections[settings.DATABASE]
    vendor: Vendor | None = getattr(_shared, "vendor", None)
    if vendor is None or vendor.connection is not connection:
        vendor = _shared.vendor = vendor_for(connection)
    return vendor


def private_vendor() -> Vendor:
    """Return a vendor on a connection of its own, outside every transaction and pool of the application."""
    connection = connections.create_connection(settings.DATABASE)
    connection.settings_dict = {**connection.settings_dict, "CONN_MAX_AGE": None, "ATOMIC_REQUESTS": False}
    connection.settings_dict["OPTIONS"] = options = dict(connection.settings_dict.get("OPTIONS") or {})
    if connection.vendor != "sqlite":
        options.pop("isolation_level", None)
    if connection.vendor == "postgresql":
        options.pop("pool", None)
        connection.settings_dict["OPTIONS"] = _PATIENCE | options
    # The thread that opens it is not always the one that closes it.
    connection.inc_thread_sharing()
    return vendor_for(connection, private=True)
