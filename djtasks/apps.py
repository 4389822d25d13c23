"""The Django app: finds the tasks of the installed apps and registers the system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class DjtasksConfig(AppConfig):
    """djtasks in a Django project."""

    name = "djtasks"
    verbose_name = _("Tasks")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from djtasks import checks

        checks.register()
        autodiscover_modules("tasks")
