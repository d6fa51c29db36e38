"""A client of each vendor that speaks of jobs in the same few words, so that
stories can be told of all of them.
"""

import json
import re
import shlex
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



def native(said):
    """The native id of a job, whatever form its API has it in."""
    return "job-" + re.search(r"[0-9a-f]{32}$", said.replace("-", "").lower()).group()


class Speaker:
    """What all have: `state` is what the API says of a job by its own id, and
    nothing where it has no such job.
    """

    #: The states of a job that is over, the one that succeeded first.
    OVER = ()

    def is_over(self, job):
        return self.state(job) in self.OVER

    def has_succeeded(self, job):
        return self.state(job) == self.OVER[0]

    def named(self, job):
        """The API's own id of a job, by its native one."""
        return job

    def sees(self, job):
        """Whether there is a job of this native id."""
        return self.state(self.named(job)) is not None

    def shown(self, view):
        """What it says of the job that the native API shows so."""
        return self.state(self.named(view["id"]))

    def lists(self, view):
        """Whether it lists the job that the native API shows so."""
        return self.named(view["id"]) in self.listed(view)


class Alibaba(Speaker):
    """E-HPC, by either of its clients."""

    OVER = ("Succeeded", "Failed", "Canceled")

    def __init__(self, sdk):
        self.sdk = sdk

    def submit(self, name):
        command = tarpon.PROBE["command"] + ["say", "hi"]
        container = {"Image": tarpon.PROBE["image"], "Arg": command}
        asked = {"JobName": name, "Container": container, "Cpu": 0.05, "Memory": 0.0625}
        return self.sdk.call("SubmitServerlessJob", ClusterId="default", **asked)["JobId"]

    def state(self, job, cluster="default"):
        asked = {"ClusterId": cluster, "JobIds": [job]}
        found = self.sdk.call("ListServerlessJobs", **asked)["Jobs"]
        return found[0]["State"] if found else None

    def named(self, job):
        return job.removeprefix("job-")

    def shown(self, view):
        return self.state(self.named(view["id"]), view["queue"])

    def listed(self, view):
        asked = {"ClusterId": view["queue"], "PageSize": 50}
        return [job["JobId"] for job in self.sdk.call("ListServerlessJobs", **asked)["Jobs"]]


class Tencent(Speaker):
    """Batch, which runs commands by a shell: that of this machine, where jobs
    are plain processes.
    """

    OVER = ("SUCCEED", "FAILED")
    IMAGE = "img-everyone"

    def __init__(self, project):
        http = HttpProfile(protocol="http", endpoint=tarpon.ADDRESS)
        profile = ClientProfile(httpProfile=http, language="en-US")
        self.client = BatchClient(Credential(project.key, project.secret), "ap-guangzhou", profile)
        project.register(self.IMAGE, tarpon.PROBE["image"])

    def submit(self, name):
        command = shlex.join([*tarpon.PROBE["command"], "say", "hi"])
        environment = {"EnvData": {"InstanceType": "S1.SMALL1", "ImageId": self.IMAGE}}
        task = {
            "TaskName": "only",
            "Application": {"DeliveryForm": "LOCAL", "Command": command},
            "ComputeEnv": environment,
        }
        asked = models.SubmitJobRequest()
        place = {"Zone": "ap-guangzhou-2"}
        job = {"JobName": name, "Tasks": [task]}
        asked.from_json_string(json.dumps({"Placement": place, "Job": job}))
        return self.client.SubmitJob(asked).JobId

    def state(self, job):
        asked = models.DescribeJobRequest()
        asked.JobId = job
        try:
            return self.client.DescribeJob(asked).JobState
        except TencentCloudSDKException as refused:
            assert refused.get_code() == "ResourceNotFound.Job", refused
            return None

    def listed(self, view):
        asked = models.DescribeJobsRequest()
        asked.Limit = 100
        return [job.JobId for job in self.client.DescribeJobs(asked).JobSet]


class Processing(Speaker):
    """CI. Its own operation is of an image that the process runtime has not: this
    one is a template of the project's, which any tag may name, and does the same
    in small: an object in, an object out.
    """

    OVER = ("Success", "Failed", "Cancel")
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

    def has_succeeded(self, job):
        name = self.found(job)["Operation"]["UserData"]
        out = self.project.get(f"{self.BUCKET}/{name}")
        return super().has_succeeded(job) and out == b"hello\n"

    def named(self, job):
        return "j" + job.removeprefix("job-")

    def listed(self, view):
        answer = self.client.ci_list_media_jobs(Bucket=self.BUCKET, Tag=view["name"])
        return [job["JobId"] for job in answer.get("JobsDetail", [])]


class UCloud(Speaker):
    """UGC."""

    OVER = ("Success", "Fail")

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

    def named(self, job):
        return str(uuid.UUID(job.removeprefix("job-")))

    def listed(self, view):
        answer = self.client.invoke("GetTaskList", {"TaskName": view["name"]})
        return [task["TaskId"] for task in answer["TaskSet"]]


class Huawei(Speaker):
    """IMS, which shows jobs and has no call that submits one, nor one that lists
    them.
    """

    OVER = ("SUCCESS", "FAIL")

    def __init__(self, project):
        credentials = BasicCredentials(project.key, project.secret, project.id)
        builder = ImsClient.new_builder().with_credentials(credentials)
        self.client, self.own = builder.with_endpoints([tarpon.URL]).build(), project.submit

    def submit(self, name):
        return self.named(self.own(tarpon.probe("say hi", name=name)))

    def state(self, job):
        try:
            return self.client.show_job(ShowJobRequest(job_id=job)).status
        except ClientRequestException as refused:
            assert refused.status_code == 404, refused
            return None

    def named(self, job):
        return job.removeprefix("job-")


#: How each kind of client is made for a project.
KINDS = (
    lambda project: Alibaba(alibaba_ehpc.Classic(project)),
    lambda project: Alibaba(alibaba_ehpc.Current(project)),
    Tencent,
    Processing,
    UCloud,
    Huawei,
)
