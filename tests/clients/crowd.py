"""Many clients of all vendors at once, in two projects: every job ends, and no
client sees a job of the project that is not its own.
"""

import concurrent.futures
import itertools
import threading
import unittest

import tarpon
from every_api import KINDS, native
from tarpon import OURS, THEIRS

CLIENTS = 16
JOBS = 50

#: Asked of each client about the other project's.
ASKED = 5


class Client:
    """One of the crowd, and what it has submitted."""

    def __init__(self, number, project, kind):
        self.number, self.project = number, project
        self.speaks = kind(project)
        self.jobs = []

    def work(self, all_are_there):
        """Submits its jobs once everybody is there, and sees to their end."""
        all_are_there.wait()
        for job in range(JOBS):
            self.jobs.append(self.speaks.submit(f"crowd-{self.number}-{job}"))
        for job in self.jobs:
            tarpon.until(f"{job} is over", lambda: self.speaks.is_over(job) or None)


class Crowd(unittest.TestCase):
    def test_all_jobs_of_sixteen_clients_end_and_none_crosses_a_project(self):
        projects = (OURS, THEIRS)
        kinds = itertools.cycle(KINDS)
        clients = []
        # Both projects have clients of each kind.
        for number in range(0, CLIENTS, len(projects)):
            kind = next(kinds)
            clients += [Client(number + n, who, kind) for n, who in enumerate(projects)]
        all_are_there = threading.Barrier(CLIENTS)
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            for done in [pool.submit(client.work, all_are_there) for client in clients]:
                done.result()

        owned = {project: set() for project in projects}
        for client in clients:
            self.assertEqual(len(set(client.jobs)), JOBS)
            for job in client.jobs:
                self.assertTrue(client.speaks.has_succeeded(job), job)
            owned[client.project].update(map(native, client.jobs))
        for project, jobs in owned.items():
            self.assertEqual(len(jobs), CLIENTS // len(projects) * JOBS)
            self.assertEqual(set(everything(project)), jobs)
        for client in clients:
            other = next(project for project in projects if project is not client.project)
            for job in sorted(owned[other])[:: len(owned[other]) // ASKED]:
                self.assertFalse(client.speaks.sees(job), job)


def everything(project):
    """The ids of all jobs of a project, with what the native API says of them."""
    path = "/v1/jobs?limit=100"
    while path:
        page = project.request("GET", path).expect(200).json()
        for view in page["jobs"]:
            assert view["state"] == "succeeded", view
            yield view["id"]
        path = page.get("next") and f"/v1/jobs?limit=100&cursor={page['next']}"
