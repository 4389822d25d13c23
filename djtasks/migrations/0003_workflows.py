import djtasks.models
from django.db import migrations, models


def tune(apps, schema_editor):
    # How an upstream ended is written into its edges, where their pages have room, and workflows come and go.
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "ALTER TABLE djtasks_dependency SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, "
            "autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0.05, "
            "autovacuum_vacuum_insert_scale_factor = 0.05)"
        )


class Migration(migrations.Migration):

    dependencies = [
        ('djtasks', '0002_commands'),
    ]

    operations = [
        migrations.CreateModel(
            name='Dependency',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('message', models.UUIDField(verbose_name='message')),
                ('upstream', models.UUIDField(verbose_name='upstream')),
                ('position', models.IntegerField(blank=True, null=True, verbose_name='position')),
                ('on', models.CharField(db_default='success', default='success', max_length=8, verbose_name='on')),
                ('fate', models.CharField(blank=True, db_default='', default='', max_length=8, verbose_name='fate')),
                ('value', djtasks.models.PayloadField(blank=True, null=True, verbose_name='value')),
            ],
            options={
                'verbose_name': 'dependency',
                'verbose_name_plural': 'dependencies',
            },
        ),
        migrations.AddField(
            model_name='message',
            name='delay',
            field=models.FloatField(blank=True, null=True, verbose_name='seconds to wait once unblocked'),
        ),
        migrations.AddField(
            model_name='message',
            name='eta',
            field=models.DateTimeField(blank=True, null=True, verbose_name='not before, once unblocked'),
        ),
        migrations.AddField(
            model_name='message',
            name='feeds',
            field=models.SmallIntegerField(db_default=0, default=0, verbose_name='feeds'),
        ),
        migrations.AddField(
            model_name='message',
            name='inputs',
            field=models.CharField(blank=True, db_default='', default='', max_length=8, verbose_name='inputs'),
        ),
        migrations.AddField(
            model_name='result',
            name='inputs',
            field=models.CharField(blank=True, db_default='', default='', max_length=8, verbose_name='inputs'),
        ),
        migrations.AddField(
            model_name='message',
            name='lifetime',
            field=models.FloatField(blank=True, null=True, verbose_name='seconds to live once unblocked'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('group__isnull', False)), fields=['group'], name='djtasks_message_group'),
        ),
        migrations.AddIndex(
            model_name='result',
            index=models.Index(condition=models.Q(('group__isnull', False)), fields=['group'], name='djtasks_result_group'),
        ),
        migrations.AddIndex(
            model_name='dependency',
            index=models.Index(fields=['message', 'position'], name='djtasks_dependency_message'),
        ),
        migrations.AddIndex(
            model_name='dependency',
            index=models.Index(fields=['upstream'], name='djtasks_dependency_upstream'),
        ),
        migrations.RunPython(tune, migrations.RunPython.noop),
    ]
