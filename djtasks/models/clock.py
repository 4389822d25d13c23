"""The database's clock, as queries and columns name it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import functions
from django.utils import timezone
from django.utils.deconstruct import deconstructible

UTC = "UTC_TIMESTAMP(6)"
LOCAL = "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', 'localtime')"


# To migrations it is Django's: only on SQLite and MySQL, and only as a query is run, there is a difference.
@deconstructible(path="django.db.models.functions.datetime.Now")
class Now(functions.Now):
    """The moment, as it would stand in a row.

    Django's is in UTC on SQLite also where rows are in local time, and on MySQL always in the server's own zone.
    """

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        if settings.USE_TZ:
            return super().as_sqlite(compiler, connection, **context)
        return self.as_sql(compiler, connection, template=LOCAL, **context)

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        zone = connection.timezone or timezone.get_default_timezone()
        offset = datetime.now(zone).utcoffset()
        # No zone is named: servers know zones only where somebody has loaded them.
        template = f"({UTC} + INTERVAL {int(offset.total_seconds())} SECOND)" if offset else UTC
        return self.as_sql(compiler, connection, template=template, **context)
