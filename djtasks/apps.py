"""The Django app: finds the tasks of the installed apps and registers the system checks."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class DjtasksConfig(AppConfig):
    """djtasks in a Django project."""

    name = "djtasks"
    verbose_name = _("Tasks")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from djtasks import checks, compat
        from djtasks.beat import announcing
        from djtasks.conf import settings
        from djtasks.tasks import checking, internal  # noqa: F401, it declares tasks

        checks.register()
        checking.register()
        announcing.connect()
        autodiscover_modules("tasks")
        others = (*settings.IMPORTS, *settings.INCLUDE)
        for module in others:
            import_module(module)
        if compat.HAS_TASKS:
            from djtasks.backend import adopting

            adopting.adopt_all([*(f"{app.name}.tasks" for app in apps.get_app_configs()), *others])
