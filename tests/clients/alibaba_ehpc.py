"""Jobs, as Alibaba Cloud's E-HPC has them: by the older client, which signs the
query (`aliyun-python-sdk-ehpc`), and by the newer, which signs headers
(`alibabacloud_ehpc20180412`). What can be told of both is told of both.
"""

import base64
import datetime
import importlib
import itertools
import json
import re
import unittest
from unittest import mock

from alibabacloud_ehpc20180412 import models
from alibabacloud_ehpc20180412.client import Client
from alibabacloud_tea_openapi import exceptions as current_exceptions
from alibabacloud_tea_openapi import utils_models
from alibabacloud_tea_openapi.utils import Utils
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest
from aliyunsdkcore.utils import parameter_helper
from darabonba.runtime import RuntimeOptions

import tarpon
from tarpon import ADDRESS, OURS, THEIRS

VERSION = "2018-04-12"
REGION = "cn-hangzhou"

#: Each story's jobs are in a cluster of their own.
NUMBERS = itertools.count(1)

#: Ids in the right form that nothing has.
UNKNOWN_TASK = "B745C159-3155-4B94-95D0-4B73D4D20000"
UNKNOWN_JOB = "0190b8a0a0a07abc8def0123456789ab"

#: Values that the older client makes JSON of by itself, and the newer out of
#: its own types.
STRUCTURED = ("Container", "ArrayProperties", "RetryStrategy", "DependsOn", "InstanceType")


class Classic:
    """The older client: `ACCESS KEY` by HMAC-SHA1 over the query."""

    #: What it makes of a signature that does not fit, since it can tell that
    #: both sides signed the same.
    WRONG_SECRET = (400, "InvalidAccessKeySecret")

    def __init__(self, project=OURS, secret=None, key=None, token=None):
        key, secret = key or project.key, secret or project.secret
        if token is None:
            self.client = AcsClient(key, secret, REGION)
        else:
            credential = StsTokenCredential(key, secret, token)
            self.client = AcsClient(region_id=REGION, credential=credential)

    def call(self, action, **parameters):
        module = f"aliyunsdkehpc.request.v20180412.{action}Request"
        asked = getattr(importlib.import_module(module), f"{action}Request")()
        for name, value in parameters.items():
            getattr(asked, f"set_{name}")(value)
        return self._send(asked)

    def unknown(self, action, version=VERSION):
        asked = CommonRequest(domain=ADDRESS, version=version, action_name=action)
        asked.set_protocol_type("http")
        return json.loads(self.client.do_action_with_exception(asked))

    def _send(self, asked):
        asked.set_endpoint(ADDRESS)
        return json.loads(self.client.do_action_with_exception(asked))

    def refusal(self, call):
        """Status, code and message of what it raises for a call."""
        try:
            answer = call()
        except ServerException as error:
            assert re.fullmatch(r"[0-9A-F-]{36}", error.get_request_id()), error
            return error.get_http_status(), error.get_error_code(), error.get_error_msg()
        raise AssertionError(f"it was answered: {answer}")

    @staticmethod
    def at(minutes):
        """A clock that is off."""
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
        text = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        return mock.patch.object(parameter_helper, "get_iso_8061_date", lambda: text)

    @staticmethod
    def nonce(text):
        return mock.patch.object(parameter_helper, "get_uuid", lambda: text)


class Current:
    """The newer client: ACS3-HMAC-SHA256 over headers."""

    WRONG_SECRET = (400, "SignatureDoesNotMatch")

    def __init__(self, project=OURS, secret=None, key=None, token=None, **settings):
        self.client = Client(
            utils_models.Config(
                access_key_id=key or project.key,
                access_key_secret=secret or project.secret,
                security_token=token,
                endpoint=ADDRESS,
                protocol="http",
                region_id=REGION,
                **settings,
            )
        )

    def call(self, action, **parameters):
        request = getattr(models, f"{action}Request")().from_map(parameters)
        snake = re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()
        return getattr(self.client, snake)(request).body.to_map()

    def unknown(self, action, version=VERSION):
        params = utils_models.Params(
            action=action,
            version=version,
            protocol="HTTP",
            pathname="/",
            method="POST",
            auth_type="AK",
            style="RPC",
            req_body_type="formData",
            body_type="json",
        )
        return self.client.call_api(params, utils_models.OpenApiRequest(), RuntimeOptions())

    def refusal(self, call):
        try:
            answer = call()
        except (current_exceptions.ClientException, current_exceptions.ServerException) as error:
            of = "ClientException" if error.status_code < 500 else "ServerException"
            assert type(error).__name__ == of, repr(error)
            assert re.fullmatch(r"[0-9A-F-]{36}", error.request_id), error
            assert error.data["HostId"] == ADDRESS, error.data
            return error.status_code, error.code, error.message
        raise AssertionError(f"it was answered: {answer}")

    @staticmethod
    def at(minutes):
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
        text = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        return mock.patch.object(Utils, "get_timestamp", lambda: text)

    @staticmethod
    def nonce(text):
        return mock.patch.object(Utils, "get_nonce", lambda: text)


def cluster():
    """A cluster: a queue of that name."""
    name = f"ehpc-hz-FYUr32{next(NUMBERS)}"
    OURS.queue(name)
    return name


def task_id(job):
    """A job's id as a task's: `job-…` or 32 hex digits."""
    digits = job.removeprefix("job-").upper()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def container(steps, **more):
    return {"Image": tarpon.PROBE["image"], "Arg": steps.split(), **more}


class Stories:
    """What is told of both."""

    def setUp(self):
        self.sdk = self.sdk_of()
        self.cluster = cluster()

    def call(self, action, **parameters):
        return self.sdk.call(action, ClusterId=self.cluster, **parameters)

    def submit(self, steps="say hi", **more):
        fields = {"JobName": "testjob", "Container": container(steps), "Cpu": 0.1, "Memory": 0.0625}
        return self.call("SubmitServerlessJob", **{**fields, **more})["JobId"]

    def describe(self, job):
        answer = self.call("DescribeServerlessJobs", JobIds=[job])
        self.assertEqual(answer["TotalCount"], 1)
        return answer["JobInfos"][0]

    def finish(self, job):
        over = ("Succeeded", "Failed", "Canceled")

        def look():
            info = self.describe(job)
            return info if info["State"] in over else None

        return tarpon.until(f"{job} is over", look)

    def until_running(self, job):
        look = lambda: self.describe(job)["State"] == "Running" or None
        tarpon.until(f"{job} is running", look)

    def stdout(self, job):
        log = self.call("GetJobLog", JobId=job, Size=100_000)
        self.assertEqual(base64.b64decode(log["ErrorLog"]), b"")
        return base64.b64decode(log["OutputLog"]).decode()

    def tasks(self, **parameters):
        answer = self.call("ListTasks", **parameters)
        self.assertRegex(answer["RequestId"], r"^[0-9A-F-]{36}$")
        self.assertIsInstance(answer["Tasks"], list)
        return answer

    def refused(self, status, code, call, sdk=None):
        sdk = sdk or self.sdk
        seen = sdk.refusal(call)
        self.assertEqual(seen[:2], (status, code), seen)
        return seen[2]

    def list_tasks(self, sdk=None):
        sdk = sdk or self.sdk
        return lambda: sdk.call("ListTasks", ClusterId=self.cluster)


class Tasks(Stories):
    def test_running_tasks_are_listed_and_finished_ones_in_the_archive(self):
        self.assertEqual(self.tasks()["Tasks"], [])
        done = OURS.submit(tarpon.probe("say hi", queue=self.cluster, name="done"))
        self.assertEqual(OURS.finish(done)["state"], "succeeded")
        runs = OURS.submit(tarpon.probe("sleep 600", queue=self.cluster))
        OURS.wait(runs, "running")

        (running,) = self.tasks()["Tasks"]
        self.assertEqual(running["TaskId"], task_id(runs))
        self.assertEqual(running["Status"], "Processing")
        self.assertEqual((running["CurrentStep"], running["TotalSteps"]), (0, 1))
        self.assertEqual(running["ClusterId"], self.cluster)
        self.assertEqual(running["Errors"], "[]")

        OURS.cancel(runs)
        OURS.finish(runs)
        self.assertEqual(self.tasks(Archived=False)["Tasks"], [])
        everything = self.tasks(Archived=True)
        self.assertEqual(everything["TotalCount"], 2)
        failed, succeeded = everything["Tasks"]
        self.assertEqual((failed["Status"], succeeded["Status"]), ("Fail", "Success"))
        self.assertEqual((succeeded["CurrentStep"], succeeded["TotalSteps"]), (1, 1))
        self.assertIn("cancelled", json.loads(failed["Errors"])[0])
        self.assertEqual(json.loads(succeeded["Result"]), {"Instances": []})
        self.assertEqual(json.loads(succeeded["Request"])["jobName"], "done")

    def test_a_task_of_which_parts_failed_has_failed_partially(self):
        tasks = [tarpon.probe("say hi", name="good"), tarpon.probe("exit 3", name="bad")]
        job = OURS.submit({"queue": self.cluster, "tasks": tasks})
        OURS.finish(job)
        found = self.tasks(TaskId=task_id(job))
        self.assertEqual(found["TotalCount"], 1)
        (task,) = found["Tasks"]
        self.assertEqual(task["Status"], "PartialFail")
        self.assertEqual((task["CurrentStep"], task["TotalSteps"]), (2, 2))
        self.assertEqual(json.loads(task["Errors"]), ["bad 0: exited, exit code 3"])

    def test_tasks_come_in_pages_and_by_their_ids(self):
        OURS.queue(self.cluster, paused=True)
        jobs = [self.submit() for _ in range(3)]
        seen = []
        for number in (1, 2, 3):
            page = self.tasks(PageNumber=number, PageSize=2)
            self.assertEqual((page["PageNumber"], page["PageSize"]), (number, 2))
            self.assertEqual(page["TotalCount"], 3)
            seen.append([task["TaskId"] for task in page["Tasks"]])
        self.assertEqual([len(page) for page in seen], [2, 1, 0])
        newest_first = sorted(map(task_id, jobs), reverse=True)
        self.assertEqual(sum(seen, []), newest_first)
        self.assertEqual(self.tasks(TaskId=UNKNOWN_TASK)["Tasks"], [])
        self.call("StopServerlessJobs", JobIds=jobs)

    def test_what_was_asked_is_shown_again(self):
        job = self.submit("say hi", JobPriority=7)
        self.finish(job)
        (task,) = self.tasks(TaskId=task_id(job))["Tasks"]
        request = json.loads(task["Request"])
        self.assertEqual(request["clusterId"], self.cluster)
        self.assertEqual(request["container"]["Arg"], ["say", "hi"])
        self.assertEqual((request["jobName"], request["jobPriority"]), ("testjob", "7"))


class ServerlessJobs(Stories):
    def test_a_job_goes_from_its_submission_to_its_exit_code(self):
        variables = [{"Key": "GREETING", "Value": "a b*~"}, {"Key": "EMPTY", "Value": ""}]
        asked = container("env", EnvironmentVar=variables, WorkingDir="/tmp/work")
        job = self.submit(Container=asked, JobPriority=999)
        info = self.finish(job)
        self.assertEqual((info["JobId"], info["State"]), (job, "Succeeded"))
        self.assertEqual((info["JobName"], info["Priority"]), ("testjob", 999))
        self.assertEqual((info["Queue"], info["IsArrayJob"]), (self.cluster, False))
        self.assertLessEqual(info["SubmitTime"], info["StartTime"])
        self.assertLessEqual(info["StartTime"], info["EndTime"])
        self.assertEqual(info["LastModifyTime"] // 1000, info["EndTime"])
        (group,) = info["ContainerGroups"]
        self.assertEqual((group["Status"], group["Cpu"], group["Memory"]), ("Succeeded", 0.1, 0.0625))
        (one,) = group["Containers"]
        self.assertEqual((one["Image"], one["Args"]), (tarpon.PROBE["image"], ["env"]))
        self.assertEqual(one["WorkingDir"], "/tmp/work")
        shown = {variable["Key"]: variable["Value"] for variable in one["EnvironmentVars"]}
        self.assertEqual(shown, {"GREETING": "a b*~", "EMPTY": ""})
        state = one["CurrentState"]
        self.assertEqual((state["State"], state["ExitCode"]), ("Terminated", 0))
        self.assertEqual(state["Reason"], "Completed")
        self.assertIn("GREETING=a b*~\n", self.stdout(job))

    def test_a_failure_has_its_exit_code(self):
        job = self.submit("exit 42")
        info = self.finish(job)
        self.assertEqual(info["State"], "Failed")
        state = info["ContainerGroups"][0]["Containers"][0]["CurrentState"]
        self.assertEqual((state["ExitCode"], state["Reason"]), (42, "Error"))

    def test_each_container_of_an_array_is_told_its_index(self):
        array = {"IndexStart": 1, "IndexEnd": 5, "IndexStep": 2}
        job = self.submit("env", ArrayProperties=array)
        self.finish(job)
        for index in (1, 3, 5):
            part = f"{job}_{index}"
            info = self.describe(part)
            self.assertEqual((info["JobId"], info["State"]), (part, "Succeeded"))
            self.assertTrue(info["IsArrayJob"])
            self.assertEqual(info["ArrayProperties"], array)
            state = info["ContainerGroups"][0]["Containers"][0]["CurrentState"]
            self.assertEqual(state["ExitCode"], 0)
            self.assertIn(f"\nEHPC_ARRAY_TASK_ID={index}\n", "\n" + self.stdout(part))
        for index in (0, 2, 7):
            call = lambda: self.describe(f"{job}_{index}")
            self.refused(400, "InvalidParams", call)
        (task,) = self.tasks(TaskId=task_id(job))["Tasks"]
        self.assertEqual((task["CurrentStep"], task["TotalSteps"]), (3, 3))

    def test_an_exit_code_decides_whether_a_job_is_tried_again(self):
        rules = [
            {"Action": "Exit", "OnExitCode": "8"},
            {"Action": "Retry", "OnExitCode": "7"},
        ]
        strategy = {"Attempts": 2, "EvaluateOnExit": rules}
        again = self.finish(self.submit("exit 7", RetryStrategy=strategy))
        one = again["ContainerGroups"][0]["Containers"][0]
        self.assertEqual((again["State"], one["RestartCount"]), ("Failed", 2))
        self.assertEqual(one["PreviousState"]["ExitCode"], 7)
        once = self.finish(self.submit("exit 8", RetryStrategy=strategy))
        one = once["ContainerGroups"][0]["Containers"][0]
        self.assertEqual((one["RestartCount"], one["CurrentState"]["ExitCode"]), (0, 8))
        self.assertNotIn("PreviousState", one)

    def test_a_job_that_takes_too_long_is_ended(self):
        info = self.finish(self.submit("sleep 600", Timeout=1))
        self.assertEqual(info["State"], "Failed")
        state = info["ContainerGroups"][0]["Containers"][0]["CurrentState"]
        self.assertEqual(state["Reason"], "DeadlineExceeded")

    def test_jobs_are_stopped_whole_and_parts_of_arrays_alone(self):
        array = {"IndexStart": 0, "IndexEnd": 1}
        job = self.submit("sleep 600", ArrayProperties=array)
        for index in (0, 1):
            self.until_running(f"{job}_{index}")
        stop = lambda named: list(self.call("StopServerlessJobs", JobIds=[named]))
        self.assertEqual(stop(f"{job}_1"), ["RequestId"])
        self.assertEqual(self.finish(f"{job}_1")["State"], "Canceled")
        self.assertEqual(self.describe(f"{job}_0")["State"], "Running")
        self.assertEqual(stop(job), ["RequestId"])
        self.assertEqual(self.finish(f"{job}_0")["State"], "Canceled")
        self.assertEqual(self.finish(job)["State"], "Canceled")

    def test_a_list_is_narrowed_and_ordered(self):
        good = self.submit("say hi", JobName="good")
        self.finish(good)
        bad = self.submit("exit 1", JobName="bad")
        self.finish(bad)
        OURS.queue(self.cluster, paused=True)
        waits = self.submit("say hi", JobName="waits")
        submitted = {job: self.describe(job)["SubmitTime"] for job in (good, bad, waits)}

        def listed(**parameters):
            answer = self.call("ListServerlessJobs", **parameters)
            self.assertIsInstance(answer["Jobs"], list)
            return [job["JobId"] for job in answer["Jobs"]]

        self.assertEqual(listed(), [waits, bad, good])
        self.assertEqual(listed(SubmitOrder="Asc"), [good, bad, waits])
        self.assertEqual(listed(StartOrder="Desc"), [bad, good, waits])
        self.assertEqual(listed(State="Succeeded"), [good])
        self.assertEqual(listed(State="Failed"), [bad])
        self.assertEqual(listed(State="Pending"), [waits])
        self.assertEqual(listed(State="Running"), [])
        self.assertEqual(listed(JobNames=["good", "waits"]), [waits, good])
        self.assertEqual(listed(JobIds=[bad, UNKNOWN_JOB]), [bad])
        self.assertEqual(listed(PageSize=2, PageNumber=2), [good])
        late = str(submitted[waits] + 1)
        self.assertEqual(listed(SubmitTimeStart=late), [])
        self.assertEqual(listed(SubmitTimeEnd=late), [waits, bad, good])
        (one,) = self.call("ListServerlessJobs", JobIds=[good])["Jobs"]
        self.assertEqual((one["JobName"], one["State"]), ("good", "Succeeded"))
        self.assertEqual(one["SubmitTime"], str(submitted[good]))
        self.call("StopServerlessJobs", JobIds=[waits])
        self.assertEqual(listed(State="Canceled"), [waits])

    def test_jobs_that_came_another_way_are_there_as_well(self):
        fields = {"queue": self.cluster, "name": "Native Job", "instances": 2}
        job = OURS.submit(tarpon.probe("exit 5", **fields))
        OURS.finish(job)
        ours = job.removeprefix("job-")
        (listed,) = self.call("ListServerlessJobs", JobNames=["Native Job"])["Jobs"]
        self.assertEqual((listed["JobId"], listed["State"]), (ours, "Failed"))
        info = self.describe(f"{ours}_1")
        state = info["ContainerGroups"][0]["Containers"][0]["CurrentState"]
        self.assertEqual(state["ExitCode"], 5)
        there = OURS.job(f"job-{self.submit()}")
        self.assertEqual((there["name"], there["queue"]), ("testjob", self.cluster))

    def test_what_cannot_be_done_is_refused_with_the_reason(self):
        for name, value, why in (
            ("DependsOn", [{"JobId": UNKNOWN_JOB, "Type": "AfterAny"}], "waits for no other job"),
            ("Container", container("env", Gpu=1), "no GPUs"),
            ("InstanceType", ["ecs.g5.large"], "no instance types"),
            ("SpotStrategy", "SpotAsPriceGo", "spare capacity"),
            ("RamRoleName", "role", "no role"),
            ("EphemeralStorage", 20, "disk"),
        ):
            message = self.refused(400, "InvalidParams", lambda: self.submit(**{name: value}))
            self.assertIn(name, message)
            self.assertIn(why, message)
        self.assertEqual(self.call("ListServerlessJobs")["Jobs"], [])


class SchedulerJobs(Stories):
    def test_jobs_are_those_of_a_scheduler_too(self):
        job = self.submit("say out then say oops --stderr")
        self.finish(job)
        listed = self.call("ListJobs", State="finished")
        (one,) = listed["Jobs"]["JobInfo"]
        self.assertEqual((one["Id"], one["State"]), (job, "FINISHED"))
        self.assertRegex(one["SubmitTime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$")
        log = self.call("GetJobLog", JobId=job)
        self.assertEqual(base64.b64decode(log["OutputLog"]), b"out\n")
        self.assertEqual(base64.b64decode(log["ErrorLog"]), b"oops\n")
        jobs = json.dumps([{"Id": job}])
        self.call("RerunJobs", Jobs=jobs)
        self.assertEqual(OURS.finish(f"job-{job}")["run"], 2)
        self.call("StopJobs", Jobs=jobs)
        self.call("DeleteJobs", Jobs=jobs)
        self.assertEqual(self.call("ListJobs")["TotalCount"], 0)

    def test_a_command_line_for_a_clusters_nodes_is_refused(self):
        user = {"RunasUser": "u", "RunasUserPassword": "p"}
        call = lambda: self.call("SubmitJob", CommandLine="./run", Name="testjob", **user)
        self.assertIn("SubmitServerlessJob", self.refused(400, "NotEnabled", call))


class Refusals(Stories):
    def test_who_is_not_known_is_told_so(self):
        for (status, code), sdk in (
            (self.sdk.WRONG_SECRET, self.sdk_of(secret="wrong")),
            ((404, "InvalidAccessKeyId.NotFound"), self.sdk_of(key="LTAI5tExample")),
            (self.sdk.WRONG_SECRET, self.sdk_of(key=THEIRS.key)),
        ):
            self.refused(status, code, self.list_tasks(sdk), sdk)

    def test_a_disabled_key_and_one_for_other_apis_are_refused(self):
        key = OURS.request("POST", "/v1/keys", {}).expect(201).json()
        sdk = self.sdk_of(key=key["access_key_id"], secret=key["secret_access_key"])
        self.list_tasks(sdk)()
        OURS.request("POST", f"/v1/keys/{key['access_key_id']}/disable", {}).expect(200)
        self.refused(400, "InvalidAccessKeyId.Inactive", self.list_tasks(sdk), sdk)
        key = OURS.request("POST", "/v1/keys", {"apis": ["native"]}).expect(201).json()
        sdk = self.sdk_of(key=key["access_key_id"], secret=key["secret_access_key"])
        self.refused(407, "NotAuthorized", self.list_tasks(sdk), sdk)
        call = lambda: sdk.call("ListServerlessJobs", ClusterId=self.cluster)
        self.refused(403, "Forbidden.RAM", call, sdk)

    def test_a_clock_may_be_off_by_a_quarter_of_an_hour(self):
        for minutes in (-14, 14):
            with self.sdk.at(minutes):
                self.list_tasks()()
        for minutes in (-16, 16):
            with self.sdk.at(minutes):
                self.refused(400, "InvalidTimeStamp.Expired", self.list_tasks())

    def test_a_request_that_comes_again_is_refused(self):
        with self.sdk.nonce(f"once-{self.cluster}"):
            self.list_tasks()()
            self.refused(400, "SignatureNonceUsed", self.list_tasks())

    def test_temporary_credentials_are_those_with_an_access_token(self):
        token = OURS.request("POST", "/v1/tokens", {}).expect(200, 201).json()["access_token"]
        self.list_tasks(self.sdk_of(token=token))()
        sdk = self.sdk_of(token="made-up")
        self.refused(400, "InvalidSecurityToken.Malformed", self.list_tasks(sdk), sdk)
        sdk = self.sdk_of(THEIRS, token=token)
        code = "InvalidSecurityToken.MismatchWithAccessKey"
        self.refused(400, code, self.list_tasks(sdk), sdk)

    def test_unknown_actions_and_versions_are_not_found(self):
        call = lambda: self.sdk.unknown("ListNothing")
        self.refused(404, "InvalidAction.NotFound", call)
        call = lambda: self.sdk.unknown("ListTasks", version="2024-07-30")
        self.refused(400, "NoSuchVersion", call)

    def test_what_is_missing_malformed_or_unknown_is_named(self):
        call = self.sdk.call
        for status, code, part, asked in (
            (400, "MissingClusterId", "ClusterId", lambda: call("ListTasks")),
            (
                404,
                "ClusterNotFound",
                "The specified cluster does not exist.",
                lambda: call("ListTasks", ClusterId="ehpc-hz-FYUr32****"),
            ),
            (400, "InvalidParams", "PageSize", lambda: self.call("ListTasks", PageSize=51)),
            (400, "InvalidParams", "PageNumber", lambda: self.call("ListTasks", PageNumber=0)),
            (400, "MissingJobName", "JobName", lambda: self.submit(JobName="")),
            (400, "InvalidParams", "JobName", lambda: self.submit(JobName="Upper_Case")),
            (400, "InvalidParams", "JobPriority", lambda: self.submit(JobPriority=1000)),
            (
                400,
                "InvalidParams",
                "Container.Image",
                lambda: self.submit(Container={"Image": "Not An Image"}),
            ),
            (
                400,
                "InvalidParams",
                "ArrayProperties.IndexEnd",
                lambda: self.submit(ArrayProperties={"IndexStart": 0, "IndexEnd": 5000}),
            ),
            (400, "InvalidParams", "JobIds", lambda: self.describe(UNKNOWN_JOB)),
            (400, "InvalidParams", "JobIds", lambda: self.describe("5")),
            (
                400,
                "InvalidParams",
                "JobIds",
                lambda: self.call("StopServerlessJobs", JobIds=[UNKNOWN_JOB]),
            ),
        ):
            self.assertIn(part, self.refused(status, code, asked))

    def test_the_other_project_sees_nothing_of_it(self):
        job = self.submit()
        self.finish(job)
        theirs = self.sdk_of(THEIRS)
        self.refused(404, "ClusterNotFound", self.list_tasks(theirs), theirs)
        found = theirs.call("ListTasks", ClusterId="default", TaskId=task_id(job))
        self.assertEqual(found["Tasks"], [])
        call = lambda: theirs.call("DescribeServerlessJobs", ClusterId="default", JobIds=[job])
        self.refused(400, "InvalidParams", call, theirs)
        call = lambda: theirs.call("StopServerlessJobs", ClusterId="default", JobIds=[job])
        self.refused(400, "InvalidParams", call, theirs)


def older(stories):
    return type(f"{stories.__name__}ByTheOlder", (stories, unittest.TestCase), {"sdk_of": Classic})


def newer(stories):
    return type(f"{stories.__name__}ByTheNewer", (stories, unittest.TestCase), {"sdk_of": Current})


class OfBoth(unittest.TestCase):
    def test_the_newer_client_can_sign_as_the_older_does(self):
        sdk = Current(signature_algorithm="v2")
        name = cluster()
        self.assertEqual(sdk.call("ListTasks", ClusterId=name)["Tasks"], [])


for stories in (Tasks, ServerlessJobs, SchedulerJobs, Refusals):
    for told in (older(stories), newer(stories)):
        globals()[told.__name__] = told
del stories, told
