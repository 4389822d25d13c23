import django.db.models.functions.datetime
import djtasks.domain.identifiers
import djtasks.models
from django.db import migrations, models


def tune(apps, schema_editor):
    # A lease is rewritten in place where its page has room, and what is settled is vacuumed before it piles up.
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "ALTER TABLE djtasks_message SET (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.02, "
            "autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0.05, "
            "autovacuum_vacuum_insert_scale_factor = 0.05)"
        )


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Worker',
            fields=[
                ('id', models.UUIDField(default=djtasks.domain.identifiers.uuid7, editable=False, primary_key=True, serialize=False, verbose_name='id')),
                ('name', models.CharField(max_length=255, verbose_name='name')),
                ('host', models.CharField(max_length=255, verbose_name='host')),
                ('pid', models.IntegerField(verbose_name='process id')),
                ('pool', models.CharField(max_length=32, verbose_name='pool')),
                ('slots', models.IntegerField(verbose_name='slots')),
                ('queues', djtasks.models.PayloadField(blank=True, null=True, verbose_name='queues')),
                ('listening', models.BooleanField(db_default=True, default=True, verbose_name='listening')),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='started at')),
                ('seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='seen at')),
            ],
            options={
                'verbose_name': 'worker',
                'verbose_name_plural': 'workers',
            },
        ),
        migrations.CreateModel(
            name='Message',
            fields=[
                ('id', models.UUIDField(default=djtasks.domain.identifiers.uuid7, editable=False, primary_key=True, serialize=False, verbose_name='id')),
                ('task', models.CharField(max_length=255, verbose_name='task')),
                ('args', djtasks.models.PayloadField(db_default=[], default=list, verbose_name='arguments')),
                ('kwargs', djtasks.models.PayloadField(db_default={}, default=dict, verbose_name='keyword arguments')),
                ('queue', models.CharField(db_default='default', default='default', max_length=128, verbose_name='queue')),
                ('priority', models.SmallIntegerField(db_default=0, default=0, verbose_name='priority')),
                ('retries', models.IntegerField(db_default=0, default=0, verbose_name='retries')),
                ('deliveries', models.IntegerField(db_default=0, default=0, verbose_name='deliveries')),
                ('losses', models.SmallIntegerField(db_default=0, default=0, verbose_name='losses')),
                ('options', djtasks.models.PayloadField(db_default={}, default=dict, verbose_name='options')),
                ('errors', djtasks.models.ErrorsField(blank=True, db_default='', default=list, verbose_name='errors')),
                ('worker', models.UUIDField(blank=True, null=True, verbose_name='worker')),
                ('group', models.UUIDField(blank=True, null=True, verbose_name='group')),
                ('root', models.UUIDField(blank=True, null=True, verbose_name='root')),
                ('parent', models.UUIDField(blank=True, null=True, verbose_name='parent')),
                ('enqueued_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='enqueued at')),
                ('due_at', models.DateTimeField(blank=True, db_default=django.db.models.functions.datetime.Now(), null=True, verbose_name='due at')),
                ('started_at', models.DateTimeField(blank=True, null=True, verbose_name='started at')),
                ('leased_until', models.DateTimeField(blank=True, null=True, verbose_name='leased until')),
                ('acks_late', models.BooleanField(blank=True, null=True, verbose_name='acknowledged late')),
                ('expires_at', models.DateTimeField(blank=True, null=True, verbose_name='expires at')),
                ('state', models.CharField(blank=True, db_default='', default='', max_length=64, verbose_name="the task's own state")),
                ('meta', djtasks.models.PayloadField(blank=True, null=True, verbose_name='meta')),
                ('revoked_at', models.DateTimeField(blank=True, null=True, verbose_name='revoked at')),
                ('awaited', models.BooleanField(db_default=False, default=False, verbose_name='awaited')),
            ],
            options={
                'verbose_name': 'message',
                'verbose_name_plural': 'messages',
                'indexes': [models.Index(fields=['queue', '-priority', 'due_at', 'id'], name='djtasks_message_live'), models.Index(condition=models.Q(('parent__isnull', False)), fields=['parent'], name='djtasks_message_parent')],
            },
        ),
        migrations.CreateModel(
            name='Result',
            fields=[
                ('id', models.UUIDField(default=djtasks.domain.identifiers.uuid7, editable=False, primary_key=True, serialize=False, verbose_name='id')),
                ('task', models.CharField(max_length=255, verbose_name='task')),
                ('args', djtasks.models.PayloadField(db_default=[], default=list, verbose_name='arguments')),
                ('kwargs', djtasks.models.PayloadField(db_default={}, default=dict, verbose_name='keyword arguments')),
                ('queue', models.CharField(db_default='default', default='default', max_length=128, verbose_name='queue')),
                ('priority', models.SmallIntegerField(db_default=0, default=0, verbose_name='priority')),
                ('retries', models.IntegerField(db_default=0, default=0, verbose_name='retries')),
                ('deliveries', models.IntegerField(db_default=0, default=0, verbose_name='deliveries')),
                ('losses', models.SmallIntegerField(db_default=0, default=0, verbose_name='losses')),
                ('options', djtasks.models.PayloadField(db_default={}, default=dict, verbose_name='options')),
                ('errors', djtasks.models.ErrorsField(blank=True, db_default='', default=list, verbose_name='errors')),
                ('worker', models.UUIDField(blank=True, null=True, verbose_name='worker')),
                ('group', models.UUIDField(blank=True, null=True, verbose_name='group')),
                ('root', models.UUIDField(blank=True, null=True, verbose_name='root')),
                ('parent', models.UUIDField(blank=True, null=True, verbose_name='parent')),
                ('enqueued_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='enqueued at')),
                ('due_at', models.DateTimeField(blank=True, db_default=django.db.models.functions.datetime.Now(), null=True, verbose_name='due at')),
                ('started_at', models.DateTimeField(blank=True, null=True, verbose_name='started at')),
                ('state', models.CharField(max_length=64, verbose_name='state')),
                ('value', djtasks.models.PayloadField(blank=True, null=True, verbose_name='value')),
                ('hostname', models.CharField(blank=True, db_default='', default='', max_length=255, verbose_name="worker's name")),
                ('finished_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='finished at')),
                ('expires_at', models.DateTimeField(blank=True, null=True, verbose_name='expires at')),
            ],
            options={
                'verbose_name': 'result',
                'verbose_name_plural': 'results',
                'indexes': [models.Index(condition=models.Q(('expires_at__isnull', False)), fields=['expires_at'], name='djtasks_result_expiry'), models.Index(condition=models.Q(('parent__isnull', False)), fields=['parent'], name='djtasks_result_parent')],
            },
        ),
        migrations.RunPython(tune, migrations.RunPython.noop),
    ]
