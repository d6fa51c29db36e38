"""What all these stories lean on: the calls in `tarpon.py`."""

import io
import tarfile
import unittest

import tarpon
from tarpon import OURS, THEIRS


class Native(unittest.TestCase):
    def test_a_job_is_submitted_and_brings_home_what_it_wrote(self):
        OURS.put("pets/cat", b"meow")
        job = OURS.submit(tarpon.probe("cat", stdin={"object": "pets/cat"}))
        self.assertEqual(OURS.finish(job)["state"], "succeeded")
        with tarfile.open(fileobj=io.BytesIO(OURS.archive(job))) as archive:
            self.assertEqual(archive.extractfile("Stdout").read(), b"meow")
        self.assertEqual(OURS.get("pets/cat"), b"meow")
        self.assertIsNone(OURS.get("pets/dog"))

    def test_a_job_is_waited_for_and_ended(self):
        OURS.queue("slow", paused=True)
        job = OURS.submit(tarpon.probe("sleep 600", queue="slow"))
        OURS.wait(job, "queued")
        OURS.cancel(job)
        self.assertEqual(OURS.wait(job, "cancelled")["state"], "cancelled")
        self.assertIn(job, [view["id"] for view in OURS.jobs()])

    def test_the_other_project_sees_nothing_of_it(self):
        job = OURS.submit(tarpon.probe("say hi"))
        OURS.finish(job)
        self.assertEqual(THEIRS.request("GET", f"/v1/jobs/{job}").status, 404)
        self.assertNotIn(job, [view["id"] for view in THEIRS.jobs()])
