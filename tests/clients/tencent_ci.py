"""Tencent Cloud's own client for CI, `cos-python-sdk-v5`: only the address and
the key are ours."""

import hashlib
import json
import logging
import pathlib
import time
import unittest
import xml.etree.ElementTree
from unittest import mock

import tarpon
from qcloud_cos import CosConfig, CosS3Client
from qcloud_cos.cos_exception import CosServiceError
from receiver import Receiver
from tarpon import ADDRESS, OURS, THEIRS, until

logging.getLogger("qcloud_cos").setLevel(logging.CRITICAL)

REGION = "ap-chongqing"
HOST, PORT = ADDRESS.split(":")
PHOTOGRAPH = (pathlib.Path(__file__).parent.parent / "data" / "chelsea.jpg").read_bytes()


def client(who=OURS, secret=None, retry=0, **address):
    """The client, as the vendor's own documentation sets it up."""
    address = address or {"IP": HOST, "Port": int(PORT), "Endpoint": f"ci.{REGION}.myqcloud.com"}
    config = CosConfig(
        Region=REGION, SecretId=who.key, SecretKey=secret or who.secret, Scheme="http", **address
    )
    # It would try again what the service failed at: here that is a failure.
    return CosS3Client(config, retry=retry)


def md5(content):
    return hashlib.md5(content).hexdigest()


def size_of(jpeg):
    """The width and the height that a JPEG says it has."""
    place = 2
    while jpeg[place] == 0xFF:
        marker, length = jpeg[place + 1], int.from_bytes(jpeg[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xC3:
            height, width = (jpeg[place + 5 : place + 7], jpeg[place + 7 : place + 9])
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        place += 2 + length
    raise AssertionError("it is no JPEG")


class Base(unittest.TestCase):
    def setUp(self):
        # A bucket of its own, and so a queue.
        self.bucket = self.id().rsplit(".", 1)[1].replace("_", "-")[5:45].strip("-") + "-1234567890"
        self.client = client()
        OURS.put(f"{self.bucket}/input/deer.jpg", PHOTOGRAPH)

    def order(self, rule="imageMogr2/rotate/90", template=None, **more):
        """The vendor's own example."""
        operation = {
            "Output": {"Region": REGION, "Bucket": self.bucket, "Object": "output/out.jpg"},
            "UserData": "This is my data.",
            "JobLevel": "0",
        }
        if template:
            operation["TemplateId"] = template
        else:
            operation["PicProcess"] = {"IsPicInfo": "true", "ProcessRule": rule}
        return {
            "Tag": "PicProcess",
            "Input": {"Object": "input/deer.jpg"},
            "Operation": operation,
            **more,
        }

    def create(self, *args, who=None, **more):
        order = self.order(*args, **more)
        answer = (who or self.client).ci_create_media_jobs(
            Bucket=self.bucket, Jobs=order, Lst={}, ContentType="application/xml"
        )
        (made,) = answer["JobsDetail"]
        return made

    def describe(self, job):
        (found,) = self.client.ci_get_media_jobs(Bucket=self.bucket, JobIDs=job)["JobsDetail"]
        return found

    def wait(self, job, *states):
        def look():
            found = self.describe(job)
            return found if found["State"] in states else None

        return until(f"{job} is {states}", look)

    def template(self, rule="imageMogr2/rotate/90", name="turn"):
        picture = {"IsPicInfo": "true", "ProcessRule": rule}
        answer = self.client.ci_create_template(
            Bucket=self.bucket, Template={"Tag": "PicProcess", "Name": name, "PicProcess": picture}
        )
        return answer["Template"]["TemplateId"]

    def queue(self):
        (queue,) = self.client.ci_get_media_pic_queue(Bucket=self.bucket)["QueueList"]
        return queue

    def set_queue(self, state="Active", **notify):
        answer = self.client.ci_update_media_pic_queue(
            Bucket=self.bucket,
            QueueId=self.queue()["QueueId"],
            Request={"Name": "pictures", "State": state, "NotifyConfig": notify or {"State": "Off"}},
        )
        (queue,) = answer["Queue"] if isinstance(answer["Queue"], list) else [answer["Queue"]]
        return queue

    def is_turned(self, result):
        """Whether a result is that of the photograph, turned by 90 degrees."""
        out = OURS.get(f"{self.bucket}/output/out.jpg")
        self.assertEqual(size_of(PHOTOGRAPH), (300, 451))
        self.assertEqual(size_of(out), (451, 300))
        self.assertEqual(result["ObjectName"], "output/out.jpg")
        processed = {name: str(value) for name, value in result["ProcessResult"].items()}
        self.assertEqual(
            processed,
            {
                "Format": "JPEG",
                "Width": "451",
                "Height": "300",
                "Size": str(len(out)),
                "Quality": "90",
                "Etag": md5(out),
            },
        )
        original = result["OriginalInfo"]
        self.assertEqual(original["Etag"], md5(PHOTOGRAPH))
        image = {name: str(value) for name, value in original["ImageInfo"].items()}
        self.assertRegex(image.pop("Ave"), "^0x[0-9a-f]{6}$")
        self.assertEqual(
            image,
            {"Format": "JPEG", "Width": "300", "Height": "451", "Quality": "90", "Orientation": "6"},
        )

    def refused(self, status, code, call, *args, **named):
        with self.assertRaises(CosServiceError) as raised:
            call(*args, **named)
        error = raised.exception
        self.assertEqual((error.get_status_code(), error.get_error_code()), (status, code), error)
        for text in (error.get_error_msg(), error.get_resource_location(), error.get_request_id()):
            self.assertNotIn(text, ("", "Unknown"))
        self.assertEqual(error.get_trace_id(), error.get_request_id())
        return error.get_error_msg()


class Pictures(Base):
    def test_the_photograph_is_turned_by_a_rule(self):
        made = self.create()
        self.assertRegex(made["JobId"], "^c[0-9a-f]{32}$")
        self.assertEqual((made["Code"], made["Message"]), ("Success", None))
        self.assertEqual((made["StartTime"], made["EndTime"]), ("-", "-"))
        self.assertRegex(made["CreationTime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0800$")
        self.assertEqual(
            made["Input"],
            {"BucketId": self.bucket, "Object": "input/deer.jpg", "Region": REGION},
        )
        done = self.wait(made["JobId"], "Success", "Failed")
        self.assertEqual((done["State"], done["Code"]), ("Success", "Success"), done)
        self.assertNotIn("-", (done["StartTime"], done["EndTime"]))
        operation = done["Operation"]
        self.assertEqual(
            operation["PicProcess"],
            {"IsPicInfo": "true", "ProcessRule": "imageMogr2/rotate/90"},
        )
        self.assertEqual(operation["UserData"], "This is my data.")
        self.assertNotIn("TemplateId", operation)
        self.is_turned(operation["PicProcessResult"])

    def test_the_photograph_is_turned_by_a_template_and_told_of_in_json(self):
        template = self.template()
        with Receiver() as receiver:
            made = self.create(
                template=template, CallBack=receiver.url("json"), CallBackFormat="JSON"
            )
            headers, body = receiver.first("json")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertFalse([name for name in headers if name.lower().startswith("webhook-")])
        said = json.loads(body)
        self.assertEqual(said["EventName"], "TaskFinish")
        (job,) = said["JobsDetail"]
        self.assertEqual((job["JobId"], job["State"]), (made["JobId"], "Success"))
        self.assertEqual((job["QueueType"], job["Tag"]), ("PicProcess", "PicProcess"))
        operation = job["Operation"]
        self.assertEqual(operation["TemplateId"], template)
        self.assertEqual(operation["TemplateName"], "turn")
        self.assertNotIn("PicProcess", operation)
        (result,) = operation["PicProcessResult"]
        self.assertEqual((result["Code"], result["State"]), ("Success", "Success"))
        self.assertIs(type(result["ProcessResult"]["Width"]), int)
        self.is_turned(result)

    def test_the_photograph_is_turned_and_told_of_in_xml(self):
        with Receiver() as receiver:
            made = self.create(CallBack=receiver.url("xml"))
            headers, body = receiver.first("xml")
        self.assertEqual(headers["Content-Type"], "application/xml")
        said = xml.etree.ElementTree.fromstring(body)
        self.assertEqual((said.tag, said.findtext("EventName")), ("Response", "TaskFinish"))
        self.assertEqual(said.findtext("JobsDetail/JobId"), made["JobId"])
        self.assertEqual(said.findtext("JobsDetail/State"), "Success")

        def values(element):
            children = list(element)
            return {c.tag: values(c) for c in children} if children else element.text or ""

        self.is_turned(values(said.find("JobsDetail/Operation/PicProcessResult")))

    def test_what_the_image_can_do_is_done(self):
        for rule, size, form in [
            ("imageMogr2/auto-orient/thumbnail/!50p", (226, 150), "JPEG"),
            ("imageMogr2/crop/100x80/gravity/center/quality/60", (100, 80), "JPEG"),
            ("imageMogr2/thumbnail/30x/format/png", (30, 45), "PNG"),
        ]:
            with self.subTest(rule):
                done = self.wait(self.create(rule)["JobId"], "Success", "Failed")
                self.assertEqual(done["State"], "Success", done)
                result = done["Operation"]["PicProcessResult"]["ProcessResult"]
                found = (int(result["Width"]), int(result["Height"]))
                self.assertEqual((found, result["Format"]), (size, form))
                out = OURS.get(f"{self.bucket}/output/out.jpg")
                self.assertEqual((len(out), md5(out)), (int(result["Size"]), result["Etag"]))

    def test_each_operation_of_a_request_is_a_job_and_all_are_or_none_is(self):
        order = self.order()
        one = order["Operation"]
        rule = {"ProcessRule": "imageMogr2/rotate/180"}
        two = {**one, "PicProcess": rule, "Output": {**one["Output"], "Object": "output/two.jpg"}}

        def create(*operations):
            order["Operation"] = list(operations)
            return self.client.ci_create_media_jobs(Bucket=self.bucket, Jobs=order, Lst={})

        made = create(one, two)["JobsDetail"]
        for job, size in zip(made, [("451", "300"), ("300", "451")], strict=True):
            done = self.wait(job["JobId"], "Success", "Failed")
            result = done["Operation"]["PicProcessResult"]["ProcessResult"]
            self.assertEqual((result["Width"], result["Height"]), size)
        self.refused(400, "InvalidArgument", create, one, {**two, "JobLevel": "9"})
        self.refused(400, "InvalidArgument", create, *[one] * 34)
        self.refused(400, "MalformedXML", create, {**one, "@Level": "1"})
        queue = self.queue()["QueueId"]
        listing = self.client.ci_list_media_jobs(Bucket=self.bucket, Tag="All", QueueId=queue)
        self.assertEqual(len(listing["JobsDetail"]), len(made))

    def test_a_job_that_cannot_be_done_fails_and_says_why(self):
        failed = self.wait(self.create("imageMogr2/dance/7")["JobId"], "Success", "Failed")
        self.assertEqual((failed["State"], failed["Code"]), ("Failed", "ProcessFailed"))
        self.assertIn("dance", failed["Message"])
        self.assertNotIn("PicProcessResult", failed["Operation"])
        with Receiver() as receiver:
            order = {**self.order(CallBack=receiver.url("failed")), "Input": {"Object": "none"}}
            self.client.ci_create_media_jobs(Bucket=self.bucket, Jobs=order, Lst={})
            _, body = receiver.first("failed")
        said = xml.etree.ElementTree.fromstring(body)
        self.assertEqual(said.findtext("JobsDetail/State"), "Failed")
        self.assertEqual(said.findtext("JobsDetail/Code"), "InputFailed")
        self.assertNotIn(said.findtext("JobsDetail/Message"), (None, ""))


class Queues(Base):
    def test_a_paused_queue_holds_its_jobs(self):
        queue = self.queue()
        self.assertRegex(queue["QueueId"], "^p[0-9a-f]{32}$")
        self.assertEqual((queue["State"], queue["BucketId"]), ("Active", self.bucket))
        self.assertEqual(queue["Category"], "PicProcessing")
        self.assertEqual(self.set_queue("Paused")["State"], "Paused")
        made = self.create(QueueId=queue["QueueId"])
        self.assertEqual((made["State"], made["QueueId"]), ("Pause", queue["QueueId"]))
        other = self.create()
        self.assertEqual(self.describe(other["JobId"])["State"], "Pause")
        self.assertEqual(self.client.ci_cancel_jobs(Bucket=self.bucket, JobID=other["JobId"]), "")
        self.assertEqual(self.describe(other["JobId"])["State"], "Cancel")
        self.assertEqual(self.set_queue("Active")["Name"], "pictures")
        self.wait(made["JobId"], "Success")
        self.assertEqual(self.describe(other["JobId"])["State"], "Cancel")
        states = {"Paused": 0, "Active": 1, "All": 1}
        for state, count in states.items():
            answer = self.client.ci_get_media_pic_queue(Bucket=self.bucket, State=state)
            self.assertEqual(int(answer["TotalCount"]), count, state)
        absent = "p" + "0" * 32
        answer = self.client.ci_get_media_pic_queue(
            Bucket=self.bucket, QueueIds=f"{queue['QueueId']},{absent}"
        )
        self.assertEqual(answer["NonExistPIDs"], absent)

    def test_a_job_goes_before_its_queue_in_whom_it_tells(self):
        with Receiver() as receiver:
            queue = self.set_queue(
                State="On",
                Event="TaskFinish,WorkflowFinish",
                ResultFormat="JSON",
                Type="Url",
                Url=receiver.url("queue"),
            )
            self.assertEqual(queue["NotifyConfig"]["Url"], receiver.url("queue"))
            muted = self.create(CallBack="no")["JobId"]
            own = self.create(CallBack=receiver.url("own"))["JobId"]
            both = self.create(CallBackFormat="XML")["JobId"]
            self.wait(muted, "Success")
            self.assertIn(own.encode(), receiver.first("own")[1])
            until("the queue's in XML", lambda: receiver.heard("queue") or None)
            last = self.create()["JobId"]
            until("the queue's", lambda: len(receiver.heard("queue")) > 1 or None)
            told = {headers["Content-Type"]: body for headers, body in receiver.heard("queue")}
            self.assertIn(both.encode(), told["application/xml"])
            (job,) = json.loads(told["application/json"])["JobsDetail"]
            self.assertEqual(job["JobId"], last)
            # The muted one ended before all of these.
            self.assertFalse([body for _, _, body in receiver.said if muted.encode() in body])


class Jobs(Base):
    def listed(self, **more):
        """The jobs of all pages, and how many pages there were."""
        found, pages, token = [], 0, ""
        while True:
            answer = self.client.ci_list_media_jobs(
                Bucket=self.bucket, Tag="PicProcess", NextToken=token, **more
            )
            found += [job["JobId"] for job in answer.get("JobsDetail", [])]
            pages, token = pages + 1, answer["NextToken"]
            if token is None:
                return found, pages

    def test_jobs_are_listed_page_by_page_both_ways(self):
        self.set_queue("Paused")
        queue = self.queue()["QueueId"]
        made = [self.create()["JobId"] for _ in range(5)]
        self.assertEqual(self.listed(QueueId=queue, OrderByTime="Asc", Size=2), (made, 3))
        self.assertEqual(self.listed(QueueId=queue, Size=2), (made[::-1], 3))
        self.assertEqual(self.listed(QueueId=queue, Size=100), (made[::-1], 1))
        self.assertEqual(self.listed(QueueId=queue, States="Pause")[0], made[::-1])
        self.assertEqual(self.listed(QueueId=queue, States="Submitted,Running,Success")[0], [])
        self.client.ci_cancel_jobs(Bucket=self.bucket, JobID=made[0])
        self.assertEqual(self.listed(QueueId=queue, States="Cancel")[0], made[:1])
        ever = {
            "StartCreationTime": "2001-01-01T00:00:00+0800",
            "EndCreationTime": "2099-01-01T23:59:59+0800",
        }
        self.assertEqual(self.listed(QueueId=queue, **ever)[0], made[::-1])
        past = {**ever, "EndCreationTime": "2002-01-01T00:00:00+0800"}
        self.assertEqual(self.listed(QueueId=queue, **past)[0], [])
        for job in made[1:]:
            self.client.ci_cancel_jobs(Bucket=self.bucket, JobID=job)

    def test_many_are_described_at_once(self):
        made = [self.create()["JobId"] for _ in range(2)]
        absent = ["cabsent", "c" + "0" * 32]
        ids = ",".join([made[1], *absent, made[0]])
        answer = self.client.ci_get_media_jobs(Bucket=self.bucket, JobIDs=ids)
        self.assertEqual([job["JobId"] for job in answer["JobsDetail"]], made[::-1])
        self.assertEqual(answer["NonExistJobIds"], ",".join(absent))
        answer = self.client.ci_get_media_pic_jobs(Bucket=self.bucket, JobIDs=",".join(absent))
        self.assertEqual(answer["NonExistJobIds"], ",".join(absent))
        theirs = client(THEIRS).ci_get_media_jobs(Bucket=self.bucket, JobIDs=made[0])
        self.assertEqual(theirs["NonExistJobIds"], made[0])

    def test_a_job_is_one_for_every_api(self):
        native = OURS.submit(tarpon.probe("say hi", name=self.bucket))
        OURS.finish(native)
        found = self.describe("j" + native.removeprefix("job-"))
        self.assertEqual((found["State"], found["Tag"]), ("Success", self.bucket))
        answer = self.client.ci_list_media_jobs(Bucket=self.bucket, Tag=self.bucket)
        self.assertEqual([job["JobId"] for job in answer["JobsDetail"]], [found["JobId"]])
        made = self.create()["JobId"]
        view = OURS.finish("job-" + made[1:])
        self.assertEqual((view["state"], view["name"]), ("succeeded", "PicProcess"))
        self.assertEqual(view["queue"], f"{self.bucket}.pic")

    def test_only_a_job_that_waits_is_cancelled(self):
        done = self.create()["JobId"]
        self.wait(done, "Success")
        cancel = self.client.ci_cancel_jobs
        self.refused(400, "InvalidRequest", cancel, Bucket=self.bucket, JobID=done)
        self.refused(404, "NoSuchJob", cancel, Bucket=self.bucket, JobID="cabsent")
        other = client(THEIRS).ci_cancel_jobs
        self.refused(404, "NoSuchJob", other, Bucket=self.bucket, JobID=done)


class Templates(Base):
    def test_templates_are_kept_changed_and_forgotten(self):
        first, second = self.template(name="one"), self.template(name="two")
        self.assertRegex(first, "^t1[0-9a-f]{32}$")

        def listed(**more):
            answer = self.client.ci_get_template(Bucket=self.bucket, **more)
            found = answer.get("TemplateList", [])
            self.assertEqual(int(answer["TotalCount"]) >= len(found), True)
            return {one["TemplateId"]: one for one in found}

        self.assertEqual(set(listed()), {first, second})
        self.assertEqual(set(listed(Ids=second)), {second})
        self.assertEqual(set(listed(Name="on")), {first})
        self.assertEqual(set(listed(Category="Official")), set())
        self.assertEqual(len(listed(PageSize=1, PageNumber=2)), 1)
        picture = {"IsPicInfo": "false", "ProcessRule": "imageMogr2/rotate/180"}
        changed = self.client.ci_update_template(
            Bucket=self.bucket,
            TemplateId=first,
            Template={"Tag": "PicProcess", "Name": "uno", "PicProcess": picture},
        )["Template"]
        self.assertEqual((changed["TemplateId"], changed["Name"]), (first, "uno"))
        self.assertEqual(changed["PicProcess"], picture)
        self.assertEqual(listed()[first], changed)
        gone = self.client.ci_delete_template(Bucket=self.bucket, TemplateId=first)
        self.assertEqual(gone["TemplateId"], first)
        self.assertEqual(set(listed()), {second})
        self.refused(404, "NoSuchTemplate", self.create, template=first)
        for call in (self.client.ci_delete_template, client(THEIRS).ci_delete_template):
            self.refused(404, "NoSuchTemplate", call, Bucket=self.bucket, TemplateId=first)

    def test_a_services_switch_is_there(self):
        both = (self.bucket, f"other-{self.bucket}")

        def switch(bucket):
            # Asked so, the client says the bucket: it has it in its address. It
            # is not signed, and has to be anew in the second of another.
            return client(retry=3, Domain=f"{ADDRESS}/ci/{bucket}")

        for bucket in both:
            answer, _ = switch(bucket).ci_open_pic_bucket(Bucket=bucket)
            self.assertTrue(answer["x-ci-request-id"])

        def shown(**more):
            answer = self.client.ci_get_pic_bucket(BucketNames=",".join(both), **more)
            return {one["Name"] for one in answer.get("PicBucketList", [])}

        self.assertEqual(shown(), set(both))
        self.assertEqual(shown(BucketName="other-"), set(both[1:]))
        for bucket in both:
            switch(bucket).ci_close_pic_bucket(Bucket=bucket)
        self.assertEqual(shown(), set())


class Addresses(Base):
    def test_every_way_to_set_up_a_client_reaches_the_service(self):
        here = {"IP": HOST, "Port": int(PORT)}
        for name, address, bucket in [
            ("endpoint", {**here, "Endpoint": f"ci.{REGION}.myqcloud.com"}, self.bucket),
            ("region", here, self.bucket),
            ("domain", {**here, "Domain": f"{self.bucket}.ci.{REGION}.myqcloud.com"}, self.bucket),
            ("path", {"Domain": f"{ADDRESS}/ci/{self.bucket}"}, self.bucket),
            ("address", {"Domain": ADDRESS}, "default"),
            ("proxy", {"Proxies": {"http": tarpon.URL}}, self.bucket),
        ]:
            # What signs no bucket is good for one: in the second of another, the
            # client has to sign anew, which it does when it tries again.
            who = client(retry=3, **address)
            with self.subTest(name):
                # Nothing is to keep the proxy from being asked.
                with mock.patch.dict("os.environ", {"NO_PROXY": "", "no_proxy": ""}):
                    (queue,) = who.ci_get_media_pic_queue(Bucket=self.bucket)["QueueList"]
                    self.assertEqual(queue["BucketId"], bucket)
                    made = self.create(who=who, CallBack="no")
                self.assertEqual(made["Input"]["BucketId"], bucket)
                self.assertEqual(made["Input"]["Region"], REGION)
        self.assertEqual(self.wait(made["JobId"], "Success", "Failed")["State"], "Success")


class Faults(Base):
    def test_who_is_not_known_is_told_so(self):
        listing = {"Bucket": self.bucket, "Tag": "PicProcess"}
        client().ci_list_media_jobs(**listing)
        wrong = client(secret="wrong").ci_list_media_jobs
        self.refused(403, "SignatureDoesNotMatch", wrong, **listing)
        stranger = tarpon.Project("0" * 32, "AKIDEXAMPLE", "secret")
        self.refused(403, "InvalidAccessKeyId", client(stranger).ci_list_media_jobs, **listing)
        for seconds, code in [(20_000, "RequestTimeTooSkewed"), (-20_000, "AccessDenied")]:
            now = time.time() + seconds
            with mock.patch("qcloud_cos.cos_auth.time.time", return_value=now):
                self.refused(403, code, client().ci_list_media_jobs, **listing)
        config = CosConfig(
            Region=REGION,
            Scheme="http",
            IP=HOST,
            Port=int(PORT),
            Endpoint=f"ci.{REGION}.myqcloud.com",
            Anonymous=True,
        )
        nobody = CosS3Client(config, retry=0).ci_list_media_jobs
        self.refused(403, "AccessDenied", nobody, **listing)

    def test_what_is_missing_or_malformed_is_named(self):
        def create(change):
            order = self.order()
            change(order)
            create = self.client.ci_create_media_jobs
            named = {"Bucket": self.bucket, "Jobs": order, "Lst": {}}
            return self.refused(400, "InvalidArgument", create, **named)

        for change, name in [
            (lambda order: order.pop("Tag"), "Tag"),
            (lambda order: order.update(Tag="Dance"), "Tag"),
            (lambda order: order.pop("Input"), "Input.Object"),
            (lambda order: order.pop("Operation"), "Operation"),
            (lambda order: order["Operation"].pop("Output"), "Operation.Output"),
            (lambda order: order["Operation"]["Output"].pop("Object"), "Operation.Output.Object"),
            (lambda order: order["Operation"].pop("PicProcess"), "Operation.PicProcess.ProcessRule"),
            (lambda order: order["Operation"].update(JobLevel="9"), "Operation.JobLevel"),
            (lambda order: order["Operation"].update(UserData="x" * 1025), "Operation.UserData"),
            (lambda order: order.update(CallBackFormat="YAML"), "CallBackFormat"),
            (lambda order: order.update(CallBack="nowhere"), "CallBack"),
            (lambda order: order.update(CallBackType="TDMQ"), "CallBackMqConfig"),
        ]:
            with self.subTest(name):
                self.assertTrue(create(change).startswith(f"{name}: "))
        queue = "p" + "0" * 32
        self.refused(404, "NoSuchQueue", self.create, QueueId=queue)
        listing = self.client.ci_list_media_jobs
        for more in [
            {"Tag": ""},
            {"Tag": "a", "States": "Asleep"},
            {"Tag": "a", "OrderByTime": "Never"},
            {"Tag": "a", "Size": 1000},
            {"Tag": "a", "NextToken": "7"},
            {"Tag": "a", "StartCreationTime": "yesterday"},
        ]:
            with self.subTest(more):
                self.refused(400, "InvalidArgument", listing, Bucket=self.bucket, **more)
        self.refused(404, "NoSuchQueue", listing, Bucket=self.bucket, Tag="a", QueueId=queue)

    def test_queues_and_templates_refuse_what_they_cannot_take(self):
        update = self.client.ci_update_media_pic_queue
        good = {"Name": "n", "State": "Active", "NotifyConfig": {"State": "Off"}}
        absent = {"Bucket": self.bucket, "QueueId": "pabsent", "Request": good}
        self.refused(404, "NoSuchQueue", update, **absent)
        queue = self.queue()["QueueId"]
        for name in good:
            request = {key: value for key, value in good.items() if key != name}
            named = {"Bucket": self.bucket, "QueueId": queue, "Request": request}
            said = self.refused(400, "InvalidArgument", update, **named)
            self.assertTrue(said.startswith(f"{name}: "), said)
        create = self.client.ci_create_template
        for template in [{"Tag": "PicProcess"}, {"Name": "a"}, {"Tag": "PicProcess", "Name": "a"}]:
            named = {"Bucket": self.bucket, "Template": template}
            self.refused(400, "InvalidArgument", create, **named)
        other = {"Bucket": self.bucket, "TemplateId": "t1absent", "Template": {}}
        self.refused(404, "NoSuchTemplate", self.client.ci_update_template, **other)

    def test_what_is_no_action_and_no_document_is_said_to_be_none(self):
        self.refused(400, "InvalidURI", self.client.ci_get_workflow, Bucket=self.bucket)
        with mock.patch("qcloud_cos.cos_client.format_xml", return_value=b"<Request"):
            self.refused(400, "MalformedXML", self.create)


if __name__ == "__main__":
    unittest.main()
