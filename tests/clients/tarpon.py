"""What the clients' stories share: who they are, and the native HTTP API by
nothing but the standard library, for what a vendor's client has no call for.
"""

import base64
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

#: Where the server is, without a slash at the end.
URL = os.environ["TARPON_URL"]

#: The same as `host:port`.
ADDRESS = URL.removeprefix("http://")

#: How long something may take that should not take long, in seconds.
PATIENCE = 120

#: A job that does nothing, with the image that the runtime has for it.
PROBE = json.loads(os.environ["TARPON_PROBE"])


class _Unmoved(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other."""

    def redirect_request(self, *_):
        return None


#: Nobody's proxy, and no redirect is followed unseen.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Unmoved)


class Answer:
    """An answer, read to its end; whatever its status is."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def expect(self, *statuses):
        assert self.status in statuses, f"{self.status}: {self.body[:2000]!r}"
        return self


def request(method, path, body=None, headers=None):
    """Asks without any credential. `path` may be a whole URL."""
    url = URL + path if path.startswith("/") else path
    asked = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with _OPENER.open(asked, timeout=2 * PATIENCE) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


class Project:
    """A project, as the client of one of its keys sees it."""

    def __init__(self, project, key, secret):
        self.id, self.key, self.secret = project, key, secret

    @classmethod
    def given(cls, prefix):
        names = ("PROJECT_ID", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
        return cls(*(os.environ[f"{prefix}_{name}"] for name in names))

    def request(self, method, path, body=None, headers=None):
        """Asks; what is neither bytes nor nothing is sent as JSON."""
        both = base64.b64encode(f"{self.key}:{self.secret}".encode()).decode()
        headers = {"Authorization": f"Basic {both}", **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        return request(method, path, body, headers)

    def submit(self, job):
        """Submits a job that has to be accepted, and gives its id."""
        return self.request("POST", "/v1/jobs", job).expect(202).json()["id"]

    def job(self, job):
        """The job as it is now."""
        return self.request("GET", f"/v1/jobs/{job}").expect(200).json()

    def jobs(self):
        """The newest jobs."""
        return self.request("GET", "/v1/jobs").expect(200).json()["jobs"]

    def wait(self, job, *states):
        """The job once it is in one of these states."""
        return until(f"{job} is {' or '.join(states)}", lambda: self._in(job, states))

    def _in(self, job, states):
        view = self.job(job)
        return view if view["state"] in states else None

    def finish(self, job):
        """The job once it is over."""
        live = ("queued", "running", "stopping")

        def look():
            view = self.request("GET", f"/v1/jobs/{job}?wait=20").expect(200).json()
            return None if view["state"] in live else view

        return until(f"{job} is over", look)

    def cancel(self, job):
        """Asks for the job's end."""
        return self.request("POST", f"/v1/jobs/{job}/cancel", {}).expect(200, 202)

    def archive(self, job):
        """The job's tar."""
        return self.request("GET", f"/v1/jobs/{job}/output").expect(200).body

    def queue(self, name, **settings):
        """Makes a queue, or changes it."""
        return self.request("PUT", f"/v1/queues/{name}", settings).expect(200, 201).json()

    def register(self, name, reference):
        """Registers an image under a name of its own."""
        body = {"reference": reference}
        return self.request("PUT", f"/v1/images/{name}", body).expect(200, 201).json()

    def put(self, name, content):
        """Stores an object, `bucket/key`."""
        upload = self.request("POST", "/v1/uploads", {"object": name}).expect(201).json()
        request("PUT", upload["url"], content, upload["headers"]).expect(200, 201, 204)

    def get(self, name):
        """An object's bytes; nothing where there is none."""
        answer = self.request("GET", f"/v1/objects/{urllib.parse.quote(name)}").expect(200, 404)
        return answer.body if answer.status == 200 else None


#: The project that the story is about.
OURS = Project.given("TARPON")

#: Another one, which is to see nothing of it.
THEIRS = Project.given("TARPON_OTHER")


def probe(steps, **fields):
    """A job that makes the probe take these steps, words told apart by blanks:
    what they are is told in `tests/probe/src/main.rs`."""
    return {**PROBE, "command": PROBE["command"] + steps.split(), **fields}


def until(what, look):
    """Looks again and again until there is something, and gives it."""
    end = time.monotonic() + PATIENCE
    while True:
        found = look()
        if found is not None:
            return found
        assert time.monotonic() < end, f"waited {PATIENCE} s in vain: {what}"
        time.sleep(0.02)
