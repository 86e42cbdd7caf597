"""The shop's own tests: for pytest, and (but for one file) for Django's runner."""

from shop.celery import app

# Workers have tests of their own: here, what is sent is done at once.
app.conf.task_always_eager = True
