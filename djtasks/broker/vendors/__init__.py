"""What one database does its own way; ``vendor_for`` chooses by the connection."""

from __future__ import annotations

from importlib import import_module

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from djtasks.broker.vendors.base import Exchange, Listener, Recovered, Renewed, Vendor
from djtasks.conf import settings

__all__ = ["Exchange", "Listener", "Recovered", "Renewed", "Vendor", "private_vendor", "shared_vendor", "vendor_for"]

# Drivers are optional: a project with SQLite alone must not need psycopg.
_VENDORS = {
    "postgresql": ("djtasks.broker.vendors.postgresql", "PostgresqlVendor"),
    "sqlite": ("djtasks.broker.vendors.sqlite", "SqliteVendor"),
}
CONNECT_SECONDS = 5


def vendor_for(connection: BaseDatabaseWrapper) -> Vendor:
    """Return the queue's statements for this connection's database."""
    module, name = _VENDORS.get(connection.vendor, ("djtasks.broker.vendors.base", "Vendor"))
    vendor: Vendor = getattr(import_module(module), name)(connection)
    return vendor


def shared_vendor() -> Vendor:
    """Return the vendor on the caller's own connection, so that a message joins the caller's transaction."""
    return vendor_for(connections[settings.DATABASE])


def private_vendor() -> Vendor:
    """Return a vendor on a connection of its own, outside every transaction and pool of the application."""
    connection = connections.create_connection(settings.DATABASE)
    connection.settings_dict = {**connection.settings_dict, "CONN_MAX_AGE": None, "ATOMIC_REQUESTS": False}
    connection.settings_dict["OPTIONS"] = options = dict(connection.settings_dict.get("OPTIONS") or {})
    if connection.vendor == "postgresql":
        options.pop("pool", None)
        options.pop("isolation_level", None)
        options.setdefault("connect_timeout", CONNECT_SECONDS)
        options.setdefault("keepalives_idle", 10)
        options.setdefault("keepalives_interval", 3)
        options.setdefault("keepalives_count", 3)
    # The thread that opens it is not always the one that closes it.
    connection.inc_thread_sharing()
    return vendor_for(connection)
