#!/usr/bin/env python3
"""A receiver of callbacks that trusts nothing but the library that Standard
Webhooks publishes.

    receiver.py PORT SECRET      PORT 0 picks a free one; the port is printed

What a path is called is what it answers: /200, /301, /410, /500 …; /late answers
the first time after a minute, and at once from then on; /twice fails twice. What
came in is told at GET /log, a list of JSON objects.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

LOG, LOCK = [], threading.Lock()


class Receiver(BaseHTTPRequestHandler):
    def do_GET(self):
        with LOCK:
            self.answer(200, json.dumps(LOG).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            event = Webhook(sys.argv[2]).verify(body, headers)
        except WebhookVerificationError as error:
            event = {"refused": str(error)}
        with LOCK:
            before = sum(1 for entry in LOG if entry["path"] == self.path)
            LOG.append({"path": self.path, "id": headers.get("webhook-id"), "event": event})
        word = self.path.strip("/").split("/")[0]
        if word == "late" and before == 0:
            time.sleep(60)
        statuses = {"late": 200, "twice": 200 if before >= 2 else 503}
        self.answer(statuses.get(word) or int(word), b"")

    def answer(self, status, body):
        self.send_response(status)
        if status == 301:
            self.send_header("location", "/200")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
print(server.server_address[1], flush=True)
server.serve_forever()
