"""The database's clock, as queries and columns name it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import functions
from django.utils.deconstruct import deconstructible

LOCAL = "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', 'localtime')"


# To migrations it is Django's: only on SQLite, and only as a query is run, there is a difference.
@deconstructible(path="django.db.models.functions.datetime.Now")
class Now(functions.Now):
    """The moment, as it would stand in a row: Django's is in UTC on SQLite also where rows are in local time."""

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        if settings.USE_TZ:
            return super().as_sqlite(compiler, connection, **context)
        return self.as_sql(compiler, connection, template=LOCAL, **context)
