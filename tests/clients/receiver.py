"""Who is told of jobs, on this machine."""

import http.server
import threading

from tarpon import until


class Receiver:
    """Takes callbacks, and keeps what they say by the path they came to."""

    def __enter__(self):
        self.said = said = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                said.append((self.path, self.headers, body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}/{path}"

    def heard(self, path):
        return [(headers, body) for to, headers, body in self.said if to == f"/{path}"]

    def first(self, path):
        return until(f"a callback to {path}", lambda: next(iter(self.heard(path)), None))
