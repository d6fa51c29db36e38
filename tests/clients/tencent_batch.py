"""Jobs, submitted and read as those of Tencent Cloud Batch, by
`tencentcloud-sdk-python-batch`.

The image has what the documented examples need: a shell and a Python. They are
this machine's own, as no image is fetched here.
"""

import base64
import datetime
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
import unittest
from pathlib import Path
from unittest import mock

from tencentcloud.batch.v20170312 import models
from tencentcloud.batch.v20170312.batch_client import BatchClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

import tarpon
from receiver import Receiver
from tarpon import ADDRESS, OURS, THEIRS, until

IMAGE = "tarpon/tests-batch"

#: The image's id in the documented example.
IMAGE_ID = "img-bd78fy2t"

#: An id in the right form that nothing has.
UNKNOWN = "job-0123456789abcdef0123456789abcdef"

#: As the documentation has times.
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"

BUCKET = "cos://dondonbatch-1251783334.cosgz.myqcloud.com"
STORED = "dondonbatch-1251783334"

COMMAND = 'python -c "fib=lambda n:1 if n<=2 else fib(n-1)+fib(n-2); print(fib(20))"'

SHELL = (
    "cat cp echo env false grep head kill ls mkdir mkfifo mv printf rm seq sh sleep sort tail "
    "tar tee test touch true wc"
).split()


def _linked(program):
    """The shared libraries that a program is linked with."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", said)


def image():
    """A tar of the image: a shell, and a Python under its two names."""
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    library = Path(sysconfig.get_path("stdlib"))
    files = {"/bin/busybox": shutil.which("busybox"), python: python}
    files.update((path, os.path.realpath(path)) for path in _linked(python))
    for pattern in ("*.py", "encodings/*.py", "collections/*.py", "importlib/*.py", "re/*.py"):
        files.update((str(path), str(path)) for path in library.glob(pattern))
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for name, path in files.items():
            tar.add(os.path.realpath(path), name.lstrip("/"))
        links = {f"bin/{name}": "busybox" for name in SHELL}
        links |= {f"usr/local/bin/{name}": python for name in ("python", "python3")}
        for name, target in links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
        # Python looks for the last, and says so if it is not there.
        for folder in ("tmp", "data", str(library / "lib-dynload").lstrip("/")):
            made = tarfile.TarInfo(folder)
            made.type, made.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(made)
    return whole.getvalue()


def setUpModule():
    path = "ENV PATH=/usr/local/bin:/usr/bin:/bin"
    import_ = ["docker", "import", "--change", path, "-", IMAGE]
    subprocess.run(import_, input=image(), check=True, stdout=subprocess.DEVNULL)
    OURS.register(IMAGE_ID, IMAGE)


def connected(
    method="POST",
    sign="TC3-HMAC-SHA256",
    key=OURS.key,
    secret=OURS.secret,
    region="ap-guangzhou",
    token=None,
):
    """A client, as a user makes one: the endpoint and the key are ours."""
    by_http = HttpProfile(protocol="http", endpoint=ADDRESS, reqMethod=method)
    profile = ClientProfile(signMethod=sign, httpProfile=by_http, language="en-US")
    return BatchClient(Credential(key, secret, token), region, profile)


CLIENT = connected()


def ask(action, client=CLIENT, **parameters):
    """Calls an action by its own request, and gives the answer as it reads."""
    request = getattr(models, f"{action}Request")()
    request.from_json_string(json.dumps(parameters))
    return getattr(client, action)(request)


def task(name, command, **more):
    return {
        "TaskName": name,
        "Application": {"DeliveryForm": "LOCAL", "Command": command},
        "ComputeEnv": {"EnvData": {"InstanceType": "S1.SMALL1", "ImageId": IMAGE_ID}},
        **more,
    }


def submit(*tasks, client=CLIENT, zone="ap-guangzhou-2", **job):
    answer = ask(
        "SubmitJob",
        client,
        Placement={"Zone": zone},
        Job={"Tasks": list(tasks), "JobName": "test", **job},
    )
    return answer.JobId


def described(job, client=CLIENT):
    return ask("DescribeJob", client, JobId=job)


def ended(job, client=CLIENT):
    """The job once it stands still."""

    def look():
        seen = described(job, client)
        still = seen.JobState in ("SUCCEED", "FAILED", "FAILED_INTERRUPTED")
        return seen if still else None

    return until(f"{job} stands still", look)


def instance(job, name, index=0):
    answer = ask("DescribeTask", JobId=job, TaskName=name, Offset=index, Limit=1)
    return answer.TaskInstanceSet[0]


def started(job, name="a", index=0):
    """Waits until the instance's process runs."""

    def look():
        seen = instance(job, name, index)
        return seen if seen.TaskInstanceState == "RUNNING" else None

    return until(f"instance {index} of {job} runs", look)


def log(job, name, stream="StdoutLog", index=0):
    answer = ask("DescribeTaskLogs", JobId=job, TaskName=name, TaskInstanceIndexes=[index])
    text = getattr(answer.TaskInstanceLogSet[0], stream)
    prefix = "data:text/plain;charset=utf-8;base64,"
    assert text.startswith(prefix), text
    return base64.b64decode(text.removeprefix(prefix)).decode()


def attempts(job):
    """Every attempt of the job, to the millisecond, by its task."""
    found = OURS.request("GET", f"/v1/jobs/{job}/attempts").expect(200).json()["attempts"]
    return {attempt["task"]: attempt for attempt in found}


def moment(text):
    return datetime.datetime.fromisoformat(text)


class Told(Receiver):
    """A receiver of this API's events."""

    def event(self, name):
        """The one of this name, once it was told."""

        def look():
            events = [one for _, _, body in list(self.said) for one in json.loads(body)["Events"]]
            return next((one for one in events if one["EventName"] == name), None)

        return until(f"{name} is told", look)


class Examples(unittest.TestCase):
    def test_the_fibonacci_command_is_run_and_its_output_is_in_the_bucket(self):
        answer = ask(
            "SubmitJob",
            Placement={"Zone": "ap-guangzhou-2"},
            Job={
                "Tasks": [
                    {
                        "Application": {"DeliveryForm": "LOCAL", "Command": COMMAND},
                        "TaskName": "hello2",
                        "TaskInstanceNum": 1,
                        "ComputeEnv": {
                            "EnvType": "MANAGED",
                            "EnvData": {"InstanceType": "S1.SMALL1", "ImageId": IMAGE_ID},
                        },
                        "RedirectInfo": {
                            "StdoutRedirectPath": f"{BUCKET}/hello2/logs/",
                            "StderrRedirectPath": f"{BUCKET}/hello2/logs/",
                        },
                    }
                ],
                "JobName": "test",
                "JobDescription": "test",
                "Priority": 1,
            },
        )
        job = answer.JobId
        self.assertRegex(job, r"^job-[0-9a-f]{32}$")
        seen = ended(job)
        self.assertEqual(seen.JobState, "SUCCEED", seen.to_json_string())
        self.assertEqual((seen.JobName, seen.Zone, seen.Priority), ("test", "ap-guangzhou-2", 1))
        self.assertRegex(seen.CreateTime, TIME)
        self.assertRegex(seen.EndTime, TIME)
        self.assertEqual(seen.TaskInstanceMetrics.SucceedCount, 1)
        self.assertEqual(log(job, "hello2"), "6765\n")
        one = instance(job, "hello2")
        self.assertEqual((one.TaskInstanceState, one.ExitCode), ("SUCCEED", 0))
        for at in (one.CreateTime, one.LaunchTime, one.RunningTime, one.EndTime):
            self.assertRegex(at, TIME)
        file = one.RedirectInfo.StdoutRedirectFileName
        self.assertIn(job, file)
        self.assertEqual(OURS.get(f"{STORED}/hello2/logs/{file}"), b"6765\n")
        file = one.RedirectInfo.StderrRedirectFileName
        self.assertEqual(OURS.get(f"{STORED}/hello2/logs/{file}"), b"")

    def test_the_graph_runs_in_order_by_every_way_to_sign_and_to_send(self):
        methods = ("POST", "GET")
        signs = ("TC3-HMAC-SHA256", "HmacSHA1", "HmacSHA256")
        jobs = []
        for method, sign in itertools.product(methods, signs):
            client = connected(method, sign, region="ap-beijing")
            tasks = [
                task("pre_task", "echo pre_task", TaskInstanceNum=1),
                task("post_task", "echo post_task", RestartComputeNode=False),
            ]
            edge = {"StartTask": "pre_task", "EndTask": "post_task"}
            job = submit(*tasks, client=client, zone="ap-beijing-2", Dependences=[edge])
            jobs.append((method, sign, client, job))
        for method, sign, client, job in jobs:
            with self.subTest(method=method, sign=sign):
                seen = ended(job, client)
                self.assertEqual(seen.JobState, "SUCCEED", seen.to_json_string())
                edges = [(edge.StartTask, edge.EndTask) for edge in seen.DependenceSet]
                self.assertEqual(edges, [("pre_task", "post_task")])
                first, then = instance(job, "pre_task"), instance(job, "post_task")
                self.assertLessEqual(first.EndTime, then.LaunchTime)
                self.assertLessEqual(then.LaunchTime, then.RunningTime)
                exact = attempts(job)
                over = moment(exact["pre_task"]["ended_at"])
                self.assertLess(over, moment(exact["post_task"]["started_at"]))
                self.assertEqual(log(job, "pre_task"), "pre_task\n")
                self.assertEqual(log(job, "post_task"), "post_task\n")
                listed = ask("DescribeJobs", client, JobIds=[job])
                self.assertEqual(listed.JobSet[0].JobState, "SUCCEED")
                info = ask("DescribeJobSubmitInfo", client, JobId=job)
                self.assertEqual(info.Tasks[0].TaskInstanceNum, 1)
                self.assertIs(info.Tasks[1].RestartComputeNode, False)


class Tasks(unittest.TestCase):
    def test_every_instance_knows_where_it_is(self):
        said = "echo $BATCH_JOB_ID $BATCH_TASK_NAME $BATCH_TASK_INSTANCE_NUM"
        command = f"{said} $BATCH_TASK_INSTANCE_INDEX $COLOUR"
        variables = [{"Name": "COLOUR", "Value": "red & blue"}]
        job = submit(task("a", command, TaskInstanceNum=3, EnvVars=variables))
        self.assertEqual(ended(job).JobState, "SUCCEED")
        for index in range(3):
            self.assertEqual(log(job, "a", index=index), f"{job} a 3 {index} red & blue\n")

    def test_each_instance_may_have_a_command_of_its_own(self):
        one = task("a", "")
        one["Application"] = {
            "DeliveryForm": "LOCAL",
            "Commands": [{"Command": "echo first"}, {"Command": "echo 'the second'"}],
        }
        one["TaskInstanceNum"] = 2
        job = submit(one)
        self.assertEqual(ended(job).JobState, "SUCCEED")
        self.assertEqual(log(job, "a", index=0), "first\n")
        self.assertEqual(log(job, "a", index=1), "the second\n")

    def test_a_failed_task_is_tried_again_and_then_fails_with_its_code(self):
        job = submit(task("a", "echo out; echo err >&2; exit 3", MaxRetryCount=1))
        seen = ended(job)
        self.assertEqual(seen.JobState, "FAILED")
        self.assertIn("a", seen.StateReason)
        one = instance(job, "a")
        self.assertEqual((one.TaskInstanceState, one.ExitCode), ("FAILED", 3))
        self.assertEqual(log(job, "a", "StderrLog"), "err\n")
        found = OURS.request("GET", f"/v1/jobs/{job}/attempts").expect(200).json()["attempts"]
        self.assertEqual(len(found), 2)

    def test_what_outlasts_its_timeout_is_stopped(self):
        job = submit(task("a", "sleep 600", Timeout=1))
        self.assertEqual(ended(job).JobState, "FAILED")
        self.assertIn("timeout", instance(job, "a").StateReason)

    def test_what_comes_after_a_failure_depends_on_the_mode(self):
        modes = {
            "PRE_TASK_SUCCEED": "FAILED",
            "PRE_TASK_AT_LEAST_PARTLY_SUCCEED": "SUCCEED",
            "PRE_TASK_FINISHED": "SUCCEED",
        }
        first = task("a", "exit $BATCH_TASK_INSTANCE_INDEX", TaskInstanceNum=2)
        edge = {"StartTask": "a", "EndTask": "b"}
        jobs = {
            mode: submit(
                first, task("b", "true"), Dependences=[edge], TaskExecutionDependOn=mode
            )
            for mode in modes
        }
        for mode, state in modes.items():
            with self.subTest(mode=mode):
                seen = ended(jobs[mode])
                states = {one.TaskName: one.TaskState for one in seen.TaskSet}
                self.assertEqual(states, {"a": "FAILED", "b": state})
                self.assertEqual(seen.JobState, "FAILED")

    def test_folders_come_from_buckets_and_go_there(self):
        OURS.put(f"{STORED}/in/one.txt", b"one")
        OURS.put(f"{STORED}/in/deep/two.txt", b"two")
        OURS.put(f"{STORED}/single.txt", b"single")
        command = (
            "cat /data/in/one.txt /data/in/deep/two.txt /data/single.txt && mkdir -p /data/out/deep "
            "&& cp /data/in/one.txt /data/out/$BATCH_TASK_INSTANCE_INDEX.txt "
            "&& cp /data/in/deep/two.txt /data/out/deep/two.txt"
        )
        one = task(
            "a",
            command,
            TaskInstanceNum=2,
            InputMappings=[
                {"SourcePath": f"{BUCKET}/in/", "DestinationPath": "/data/in/"},
                {"SourcePath": f"{BUCKET}/single.txt", "DestinationPath": "/data/"},
            ],
            OutputMappings=[{"SourcePath": "/data/out/", "DestinationPath": f"{BUCKET}/out/"}],
        )
        job = submit(one)
        seen = ended(job)
        self.assertEqual(seen.JobState, "SUCCEED", f"{seen}: {log(job, 'a', 'StderrLog')}")
        self.assertEqual(log(job, "a"), "onetwosingle")
        self.assertEqual(OURS.get(f"{STORED}/out/0.txt"), b"one")
        self.assertEqual(OURS.get(f"{STORED}/out/1.txt"), b"one")
        self.assertEqual(OURS.get(f"{STORED}/out/deep/two.txt"), b"two")

    def test_streams_are_files_of_the_container_as_well(self):
        one = task(
            "a",
            "echo out; echo err >&2; exit 4",
            RedirectLocalInfo={
                "StdoutLocalPath": "/data/logs",
                "StdoutLocalFileName": "${BATCH_TASK_NAME}-${BATCH_TASK_INSTANCE_INDEX}.log",
                "StderrLocalPath": "/data/logs/",
                "StderrLocalFileName": "err",
            },
            OutputMappings=[{"SourcePath": "/data/logs/", "DestinationPath": f"{BUCKET}/local/"}],
        )
        job = submit(one)
        self.assertEqual(ended(job).JobState, "FAILED")
        self.assertEqual(instance(job, "a").ExitCode, 4)
        self.assertEqual(log(job, "a"), "out\n")
        self.assertEqual(log(job, "a", "StderrLog"), "err\n")
        self.assertEqual(OURS.get(f"{STORED}/local/a-0.log"), b"out\n")
        self.assertEqual(OURS.get(f"{STORED}/local/err"), b"err\n")

    def test_a_package_is_unpacked_and_the_command_run_in_it(self):
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode="w:gz") as tar:
            script = b"#!/bin/sh\necho from the package\n"
            file = tarfile.TarInfo("run.sh")
            file.size, file.mode = len(script), 0o755
            tar.addfile(file, io.BytesIO(script))
        OURS.put(f"{STORED}/apps/app.tgz", whole.getvalue())
        one = task("a", "")
        one["Application"] = {
            "DeliveryForm": "PACKAGE",
            "PackagePath": f"{BUCKET}/apps/app.tgz",
            "Command": "./run.sh",
        }
        job = submit(one)
        self.assertEqual(ended(job).JobState, "SUCCEED")
        self.assertEqual(log(job, "a"), "from the package\n")

    def test_what_was_used_is_measured(self):
        job = submit(task("a", "python -c 'x = list(range(3000000)); sum(x)'"))
        self.assertEqual(ended(job).JobState, "SUCCEED")
        for metric in ("CpuUsage", "MemUsage"):
            answer = ask(
                "DescribeJobMonitorData",
                JobId=job,
                TaskName="a",
                TaskInstanceIndex=0,
                MetricName=metric,
            )
            self.assertEqual(len(answer.DataPoints.Timestamps), 1)
            self.assertGreater(answer.DataPoints.Values[0], 0)
            self.assertGreaterEqual(answer.Period, 1)


class Life(unittest.TestCase):
    def test_logs_are_read_while_the_task_runs_and_it_is_terminated(self):
        job = submit(task("a", "echo up; sleep 600"))
        started(job)
        until("the log shows it", lambda: log(job, "a") == "up\n" or None)
        self.assertEqual(described(job).JobState, "RUNNING")
        with self.assertRaises(TencentCloudSDKException) as raised:
            ask("DeleteJob", JobId=job)
        self.assertEqual(raised.exception.get_code(), "ResourceInUse.Job")
        ask("TerminateJob", JobId=job)
        self.assertEqual(ended(job).JobState, "FAILED")
        self.assertEqual(log(job, "a"), "up\n")
        ask("DeleteJob", JobId=job)
        with self.assertRaises(TencentCloudSDKException) as raised:
            described(job)
        self.assertEqual(raised.exception.get_code(), "ResourceNotFound.Job")

    def test_one_instance_is_terminated_and_the_other_ends_by_itself(self):
        command = "test $BATCH_TASK_INSTANCE_INDEX = 1 || sleep 600"
        job = submit(task("a", command, TaskInstanceNum=2))
        started(job)
        ask("TerminateTaskInstance", JobId=job, TaskName="a", TaskInstanceIndex=0)
        self.assertEqual(ended(job).JobState, "FAILED")
        states = [instance(job, "a", index).TaskInstanceState for index in (0, 1)]
        self.assertEqual(states, ["FAILED", "SUCCEED"])

    def test_a_failure_is_held_until_it_is_terminated_and_then_retried(self):
        OURS.put(f"{STORED}/flag", b"no")
        mapping = [{"SourcePath": f"{BUCKET}/flag", "DestinationPath": "/data/flag"}]
        command = "grep yes /data/flag"
        job = submit(task("a", command, FailedAction="INTERRUPT", InputMappings=mapping))
        self.assertEqual(ended(job).JobState, "FAILED_INTERRUPTED")
        with self.assertRaises(TencentCloudSDKException) as raised:
            ask("RetryJobs", JobIds=[job])
        self.assertEqual(raised.exception.get_code(), "UnsupportedOperation")
        ask("TerminateJob", JobId=job)
        self.assertEqual(described(job).JobState, "FAILED")
        OURS.put(f"{STORED}/flag", b"yes")
        ask("RetryJobs", JobIds=[job])
        self.assertEqual(ended(job).JobState, "SUCCEED")

    def test_a_repeated_token_makes_one_job(self):
        asked = {
            "Placement": {"Zone": "ap-guangzhou-2"},
            "Job": {"Tasks": [task("a", "true")]},
            "ClientToken": f"once-{time.monotonic_ns()}",
        }
        first = ask("SubmitJob", **asked).JobId
        self.assertEqual(ask("SubmitJob", **asked).JobId, first)
        asked["Job"] = {"Tasks": [task("b", "true")]}
        self.assertEqual(ask("SubmitJob", **asked).JobId, first)
        self.assertEqual(ended(first).TaskSet[0].TaskName, "a")

    def test_a_job_runs_in_an_environment(self):
        OURS.put(f"{STORED}/shared.txt", b"here\n")
        data = {"InstanceType": "S1.SMALL1", "ImageId": IMAGE_ID}
        mapping = {"SourcePath": f"{BUCKET}/shared.txt", "DestinationPath": "/data/"}
        env = ask(
            "CreateComputeEnv",
            ComputeEnv={
                "EnvName": "e",
                "DesiredComputeNodeCount": 1,
                "EnvData": data,
                "InputMappings": [mapping],
            },
            Placement={"Zone": "ap-guangzhou-2"},
        ).EnvId
        one = task("a", "cat /data/shared.txt", EnvId=env)
        del one["ComputeEnv"]
        job = submit(one)
        self.assertEqual(ended(job).JobState, "SUCCEED")
        self.assertEqual(log(job, "a"), "here\n")
        self.assertEqual(OURS.job(job)["queue"], env)
        seen = ask("DescribeComputeEnv", EnvId=env)
        self.assertEqual(seen.ComputeNodeMetrics.RunningCount, 1)
        self.assertEqual(seen.ComputeNodeSet[0].ComputeNodeState, "RUNNING")
        ask("ModifyComputeEnv", EnvId=env, DesiredComputeNodeCount=2)
        listed = ask("DescribeComputeEnvs", EnvIds=[env])
        self.assertEqual(listed.ComputeEnvSet[0].DesiredComputeNodeCount, 2)
        ask("DeleteComputeEnv", EnvId=env)
        with self.assertRaises(TencentCloudSDKException) as raised:
            ask("DescribeComputeEnv", EnvId=env)
        self.assertEqual(raised.exception.get_code(), "ResourceNotFound.ComputeEnv")

    def test_a_job_is_told_of_by_events(self):
        # A topic is a message queue of the operator's; here the environment's
        # queue says who is told.
        data = {"InstanceType": "S1.SMALL1", "ImageId": IMAGE_ID}
        env = ask(
            "CreateComputeEnv",
            ComputeEnv={"EnvName": "told", "DesiredComputeNodeCount": 1, "EnvData": data},
            Placement={"Zone": "ap-guangzhou-2"},
        ).EnvId
        with Told() as receiver:
            callback = {"url": receiver.url("batch"), "events": ["started", "finished"]}
            OURS.queue(env, callback=callback)
            good, bad = task("a", "true", EnvId=env), task("a", "false", EnvId=env)
            del good["ComputeEnv"], bad["ComputeEnv"]
            job = submit(good)
            for name in ("JOB_RUNNING", "JOB_SUCCEED"):
                event = receiver.event(name)
                self.assertEqual(event["EventVersion"], "1.0")
                self.assertEqual(event["Region"], "ap-guangzhou")
                self.assertRegex(event["EventTime"], TIME)
                state = name.removeprefix("JOB_")
                told = {"JobId": job, "JobName": "test", "JobState": state}
                self.assertEqual(event["Batch"], told)
                self.assertEqual(event["EventVars"], [])
            job = submit(bad)
            self.assertEqual(receiver.event("JOB_FAILED")["Batch"]["JobId"], job)
            kinds = {headers["Content-Type"] for _, headers, _ in receiver.said}
            self.assertEqual(kinds, {"application/json"})
        with self.assertRaises(TencentCloudSDKException) as raised:
            submit(
                task("a", "true"),
                Notifications=[
                    {"TopicName": "nobody", "EventConfigs": [{"EventName": "JOB_SUCCEED"}]}
                ],
            )
        code = raised.exception.get_code()
        self.assertEqual(code, "InvalidParameter.NotificationTopicName")

    def test_a_task_template_is_kept(self):
        made = ask(
            "CreateTaskTemplate", TaskTemplateName="t", TaskTemplateInfo=task("a", "true")
        ).TaskTemplateId
        listed = ask("DescribeTaskTemplates", TaskTemplateIds=[made])
        self.assertEqual(listed.TaskTemplateSet[0].TaskTemplateInfo.Application.Command, "true")
        ask("ModifyTaskTemplate", TaskTemplateId=made, TaskTemplateDescription="d")
        ask("DeleteTaskTemplates", TaskTemplateIds=[made])
        self.assertEqual(ask("DescribeTaskTemplates", TaskTemplateIds=[made]).TotalCount, 0)

    def test_a_native_job_is_listed_and_described(self):
        job = OURS.submit({"name": "native", "image": IMAGE, "command": ["echo", "hi there"]})
        self.assertEqual(ended(job).JobState, "SUCCEED")
        self.assertEqual(log(job, "main"), "hi there\n")
        by_name = [{"Name": "job-name", "Values": ["native"]}]
        listed = ask("DescribeJobs", Filters=by_name)
        self.assertEqual([one.JobId for one in listed.JobSet], [job])
        info = ask("DescribeJobSubmitInfo", JobId=job)
        self.assertEqual(info.Tasks[0].Application.Command, "echo 'hi there'")


class Faults(unittest.TestCase):
    def code(self, action, client=CLIENT, **parameters):
        """The code of the typed error that the client raises."""
        with self.assertRaises(TencentCloudSDKException) as raised:
            ask(action, client, **parameters)
        error = raised.exception
        self.assertTrue(error.get_message())
        self.assertRegex(error.get_request_id(), r"^[0-9a-f-]{36}$")
        return error.get_code()

    def submitted(self, *tasks, zone="ap-guangzhou-2", **job):
        placement = {"Zone": zone}
        return self.code("SubmitJob", Placement=placement, Job={"Tasks": list(tasks), **job})

    def test_who_is_not_known_is_refused_by_every_signature(self):
        stranger = "tp" + "a" * 39
        for method, sign in itertools.product(
            ("POST", "GET"), ("TC3-HMAC-SHA256", "HmacSHA1", "HmacSHA256")
        ):
            with self.subTest(method=method, sign=sign):
                wrong = connected(method, sign, secret="wrong")
                refused = self.code("DescribeJob", wrong, JobId=UNKNOWN)
                self.assertEqual(refused, "AuthFailure.SignatureFailure")
                for key in ("AKIDEXAMPLE", stranger):
                    nobody = connected(method, sign, key=key)
                    refused = self.code("DescribeJob", nobody, JobId=UNKNOWN)
                    self.assertEqual(refused, "AuthFailure.SecretIdNotFound")
                good = connected(method, sign)
                for minutes in (-6, 6):
                    then = time.time() + 60 * minutes
                    with mock.patch("time.time", return_value=then):
                        refused = self.code("DescribeJob", good, JobId=UNKNOWN)
                    self.assertEqual(refused, "AuthFailure.SignatureExpire")
                token = connected(method, sign, token="made up")
                refused = self.code("DescribeJob", token, JobId=UNKNOWN)
                self.assertEqual(refused, "AuthFailure.TokenFailure")

    def test_unknown_actions_regions_and_parameters_are_refused(self):
        for client, action, code in [
            (CLIENT, "DescribeUniverse", "InvalidAction"),
            (connected(region="mars-north"), "DescribeJobs", "UnsupportedRegion"),
        ]:
            with self.assertRaises(TencentCloudSDKException) as raised:
                client.call_json(action, {})
            self.assertEqual(raised.exception.get_code(), code)
        with self.assertRaises(TencentCloudSDKException) as raised:
            CLIENT.call_json("DescribeJobs", {"Colour": "red"})
        self.assertEqual(raised.exception.get_code(), "UnknownParameter")

    def test_unknown_and_malformed_ids_have_codes_of_their_own(self):
        theirs = THEIRS.submit(tarpon.probe("say hi"))
        for action in ("DescribeJob", "DescribeJobSubmitInfo", "TerminateJob", "DeleteJob"):
            for job in (UNKNOWN, theirs):
                self.assertEqual(self.code(action, JobId=job), "ResourceNotFound.Job")
            malformed = self.code(action, JobId="job-4yn0we13")
            self.assertEqual(malformed, "InvalidParameter.JobIdMalformed")
            self.assertEqual(self.code(action), "MissingParameter")
        self.assertEqual(self.code("RetryJobs", JobIds=[UNKNOWN]), "ResourceNotFound.Job")
        task_of = self.code("DescribeTask", JobId=UNKNOWN, TaskName="a")
        self.assertEqual(task_of, "ResourceNotFound.Task")
        logs_of = self.code("DescribeTaskLogs", JobId=UNKNOWN, TaskName="a")
        self.assertEqual(logs_of, "ResourceNotFound.Job")
        env = self.code("DescribeComputeEnv", EnvId="env-abcd1234")
        self.assertEqual(env, "ResourceNotFound.ComputeEnv")
        THEIRS.finish(theirs)

    def test_what_makes_no_job_has_a_code_for_each_reason(self):
        good = task("a", "true")
        both = {"StartTask": "a", "EndTask": "b"}, {"StartTask": "b", "EndTask": "a"}
        data = {"ImageId": IMAGE_ID}
        nameless = {name: value for name, value in good.items() if name != "TaskName"}
        for code, said in [
            ("MissingParameter", lambda: self.submitted()),
            ("MissingParameter", lambda: self.submitted(nameless)),
            (
                "InvalidParameterValue.InvalidZoneMismatchRegion",
                lambda: self.submitted(good, zone="ap-beijing-2"),
            ),
            ("InvalidZone.MismatchRegion", lambda: self.submitted(good, zone="nowhere")),
            (
                "InvalidParameterValue.UnavailableZone",
                lambda: self.submitted(good, zone="ap-guangzhou-1"),
            ),
            ("InvalidParameter.JobNameTooLong", lambda: self.submitted(good, JobName="x" * 61)),
            (
                "AllowedOneAttributeInEnvIdAndComputeEnv",
                lambda: self.submitted({**good, "EnvId": "env-abcd1234"}),
            ),
            (
                "InvalidParameterValue.DependenceNotFoundTaskName",
                lambda: self.submitted(good, Dependences=[both[0]]),
            ),
            (
                "InvalidParameterValue.DependenceUnfeasible",
                lambda: self.submitted(good, task("b", "true"), Dependences=list(both)),
            ),
            (
                "InvalidParameterValue.Negative",
                lambda: self.submitted({**good, "MaxRetryCount": -1}),
            ),
            (
                "InvalidParameterValue.InvalidDataTypeAny",
                lambda: self.submitted({**good, "Timeout": "soon"}),
            ),
            (
                "InvalidParameter.ImageIdMalformed",
                lambda: self.submitted(
                    {**good, "ComputeEnv": {"EnvData": {"ImageId": "img-00000000"}}}
                ),
            ),
            (
                "InvalidParameter.CvmParameters",
                lambda: self.submitted(
                    {**good, "ComputeEnv": {"EnvData": {**data, "InstanceType": "S1.NONE"}}}
                ),
            ),
            (
                "InvalidParameterValue.RemoteStorageSchemeType",
                lambda: self.submitted(
                    {**good, "RedirectInfo": {"StdoutRedirectPath": "cfs://10.0.0.1/d"}}
                ),
            ),
        ]:
            with self.subTest(code=code):
                self.assertEqual(said(), code)


if __name__ == "__main__":
    unittest.main()
