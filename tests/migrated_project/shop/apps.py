"""The app, which connects its receivers."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "tests.migrated_project.shop"

    def ready(self):
        from tests.migrated_project.shop import receivers  # noqa: F401
