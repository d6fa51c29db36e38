"""UCloud UGC: its own SDK for what that has a call for, its transport and its
credential for a task's bytes; and the flow of its UGC clients, which are in no
registry, over a plain session.
"""

import datetime
import hashlib
import io
import json
import tarfile
import time
import unittest
import urllib.parse
import uuid

import tarpon
from tarpon import OURS, THEIRS
from ucloud.client import Client
from ucloud.core import exc
from ucloud.core.transport import Request, RequestsTransport
from ucloud.core.typesystem import encoder

REGION = "cn-bj2"
HELLO = "tarpon/hello:latest"
OCTETS = "application/octet-stream"


def sdk(project=OURS, **settings):
    """The SDK with what its user has to change: the address and the keys."""
    return Client(
        {
            "base_url": tarpon.URL,
            "region": REGION,
            "public_key": project.key,
            "private_key": project.secret,
            **settings,
        }
    )


def token(project=OURS, **args):
    return sdk(project).invoke("GetAccessToken", args)["AccessToken"]


def post(client, args, body, url=tarpon.URL):
    """A signed call whose body is a task's input, by the SDK's own means."""
    payload = encoder.encode({"Region": REGION, **args})
    payload["Signature"] = client.credential.verify_ac(payload)
    return RequestsTransport().send(
        Request(
            url=url, method="post", params=payload, data=body, headers={"Content-Type": OCTETS}
        ),
        max_retries=0,
    )


def unpack(tar):
    """Each member of a tar by its name as it is written there, in its order."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def signature(pairs, private):
    """As it is documented, with nothing of the SDK."""
    text = "".join(name + value for name, value in sorted(pairs.items())) + private
    return hashlib.sha1(text.encode()).hexdigest()


def probe(steps):
    """What makes the probe take these steps."""
    return {"ImageName": tarpon.PROBE["image"], "Cmd": steps}


class Sdk(unittest.TestCase):
    def setUp(self):
        self.client = sdk()
        self.token = token()

    def result(self, task, client=None):
        """The task's tar, asked for until it is there."""

        def look():
            asked = {"Action": "GetTaskResult", "TaskId": task, "AccessToken": self.token}
            answer = post(client or self.client, asked, b"")
            if answer.headers["Content-Type"] == OCTETS:
                return answer.content
            said = answer.json()
            self.assertEqual(said["RetCode"], -1, said)
            self.assertEqual((said["Message"], said["State"]), ("Not Finish", "Running"))
            return None

        return tarpon.until(f"{task} has a result", look)

    def fails(self, code, action, args=None, client=None):
        """The SDK says by its own error that the action fails so."""
        with self.assertRaises(exc.RetCodeException) as failed:
            (client or self.client).invoke(action, args or {})
        self.assertEqual(failed.exception.code, code, failed.exception)
        return failed.exception

    def submit(self, **args):
        """A task that is accepted, and not waited for."""
        args = {"AccessToken": self.token, "TaskType": "Async", **args}
        return self.client.invoke("SubmitTask", args)["TaskId"]

    def test_helloworld_is_waited_for(self):
        said = {
            "Action": "SubmitTask",
            "ImageName": HELLO,
            "AccessToken": self.token,
            "OutputDir": "/tmp",
            "OutputFileName": "result",
            "Cmd": "thisiscmd",
            "TaskType": "Sync",
            "TimeOut": 100,
            "TaskName": "testsync",
        }
        answer = post(self.client, said, b"thisispostdata")
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(answer.headers["Content-Type"], OCTETS)
        members = unpack(answer.content)
        self.assertEqual(
            list(members.items()),
            [
                ("Stdout", b"hello world\n"),
                ("Stderr", b"thisiscmd\n"),
                ("/tmp/result", b"thisispostdata"),
            ],
        )
        # Three headers, three blocks of bytes, and the end; as it was seen.
        self.assertEqual(len(answer.content), 4096)
        first = answer.content[:512]
        self.assertEqual(first[:7] + first[100:124], b"Stdout\0" + b"0000600\0" + 2 * b"0000000\0")
        self.assertEqual(first[124:136], b"00000000014\0")
        self.assertEqual(first[154:157], b"\0 \0", "the end of the checksum, and the type")
        self.assertEqual(first[257:265], b"ustar\x0000")
        self.assertEqual(first[265:512], 64 * b"\0" + 2 * b"0000000\0" + 167 * b"\0")

    def test_helloworld_is_asked_for_later(self):
        said = {
            "Action": "SubmitTask",
            "ImageName": HELLO,
            "AccessToken": self.token,
            "OutputDir": "/tmp",
            "OutputFileName": "result",
            "Cmd": "thisiscmd",
            "TaskType": "Async",
            "TaskName": "testasync",
        }
        answer = post(self.client, said, b"thisispostdata").json()
        self.assertEqual((answer["RetCode"], answer["Action"]), (0, "SubmitTaskResponse"))
        task = answer["TaskId"]
        members = unpack(self.result(task))
        self.assertEqual(members["Stdout"], b"hello world\n")
        self.assertEqual(members["/tmp/result"], b"thisispostdata")

        detail = self.client.invoke("GetTaskDetail", {"TaskId": task})
        said = {name: detail[name] for name in ("ImageName", "Cmd", "OutputDir", "OutputFileName")}
        self.assertEqual(
            said,
            {
                "ImageName": HELLO,
                "Cmd": "thisiscmd",
                "OutputDir": "/tmp",
                "OutputFileName": "result",
            },
        )
        self.assertEqual((detail["TaskType"], detail["State"]), ("Async", "Success"))
        self.assertEqual((detail["TaskId"], detail["TaskName"]), (task, "testasync"))
        self.assertEqual((detail["StdoutBrief"], detail["StderrBrief"]), ("hello world\n", "thisiscmd\n"))
        self.assertEqual(detail["Timeout"], 0)
        times = [detail[name] for name in ("CreateTime", "StartTime", "EndTime")]
        self.assertEqual(times, sorted(times))
        self.assertLess(abs(times[0] - time.time()), 600)
        # The output can be had natively as well, as it is.
        native = "job-" + task.replace("-", "")
        self.assertEqual(unpack(OURS.archive(native)), members)

    def test_a_large_input_and_result_come_through(self):
        content = bytes(range(256)) * 40_000
        said = {
            **probe("keep /out/kept then cat"),
            "Action": "SubmitTask",
            "AccessToken": self.token,
            "OutputDir": "/out/",
            "OutputFileName": "kept",
            "TimeOut": 100,
        }
        members = unpack(post(self.client, said, content).content)
        # By default the caller waits; nothing was left to be read twice.
        self.assertEqual(members, {"/out/kept": content})

    def test_what_is_said_in_a_form_has_no_input(self):
        files = ["one", "two", "none"]
        steps = "cat then write /out/one 1 then write /out/two 2 then say 'in one  piece'"
        task = self.submit(**probe(steps), OutputDir="/out", OutputFileName=files)
        members = unpack(self.result(task))
        self.assertEqual(
            members, {"Stdout": b"in one  piece\n", "/out/one": b"1", "/out/two": b"2"}
        )
        listed = self.client.invoke("GetTaskDetail", {"TaskId": task})["OutputFileName"]
        self.assertEqual(listed, "one,two,none")

    def test_a_task_that_fails_has_no_result_but_what_it_said(self):
        said = {**probe("say oh --stderr then exit 3"), "AccessToken": self.token, "TimeOut": 100}
        error = self.fails(43048, "SubmitTask", {**said, "TaskType": "Sync"})
        self.assertIn("exit code 3", error.message)
        task = self.submit(**said)
        tarpon.until("it fails", lambda: self.failed(task))
        answer = post(
            self.client,
            {"Action": "GetTaskResult", "TaskId": task, "AccessToken": self.token},
            b"",
        ).json()
        self.assertEqual((answer["RetCode"], answer["State"]), (43048, "Fail"))
        detail = self.client.invoke("GetTaskDetail", {"TaskId": task})
        self.assertEqual(detail["StderrBrief"], "oh\n")

    def failed(self, task):
        return self.client.invoke("GetTaskDetail", {"TaskId": task})["State"] == "Fail" or None

    def test_a_task_that_takes_too_long_is_ended(self):
        said = {**probe("say before then sleep 600"), "AccessToken": self.token, "TimeOut": 1}
        error = self.fails(43048, "SubmitTask", {**said, "TaskType": "Sync"})
        self.assertIn("timed out", error.message)

    def test_an_image_that_is_not_there_is_the_callers_mistake(self):
        said = {"ImageName": "sha256:" + 64 * "0", "AccessToken": self.token}
        self.fails(43024, "SubmitTask", {**said, "TaskType": "Sync"})

    def test_a_task_is_without_a_network(self):
        said = {**probe("dial 192.0.2.1:80"), "Action": "SubmitTask", "AccessToken": self.token}
        members = unpack(post(self.client, {**said, "TimeOut": 100}, b"").content)
        self.assertEqual(members["Stdout"], b"not reached: NetworkUnreachable\n")

    def test_a_task_is_stopped_once(self):
        task = self.submit(**probe("say up then sleep 600"))
        said = {"TaskId": task, "AccessToken": self.token}
        self.assertEqual(self.client.invoke("StopTask", said)["TaskId"], task)
        tarpon.until("it is stopped", lambda: self.failed(task))
        self.fails(43039, "StopTask", said)
        self.fails(43048, "GetTaskResult", said)

    def test_tasks_are_listed_and_sorted_out(self):
        name = f"listed-{time.time_ns()}"
        done = self.submit(**probe("say hi"), TaskName=name)
        self.result(done)
        failed = self.submit(**probe("exit 1"), TaskName=name)
        tarpon.until("it fails", lambda: self.failed(failed))

        def listed(**args):
            answer = self.client.invoke("GetTaskList", {"TaskName": name, **args})
            return answer["TotalCount"], [task["TaskId"] for task in answer["TaskSet"]]

        self.assertEqual(listed(), (2, [failed, done]))
        self.assertEqual(listed(Limit=1), (2, [failed]))
        self.assertEqual(listed(Limit=1, Offset=1), (2, [done]))
        self.assertEqual(listed(State="Success"), (1, [done]))
        self.assertEqual(listed(State="Fail", TaskType="Async"), (1, [failed]))
        self.assertEqual(listed(State="Running"), (0, []))
        self.assertEqual(listed(TaskType="Sync"), (0, []))
        self.assertEqual(listed(TaskId=done), (1, [done]))
        self.assertEqual(listed(ImageName=tarpon.PROBE["image"])[0], 2)
        self.assertEqual(listed(ImageName="other:1")[0], 0)
        now = int(time.time())
        self.assertEqual(listed(StartTime=now - 600, EndTime=now + 600)[0], 2)
        self.assertEqual(listed(StartTime=now + 600, EndTime=now + 900)[0], 0)
        self.assertEqual(listed(EndTime=now - 600)[0], 0)
        entry = self.client.invoke("GetTaskList", {"TaskId": done})["TaskSet"][0]
        self.assertEqual(
            (entry["TaskName"], entry["TaskType"], entry["State"], entry["Owner"]),
            (name, "Async", "Success", OURS.id),
        )

    def test_jobs_of_the_native_api_are_tasks(self):
        job = OURS.submit(
            tarpon.probe("say native then write /out/a A then write /out/b B")
            | {"name": "native", "outputs": ["/out/a", "/out/b"]}
        )
        OURS.finish(job)
        task = str(uuid.UUID(job.removeprefix("job-")))
        detail = self.client.invoke("GetTaskDetail", {"TaskId": task})
        self.assertEqual((detail["TaskName"], detail["State"]), ("native", "Success"))
        self.assertEqual((detail["OutputDir"], detail["OutputFileName"]), ("/out", "a,b"))
        members = unpack(self.result(task))
        self.assertEqual(
            list(members.items()), [("Stdout", b"native\n"), ("/out/a", b"A"), ("/out/b", b"B")]
        )
        listed = self.client.invoke("GetTaskList", {"TaskName": "native"})["TaskSet"]
        self.assertEqual([entry["TaskId"] for entry in listed], [task])

    def test_a_graph_of_jobs_is_one_tar(self):
        first = {**tarpon.probe("say one"), "name": "first"}
        second = {**tarpon.probe("say two"), "name": "second", "after": [{"task": "first"}]}
        job = OURS.submit({"tasks": [first, second]})
        OURS.finish(job)
        task = str(uuid.UUID(job.removeprefix("job-")))
        members = unpack(self.result(task))
        self.assertEqual(members, {"/first/0/Stdout": b"one\n", "/second/0/Stdout": b"two\n"})

    def test_another_project_sees_nothing_of_it(self):
        task = self.submit(**probe("say secret"), TaskName="secret")
        self.result(task)
        theirs, their_token = sdk(THEIRS), token(THEIRS)
        self.fails(43016, "GetTaskDetail", {"TaskId": task}, theirs)
        said = {"TaskId": task, "AccessToken": their_token}
        self.fails(43016, "GetTaskResult", said, theirs)
        self.fails(43016, "StopTask", said, theirs)
        listed = theirs.invoke("GetTaskList", {"TaskName": "secret"})
        self.assertEqual((listed["TotalCount"], listed["TaskSet"]), (0, []))
        # A token is of its project, whoever signs.
        self.fails(43004, "GetTaskResult", said, self.client)

    def test_images_are_in_buckets(self):
        OURS.register("tool-1", "registry.example/tools/tool:1")
        OURS.register("tool-2", "registry.example/tools/tool:2")
        OURS.register("hello", HELLO)
        self.client.invoke("CreateDockerImageBucket", {"BucketName": "my_bucket"})
        self.fails(43022, "CreateDockerImageBucket", {"BucketName": "my_bucket"})
        self.fails(43022, "CreateDockerImageBucket", {"BucketName": "tools"})
        for name in ("abc", "Upper", "a-b-c", "x" * 31):
            self.fails(43025, "CreateDockerImageBucket", {"BucketName": name})
        answer = self.client.invoke("GetImageBucketList", {})
        counts = {entry["BucketName"]: entry["ImageCount"] for entry in answer["ImageSet"]}
        self.assertEqual((counts["my_bucket"], counts["tools"]), (0, 1))
        self.assertEqual(answer["BucketSet"], answer["ImageSet"])
        answer = self.client.invoke("GetImageBucketList", {"BucketType": "Share"})
        self.assertEqual((answer["TotalCount"], answer["ImageSet"]), (0, []))
        answer = self.client.invoke("GetDockerImageList", {"BucketName": "tools"})
        self.assertEqual((answer["TotalCount"], answer["ImageSet"][0]["ImageName"]), (1, "tool"))
        tags = [tag["TagName"] for tag in answer["ImageSet"][0]["TagSet"]]
        self.assertEqual(tags, ["1", "2"])
        self.fails(43023, "GetDockerImageList", {"BucketName": "nosuch"})

        listed = self.client.invoke("GetAllImages", {})["ImageSet"]
        self.assertIn("tarpon/hello:latest", listed)
        self.assertIn("tools/tool:2", listed)
        # An image is run by the name that it is listed by, or by that which it
        # had in the registry that it was moved from.
        for name in ("tarpon/hello:latest", "cn-bj2.ugchub.service.ucloud.cn/tarpon/hello:latest"):
            said = {"Action": "SubmitTask", "ImageName": name, "AccessToken": self.token}
            answer = post(self.client, {**said, "Cmd": "x", "TimeOut": 100}, b"")
            self.assertEqual(unpack(answer.content)["Stdout"], b"hello world\n")

        one = {"BucketName": "tools", "ImageName": "tool"}
        self.fails(43047, "DeleteImage", one)
        self.fails(43046, "DeleteImage", {"BucketName": "tools", "Tag": ["1"]})
        self.fails(43045, "DeleteImage", {**one, "Tag": ["1", "3"]})
        self.fails(43033, "DeleteImage", {**one, "Tag": [str(n) for n in range(101)]})
        self.client.invoke("DeleteImage", {**one, "Tag": ["1", "2"]})
        self.assertNotIn("tools/tool:2", self.client.invoke("GetAllImages", {})["ImageSet"])
        self.assertEqual(OURS.request("GET", "/v1/images").json()["images"][0]["name"], "hello")

    def test_who_is_not_known_is_told_so(self):
        wrong = sdk(private_key="x" * 40)
        self.fails(171, "GetTaskList", client=wrong)
        wrong = sdk(private_key=OURS.secret[:-1])
        self.fails(171, "GetTaskList", client=wrong)
        stranger = "ucloudsomeone@example.com1296235120854146120"
        wrong = sdk(public_key=stranger)
        self.fails(172, "GetTaskList", client=wrong)
        self.fails(292, "GetTaskList", client=sdk(project_id="org-nosuch"))
        self.fails(292, "GetTaskList", client=sdk(project_id=THEIRS.id))
        self.assertEqual(sdk(project_id=OURS.id).invoke("GetTaskList", {})["RetCode"], 0)

    def test_a_key_of_other_apis_and_one_that_is_disabled_are_refused(self):
        made = OURS.request("POST", "/v1/keys", {"apis": ["native"]}).expect(201).json()
        keys = {"public_key": made["access_key_id"], "private_key": made["secret_access_key"]}
        self.fails(299, "GetTaskList", client=sdk(**keys))
        made = OURS.request("POST", "/v1/keys", {"apis": ["ucloud-ugc"]}).expect(201).json()
        keys = {"public_key": made["access_key_id"], "private_key": made["secret_access_key"]}
        limited = sdk(**keys)
        its = limited.invoke("GetAccessToken", {})["AccessToken"]
        unknown = {"TaskId": "0b560b1d-f3b1-43de-a492-08875d79211b", "AccessToken": its}
        self.fails(43016, "GetTaskResult", unknown, limited)
        OURS.request("POST", f"/v1/keys/{made['access_key_id']}/disable", {}).expect(200)
        self.fails(172, "GetTaskList", client=limited)
        self.fails(43004, "GetTaskResult", unknown)

    def test_tokens_are_good_for_as_long_as_they_are_said_to_be(self):
        answer = self.client.invoke("GetAccessToken", {"GrantType": "Task"})
        self.assertEqual(answer["ExpireIn"], 7200)
        answer = self.client.invoke("GetAccessToken", {"ExpireIn": 1})
        self.assertEqual(answer["ExpireIn"], 1)
        said = {"TaskId": "0b560b1d-f3b1-43de-a492-08875d79211b"}

        def look():
            error = self.told(answer["AccessToken"], said)
            return error if error != 43016 else None

        self.assertEqual(tarpon.until("the token expires", look), 43005)
        self.fails(43016, "GetTaskResult", {**said, "AccessToken": self.token})
        for bad in ("0", "-1", "x", "99999999999"):
            self.fails(43033, "GetAccessToken", {"ExpireIn": bad})
        self.fails(43033, "GetAccessToken", {"GrantType": "Other"})

    def told(self, access_token, said):
        try:
            self.client.invoke("GetTaskResult", {**said, "AccessToken": access_token})
        except exc.RetCodeException as error:
            return error.code
        return 0

    def test_what_is_missing_or_makes_no_sense_is_said(self):
        image = {"ImageName": HELLO, "AccessToken": self.token}
        task = {"TaskId": "0b560b1d-f3b1-43de-a492-08875d79211b"}
        for code, action, args in (
            (161, "DescribeUHostInstance", {}),
            (43006, "SubmitTask", {"ImageName": HELLO}),
            (43006, "SubmitTask", {"AccessToken": self.token}),
            (43006, "SubmitTask", {**image, "OutputFileName": "result"}),
            (43004, "SubmitTask", {**image, "AccessToken": "H2JKDKOW3HN24CGG1PV3DV779932C"}),
            (43024, "SubmitTask", {**image, "ImageName": "Not/An/Image"}),
            (43028, "SubmitTask", {**image, "TimeOut": "-1"}),
            (43028, "SubmitTask", {**image, "TimeOut": "soon"}),
            (43033, "SubmitTask", {**image, "TaskType": "sync"}),
            (43033, "SubmitTask", {**image, "Cmd": "an 'open quote"}),
            (43033, "SubmitTask", {**image, "OutputDir": "tmp", "OutputFileName": "a"}),
            (43033, "SubmitTask", {**image, "OutputDir": "/tmp", "OutputFileName": "../a"}),
            (43033, "SubmitTask", {**image, "TaskName": "x" * 129}),
            (43006, "GetTaskResult", {"AccessToken": self.token}),
            (43006, "GetTaskResult", task),
            (43016, "GetTaskResult", {**task, "AccessToken": self.token}),
            (43016, "GetTaskResult", {"TaskId": "x", "AccessToken": self.token}),
            (43016, "StopTask", {**task, "AccessToken": self.token}),
            (43006, "GetTaskDetail", {}),
            (43016, "GetTaskDetail", task),
            (43033, "GetTaskList", {"State": "Done"}),
            (43033, "GetTaskList", {"TaskType": "Sometimes"}),
            (43033, "GetTaskList", {"Limit": "-1"}),
            (43033, "GetTaskList", {"OrderBy": "Name"}),
            (43028, "GetTaskList", {"StartTime": "noon"}),
            (43006, "GetDockerImageList", {}),
            (43006, "CreateDockerImageBucket", {}),
        ):
            with self.subTest(action=action, args=args):
                self.fails(code, action, args)


class Plain(unittest.TestCase):
    """The flow of the vendor's UGC clients: control calls by GET, a task's input
    as the body, nothing of the SDK. The older ones sign everything, the others
    only what is on the control plane.
    """

    base = "/"

    def call(self, pairs, method="GET", body=None, sign=True, headers=None):
        """One exchange; `pairs` may have a name twice if it is not signed."""
        pairs = list(pairs.items()) if isinstance(pairs, dict) else list(pairs)
        if sign:
            pairs.append(("PublicKey", OURS.key))
            pairs.append(("Signature", signature(dict(pairs), OURS.secret)))
        query = urllib.parse.urlencode(pairs)
        headers = headers or ({"Content-Type": OCTETS} if body is not None else {})
        answer = tarpon.request(method, f"{self.base}?{query}", body, headers)
        self.assertEqual(answer.status, 200, "failures are in RetCode")
        return answer

    def said(self, code, answer):
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        said = answer.json()
        self.assertEqual(said["RetCode"], code, said)
        return said

    def token(self):
        asked = {"Action": "GetAccessToken", "Region": REGION, "ExpireIn": "7200"}
        return self.said(0, self.call(asked))["AccessToken"]

    def flow(self, sign):
        access = self.token()
        asked = {
            "Action": "SubmitTask",
            "Region": REGION,
            "ImageName": HELLO,
            "AccessToken": access,
            "Cmd": "this is cmd",
            "OutputDir": "/tmp",
            "OutputFileName": "result",
            "TaskName": "flow",
            "TimeOut": "100",
        }
        # Without a type the caller waits.
        answer = self.call(asked, "POST", b"thisispostdata", sign)
        self.assertEqual(answer.headers["Content-Type"], OCTETS)
        expected = {
            "Stdout": b"hello world\n",
            "Stderr": b"this is cmd\n",
            "/tmp/result": b"thisispostdata",
        }
        self.assertEqual(unpack(answer.body), expected)

        submitted = self.call({**asked, "TaskType": "Async"}, "POST", b"thisispostdata", sign)
        task = self.said(0, submitted)["TaskId"]
        # One of them asks for the result without a region.
        wanted = {"Action": "GetTaskResult", "TaskId": task, "AccessToken": access}

        def look():
            answer = self.call(wanted, sign=sign)
            if answer.headers["Content-Type"] == OCTETS:
                return answer.body
            said = self.said(-1, answer)
            self.assertEqual((said["Message"], said["State"]), ("Not Finish", "Running"))
            return None

        self.assertEqual(unpack(tarpon.until("there is a result", look)), expected)

    def test_all_is_signed(self):
        self.flow(sign=True)

    def test_tasks_are_not_signed(self):
        self.flow(sign=False)

    def test_files_are_named_one_by_one(self):
        asked = [
            ("Action", "SubmitTask"),
            ("Region", REGION),
            ("AccessToken", self.token()),
            ("ImageName", tarpon.PROBE["image"]),
            ("Cmd", "write /out/a 1 then write /out/b 2"),
            ("OutputDir", "/out"),
            ("OutputFileName", "a"),
            ("OutputFileName", "b"),
            ("TimeOut", "100"),
        ]
        members = unpack(self.call(asked, "POST", b"", sign=False).body)
        self.assertEqual(members, {"/out/a": b"1", "/out/b": b"2"})

    def test_parameters_may_be_json(self):
        asked = {"Action": "GetTaskList", "Region": REGION, "Limit": 3, "PublicKey": OURS.key}
        text = {name: str(value) for name, value in asked.items()}
        asked["Signature"] = signature(text, OURS.secret)
        headers = {"Content-Type": "application/json"}
        body = json.dumps(asked).encode()
        answer = tarpon.request("POST", self.base, body, headers)
        self.assertIn("TaskSet", self.said(0, answer))
        asked["Limit"] = 4
        body = json.dumps(asked).encode()
        self.said(171, tarpon.request("POST", self.base, body, headers))
        broken = tarpon.request("POST", f"{self.base}?Action=GetTaskList", b"{", headers)
        self.said(43007, broken)

    def test_a_day_is_added_after_the_list_was_signed(self):
        asked = {"Action": "GetTaskList", "Region": REGION, "State": "None"}
        asked["PublicKey"] = OURS.key
        asked["Signature"] = signature(asked, OURS.secret)
        for day, code in (
            (datetime.datetime.now(datetime.timezone.utc).date().isoformat(), 0),
            ("2001-02-30", 43028),
        ):
            self.said(code, self.call({**asked, "Date": day}, sign=False))
        self.said(171, self.call({**asked, "Limit": "1"}, sign=False))

    def test_what_is_not_signed_or_not_named_is_refused(self):
        listed = {"Action": "GetTaskList", "Region": REGION}
        self.said(170, self.call(listed, sign=False))
        self.said(170, self.call({**listed, "PublicKey": OURS.key}, sign=False))
        self.said(172, self.call({**listed, "Signature": 40 * "0"}, sign=False))
        forged = {**listed, "PublicKey": OURS.key, "Signature": 40 * "0"}
        self.said(171, self.call(forged, sign=False))
        self.said(160, self.call({"Region": REGION}))
        self.said(161, self.call({"Action": "NoSuchAction", "Region": REGION}))
        self.said(43006, self.call({"Action": "GetTaskList"}))
        signed = {"Action": "GetTaskResult", "TaskId": "x", "AccessToken": self.token()}
        wrong = {**signed, "PublicKey": OURS.key, "Signature": 40 * "0"}
        answer = self.said(171, self.call(wrong, sign=False))
        self.assertIsInstance(answer["State"], str)


class Prefixed(Plain):
    """The same below a path: nobody signs it."""

    base = "/prefix"
