"""The addresses of the example's site."""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import path

from mail import views

urlpatterns = [
    path("", views.sign_up, name="sign-up"),
    path("thanks/", views.thanks, name="thanks"),
    path("confirm/<uuid:token>/", views.confirm, name="confirm"),
    path("admin/", admin.site.urls),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),  # only under DEBUG
]
