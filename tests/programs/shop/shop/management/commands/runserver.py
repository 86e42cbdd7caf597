"""Django's own, for more people at once: it lets ten wait to be let in."""

from django.core.management.commands import runserver
from django.core.servers.basehttp import WSGIServer


class Server(WSGIServer):
    request_queue_size = 128


class Command(runserver.Command):
    server_cls = Server
