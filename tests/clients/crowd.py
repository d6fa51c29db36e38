"""Many clients of all vendors at once, in two projects: every job ends, and no
client sees a job of the project that is not its own.
"""

import concurrent.futures
import itertools
import re
import shlex
import threading
import unittest
import uuid

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkims.v2 import ImsClient, ShowJobRequest
from tencentcloud.batch.v20170312 import models
from tencentcloud.batch.v20170312.batch_client import BatchClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from ucloud.client import Client as UCloudClient
from ucloud.core.exc import RetCodeException

import alibaba_ehpc
import tarpon
import tencent_ci
from tarpon import OURS, THEIRS

CLIENTS = 16
JOBS = 50

#: Asked of each client about the other project's.
ASKED = 5


def native(said):
    """The native id of a job, whatever form its API has it in."""
    return "job-" + re.search(r"[0-9a-f]{32}$", said.replace("-", "").lower()).group()


class Alibaba:
    """E-HPC, by either of its clients."""

    def __init__(self, sdk):
        self.sdk = sdk

    def submit(self, name):
        command = tarpon.PROBE["command"] + ["say", "hi"]
        container = {"Image": tarpon.PROBE["image"], "Arg": command}
        asked = {"JobName": name, "Container": container, "Cpu": 0.05, "Memory": 0.0625}
        return self.sdk.call("SubmitServerlessJob", ClusterId="default", **asked)["JobId"]

    def state(self, job):
        asked = {"ClusterId": "default", "JobIds": [job]}
        found = self.sdk.call("ListServerlessJobs", **asked)["Jobs"]
        return found[0]["State"] if found else None

    def is_over(self, job):
        return self.state(job) in ("Succeeded", "Failed", "Canceled")

    def has_succeeded(self, job):
        return self.state(job) == "Succeeded"

    def sees(self, job):
        return self.state(job.removeprefix("job-")) is not None


class Tencent:
    """Batch."""

    def __init__(self, project):
        http = HttpProfile(protocol="http", endpoint=tarpon.ADDRESS)
        profile = ClientProfile(httpProfile=http, language="en-US")
        self.client = BatchClient(Credential(project.key, project.secret), "ap-guangzhou", profile)
        self.own = project.submit

    def submit(self, name):
        # The process runtime has no image with a shell, which this API runs
        # commands by: its client sees to the job from then on.
        return self.own(tarpon.probe("say hi", name=name))

    def state(self, job):
        asked = models.DescribeJobRequest()
        asked.JobId = job
        try:
            return self.client.DescribeJob(asked).JobState
        except TencentCloudSDKException as refused:
            assert refused.get_code() == "ResourceNotFound.Job", refused
            return None

    def is_over(self, job):
        return self.state(job) in ("SUCCEED", "FAILED")

    def has_succeeded(self, job):
        return self.state(job) == "SUCCEED"

    def sees(self, job):
        return self.state(job) is not None


class Processing:
    """CI. Its own operation is of an image that the process runtime has not: this
    one is a template of the project's, which any tag may name, and does the same
    in small: an object in, an object out."""

    BUCKET, TAG = "crowd-1234567890", "Copy"

    def __init__(self, project):
        self.client, self.project = tencent_ci.client(project), project
        text = {"type": "string"}
        job = tarpon.probe("cat", stdin={"object": "${input}"}, stdout_to="${output}")
        job["resources"] = {"cpu": 0.05, "memory_mib": 64}
        template = {"parameters": {"input": text, "output": text}, "job": job}
        project.request("PUT", f"/v1/templates/{self.TAG}", template).expect(200, 201)
        project.put(f"{self.BUCKET}/hello", b"hello\n")

    def submit(self, name):
        output = {"Region": tencent_ci.REGION, "Bucket": self.BUCKET, "Object": name}
        operation = {"Output": output, "UserData": name}
        order = {"Tag": self.TAG, "Input": {"Object": "hello"}, "Operation": operation}
        answer = self.client.ci_create_media_jobs(Bucket=self.BUCKET, Jobs=order, Lst={})
        (made,) = answer["JobsDetail"]
        return made["JobId"]

    def found(self, job):
        answer = self.client.ci_get_media_jobs(Bucket=self.BUCKET, JobIDs=job)
        missing, found = answer.get("NonExistJobIds"), answer.get("JobsDetail", [])
        assert (missing == job) == (not found), answer
        return found[0] if found else None

    def state(self, job):
        found = self.found(job)
        return found and found["State"]

    def is_over(self, job):
        return self.state(job) in ("Success", "Failed", "Cancel")

    def has_succeeded(self, job):
        found = self.found(job)
        name = found["Operation"]["UserData"]
        out = self.project.get(f"{self.BUCKET}/{name}")
        return (found["State"], out) == ("Success", b"hello\n")

    def sees(self, job):
        return self.state("j" + job.removeprefix("job-")) is not None


class UCloud:
    """UGC."""

    def __init__(self, project):
        keys = {"public_key": project.key, "private_key": project.secret}
        self.client = UCloudClient({"base_url": tarpon.URL, "region": "cn-bj2", **keys})
        self.token = self.client.invoke("GetAccessToken")["AccessToken"]

    def submit(self, name):
        command = shlex.join([*tarpon.PROBE["command"], "say", "hi"])
        asked = {"ImageName": tarpon.PROBE["image"], "Cmd": command, "TaskName": name}
        asked |= {"TaskType": "Async", "AccessToken": self.token}
        return self.client.invoke("SubmitTask", asked)["TaskId"]

    def state(self, job):
        try:
            return self.client.invoke("GetTaskDetail", {"TaskId": job})["State"]
        except RetCodeException as refused:
            assert refused.code == 43016, refused
            return None

    def is_over(self, job):
        return self.state(job) in ("Success", "Fail")

    def has_succeeded(self, job):
        return self.state(job) == "Success"

    def sees(self, job):
        return self.state(str(uuid.UUID(job.removeprefix("job-")))) is not None


class Huawei:
    """IMS, which shows jobs and has no call that submits one."""

    def __init__(self, project):
        credentials = BasicCredentials(project.key, project.secret, project.id)
        builder = ImsClient.new_builder().with_credentials(credentials)
        self.client, self.own = builder.with_endpoints([tarpon.URL]).build(), project.submit

    def submit(self, name):
        return self.own(tarpon.probe("say hi", name=name))

    def state(self, job):
        try:
            return self.client.show_job(ShowJobRequest(job_id=job.removeprefix("job-"))).status
        except ClientRequestException as refused:
            assert refused.status_code == 404, refused
            return None

    def is_over(self, job):
        return self.state(job) in ("SUCCESS", "FAIL")

    def has_succeeded(self, job):
        return self.state(job) == "SUCCESS"

    def sees(self, job):
        return self.state(job) is not None


#: How each kind of client is made for a project.
KINDS = (
    lambda project: Alibaba(alibaba_ehpc.Classic(project)),
    lambda project: Alibaba(alibaba_ehpc.Current(project)),
    Tencent,
    Processing,
    UCloud,
    Huawei,
)


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
