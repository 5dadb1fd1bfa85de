"""Runs Keystone's WSGI application; a program of its own, since Keystone may live in another environment.

Keystone takes its configuration from OS_KEYSTONE_CONFIG_FILES; the port is in KEYSTONE_PORT, 0 picks one. The port is
written to standard output when connections are accepted.
"""

import os
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from keystone.wsgi.api import application


class Threading(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


server = make_server("127.0.0.1", int(os.environ["KEYSTONE_PORT"]), application, Threading, Quiet)
sys.stdout.write(f"{server.server_port}\n")
sys.stdout.flush()
server.serve_forever()
