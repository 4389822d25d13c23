"""A project as Celery's users write it, after it has moved over; ``test_project.py`` says what had to change."""
