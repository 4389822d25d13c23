from django.conf import settings
from django.db import migrations
from django.db.models.functions import Now


def set_clock(apps, schema_editor):
    # The clock of MySQL and MariaDB is in the zone of the server, while rows are in UTC. A column that is altered later
    # gets Django's default back.
    if schema_editor.connection.vendor != "mysql" or not settings.USE_TZ:
        return
    quote = schema_editor.quote_name
    for model in apps.get_app_config("djtasks").get_models():
        if model._meta.proxy:
            continue
        for field in model._meta.local_fields:
            if isinstance(field.db_default, Now):
                schema_editor.execute(
                    f"ALTER TABLE {quote(model._meta.db_table)} ALTER {quote(field.column)} SET DEFAULT (UTC_TIMESTAMP(6))"
                )


class Migration(migrations.Migration):

    dependencies = [
        ('djtasks', '0006_worker_memory'),
    ]

    operations = [
        migrations.RunPython(set_clock, migrations.RunPython.noop, atomic=False),
    ]
