"""Jobs, asked for as image jobs of Huawei Cloud and the Open Telekom Cloud: by
a Keystone token with `otcextensions`, and by an AK/SK signature with
`huaweicloudsdkims`.
"""

import datetime
import unittest
from unittest import mock

import keystoneauth1.exceptions
import keystoneauth1.identity
import keystoneauth1.session
import openstack
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkcore.signer import signer
from huaweicloudsdkims.v2 import (
    CreateImageRequest,
    CreateImageRequestBody,
    ExportImageRequest,
    ExportImageRequestBody,
    ImsClient,
    ShowJobProgressRequest,
    ShowJobRequest,
)
from otcextensions import sdk as otc

import tarpon
from tarpon import OURS, THEIRS, URL

#: As the documentation has jobs' times.
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"

#: An id in the right form that nothing has.
UNKNOWN = "ff8080814dbd65d7014dbe0d84db0013"


def hex_id(job):
    """A job's id as the API has it."""
    return job.removeprefix("job-")


def queued(**fields):
    """A job that waits until `let_go`, in a queue of its own."""
    OURS.queue("held", paused=True)
    return OURS.submit(tarpon.probe("say hi", queue="held", **fields))


def let_go():
    OURS.queue("held", paused=False)


#: Jobs that cannot be run, each with the API's code, the native cause, and how
#: the sentence about it begins.
FAILING = (
    ({"image": "sha256:" + "0" * 64}, "IMG.0144", "image_not_found", "there is no such image"),
    # No registry of this machine's own is asked unless the operator allows it.
    ({"image": "127.0.0.1:9/absent:1"}, "IMG.0024", "image_unusable", "the image cannot be used"),
    ({"entrypoint": ["/no/such"]}, "IMG.0018", "start_failed", "the process could not be started"),
)


def failed(**changed):
    """A job that has failed."""
    job = OURS.submit({**tarpon.probe("say hi"), **changed})
    assert OURS.finish(job)["state"] == "failed"
    return job


def graph():
    """A job of two tasks, the second of which fails: 2 and then 3."""
    first = tarpon.probe("say one", name="first")
    second = tarpon.probe("exit 3", name="second", after=[{"task": "first"}])
    return OURS.submit({"name": "graph", "tasks": [first, second]})


def logged_in(project=OURS, **changed):
    """A connection as a user makes one; any domain does."""
    settings = {
        "auth_url": f"{URL}/v3",
        "username": project.key,
        "password": project.secret,
        "user_domain_name": "OTC00000000001000000000",
        "project_name": "eu-de",
        "project_domain_name": "OTC00000000001000000000",
        "region_name": "eu-de",
        **changed,
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    return openstack.connect(load_yaml_config=False, load_envvars=False, **settings)


def token_connection(project=OURS, **changed):
    """The same with the services of the Open Telekom Cloud."""
    connection = logged_in(project, **changed)
    otc.register_otc_extensions(connection)
    return connection


def signing_client(key=OURS.key, secret=OURS.secret, project=OURS.id):
    credentials = BasicCredentials(key, secret, project)
    return ImsClient.new_builder().with_credentials(credentials).with_endpoints([URL]).build()


class ByToken(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.connection = token_connection()
        cls.ims = cls.connection.imsv1

    def test_the_project_comes_with_the_token(self):
        self.assertEqual(self.connection.current_project_id, OURS.id)
        self.assertEqual(self.connection.session.get_project_id(), OURS.id)
        self.assertEqual(self.ims.get_endpoint(), f"{URL}/v1")

    def test_a_job_is_shown_from_its_beginning_to_its_end(self):
        job = queued()
        waiting = self.ims.get_async_job(hex_id(job))
        self.assertEqual(waiting.status, "INIT")
        self.assertEqual(waiting.job_id, hex_id(job))
        self.assertRegex(waiting.begin_time, TIME)
        self.assertEqual(waiting.end_time, "")
        self.assertEqual(waiting.entities.process_percent, 0.0)
        let_go()
        ended = self.ims.wait_for_async_job(hex_id(job), wait=0.1)
        self.assertEqual(ended.status, "SUCCESS")
        self.assertEqual(ended.job_type, "imsCreateImageByInstance")
        self.assertRegex(ended.end_time, TIME)
        self.assertIsNone(ended.error_code)
        self.assertIsNone(ended.fail_reason)
        self.assertEqual(ended.entities.process_percent, 1.0)
        self.assertEqual(ended.entities.image_name, "tarpon/probe")
        self.assertRegex(ended.entities.image_id, "sha256:")

    def test_a_running_job_is_running_and_a_cancelled_one_failed(self):
        job = OURS.submit(tarpon.probe("sleep 600"))
        OURS.wait(job, "running")
        running = self.ims.get_async_job(hex_id(job))
        self.assertEqual((running.status, running.end_time), ("RUNNING", ""))
        OURS.cancel(job)
        OURS.finish(job)
        cancelled = self.ims.get_async_job(hex_id(job))
        self.assertEqual(cancelled.status, "FAIL")
        # What the agent had to say of it may follow.
        self.assertRegex(cancelled.fail_reason, "^it was cancelled")

    def test_a_failed_job_raises_what_the_client_raises(self):
        job = OURS.submit(tarpon.probe("exit 7"))
        with self.assertRaisesRegex(RuntimeError, hex_id(job)):
            self.ims.wait_for_async_job(hex_id(job), wait=0.1)
        failed = self.ims.get_async_job(hex_id(job))
        self.assertEqual((failed.status, failed.error_code), ("FAIL", "IMG.0061"))
        self.assertEqual(failed.fail_reason, "the process ended with code 7")

    def test_what_could_not_be_run_has_the_nearest_code(self):
        for changed, code, _, sentence in FAILING:
            with self.subTest(code):
                shown = self.ims.get_async_job(hex_id(failed(**changed)))
                self.assertEqual((shown.status, shown.error_code), ("FAIL", code))
                self.assertTrue(shown.fail_reason.startswith(sentence), shown.fail_reason)

    def test_a_token_says_how_and_when_it_was_issued(self):
        session = self.connection.session
        first = session.auth.get_access(session)
        again = keystoneauth1.identity.V3Token(f"{URL}/v3", first.auth_token)
        second = again.get_access(keystoneauth1.session.Session())
        for access, method in ((first, "password"), (second, "token")):
            subject = {"X-Subject-Token": access.auth_token}
            shown = session.get(f"{URL}/v3/auth/tokens", headers=subject).json()["token"]
            self.assertEqual(shown["methods"], [method])
            for name, at in (("issued_at", access.issued), ("expires_at", access.expires)):
                told = datetime.datetime.fromisoformat(shown[name].replace("Z", "+00:00"))
                self.assertEqual(told, at)

    def test_unknown_jobs_and_those_of_others_are_not_found(self):
        theirs = THEIRS.submit(tarpon.probe("say hi"))
        THEIRS.finish(theirs)
        for job in (UNKNOWN, "unknown", hex_id(theirs)):
            with self.assertRaises(openstack.exceptions.NotFoundException) as raised:
                self.ims.get_async_job(job)
            self.assertEqual(raised.exception.status_code, 404)
            self.assertIn(f"there is no job {job}", str(raised.exception))
        found = token_connection(THEIRS).imsv1.get_async_job(hex_id(theirs))
        self.assertEqual(found.status, "SUCCESS")

    def test_a_wrong_password_or_project_is_refused(self):
        for changed in (
            {"password": "wrong"},
            {"username": "nobody"},
            {"project_name": "another"},
            {"project_name": None, "project_id": THEIRS.id},
        ):
            with self.assertRaises(keystoneauth1.exceptions.Unauthorized) as raised:
                logged_in(**changed).session.get_token()
            self.assertEqual(raised.exception.http_status, 401)
            with self.assertRaisesRegex(openstack.exceptions.SDKException, "HTTP 401"):
                token_connection(**changed)

    def test_user_and_project_go_by_their_ids_too(self):
        connection = token_connection(
            username=None,
            user_domain_name=None,
            user_id=OURS.key,
            project_name=None,
            project_domain_name=None,
            project_id=OURS.id,
        )
        self.assertEqual(connection.session.get_project_id(), OURS.id)

    def test_another_region_is_the_same_place(self):
        connection = token_connection(project_name="eu-nl", region_name="eu-nl")
        job = OURS.submit(tarpon.probe("say hi"))
        OURS.finish(job)
        self.assertEqual(connection.imsv1.get_async_job(hex_id(job)).status, "SUCCESS")

    def test_a_token_that_is_no_longer_good_is_asked_for_anew(self):
        job = OURS.submit(tarpon.probe("say hi"))
        OURS.finish(job)
        connection = token_connection()
        before = connection.session.get_token()
        connection.session.auth.auth_ref._auth_token = before[:-4] + "AAAA"
        self.assertEqual(connection.imsv1.get_async_job(hex_id(job)).status, "SUCCESS")
        self.assertNotEqual(connection.session.get_token(), before[:-4] + "AAAA")

    def test_a_disabled_key_ends_its_tokens(self):
        key = OURS.request("POST", "/v1/keys", {}).expect(201).json()
        project = tarpon.Project(OURS.id, key["access_key_id"], key["secret_access_key"])
        connection = token_connection(project)
        OURS.request("POST", f"/v1/keys/{project.key}/disable", {}).expect(200)
        with self.assertRaises(keystoneauth1.exceptions.Unauthorized):
            connection.imsv1.get_async_job(UNKNOWN)

    def test_what_makes_images_is_refused(self):
        with self.assertRaises(openstack.exceptions.BadRequestException) as raised:
            self.ims.export_image(image_id="i", bucket_url="b:f", file_format="zvhd")
        self.assertIn("images are not made or changed here", str(raised.exception))


class BySignature(unittest.TestCase):
    def setUp(self):
        self.client = signing_client()

    def show(self, job, client=None):
        return (client or self.client).show_job(ShowJobRequest(job_id=hex_id(job)))

    def refused(self, status, code, call):
        with self.assertRaises(ClientRequestException) as raised:
            call()
        error = raised.exception
        self.assertEqual((error.status_code, error.error_code), (status, code), error)
        self.assertTrue(error.error_msg)
        self.assertRegex(error.request_id, "^[0-9a-f]{32}$")
        return error

    def test_a_job_is_shown_from_its_beginning_to_its_end(self):
        job = queued(tags={"job_type": "imsImportImageJob"})
        waiting = self.show(job)
        self.assertEqual((waiting.status, waiting.job_id), ("INIT", hex_id(job)))
        self.assertEqual(waiting.job_type, "imsImportImageJob")
        self.assertEqual(waiting.end_time, "")
        let_go()
        OURS.finish(job)
        ended = self.show(job)
        self.assertEqual(ended.status, "SUCCESS")
        self.assertRegex(ended.begin_time, TIME)
        self.assertRegex(ended.end_time, TIME)
        self.assertLessEqual(ended.begin_time, ended.end_time)
        self.assertIsNone(ended.error_code)
        entities = ended.entities
        self.assertEqual(entities.current_task, "main")
        self.assertEqual(entities.image_name, "tarpon/probe")
        self.assertEqual(entities.process_percent, 1.0)
        self.assertEqual(entities.results[0].status, "success")
        self.assertEqual(entities.results[0].project_id, OURS.id)
        self.assertEqual(entities.results[0].image_id, entities.image_id)

    def test_a_running_job_is_running(self):
        job = OURS.submit(tarpon.probe("sleep 600"))
        OURS.wait(job, "running")
        running = self.show(job)
        self.assertEqual((running.status, running.end_time), ("RUNNING", ""))
        OURS.cancel(job)
        OURS.finish(job)
        self.assertEqual(self.show(job).status, "FAIL")

    def test_a_failed_job_says_why(self):
        job = OURS.submit(tarpon.probe("exit 7"))
        OURS.finish(job)
        failed = self.show(job)
        self.assertEqual((failed.status, failed.error_code), ("FAIL", "IMG.0061"))
        self.assertEqual(failed.fail_reason, "the process ended with code 7")
        self.assertEqual(failed.entities.error_code, "exited")
        self.assertEqual(failed.entities.error, failed.fail_reason)

    def test_what_could_not_be_run_has_the_nearest_code(self):
        for changed, code, cause, sentence in FAILING:
            with self.subTest(code):
                shown = self.show(failed(**changed))
                self.assertEqual((shown.status, shown.error_code), ("FAIL", code))
                self.assertTrue(shown.fail_reason.startswith(sentence), shown.fail_reason)
                self.assertEqual(shown.entities.error_code, cause)
                self.assertEqual(shown.entities.error, shown.fail_reason)
                progress = ShowJobProgressRequest(job_id=shown.job_id)
                progress = self.client.show_job_progress(progress)
                self.assertEqual((progress.status, progress.error_code), ("FAIL", code))

    def test_tasks_are_sub_jobs_that_can_be_asked_for(self):
        job = graph()
        OURS.finish(job)
        shown = self.show(job)
        self.assertEqual((shown.status, shown.entities.current_task), ("FAIL", "second"))
        self.assertEqual(shown.fail_reason, "task second: the process ended with code 3")
        results = shown.entities.sub_jobs_result
        self.assertEqual([result.status for result in results], ["SUCCESS", "FAIL"])
        self.assertEqual([result.job_id for result in results], shown.entities.sub_jobs_list)
        self.assertEqual(results[1].entities.image_name, "tarpon/probe")
        self.assertEqual(results[1].fail_reason, "the process ended with code 3")
        for result in results:
            alone = self.show(result.job_id)
            self.assertEqual((alone.status, alone.job_id), (result.status, result.job_id))
            self.assertEqual(alone.begin_time, result.begin_time)
            self.assertEqual(alone.entities.process_percent, 1.0)

    def test_progress_is_shown_by_the_newer_call(self):
        job = graph()
        OURS.finish(job)
        progress = self.client.show_job_progress(ShowJobProgressRequest(job_id=hex_id(job)))
        self.assertEqual((progress.status, progress.job_id), ("FAIL", hex_id(job)))
        entities = progress.entities
        self.assertEqual(entities.sub_job_id, entities.sub_jobs_list[1])
        self.assertEqual(entities.process_percent, 1.0)
        with_unknown = ShowJobProgressRequest(job_id=UNKNOWN)
        call = lambda: self.client.show_job_progress(with_unknown)
        self.refused(404, "IMG.0023", call)

    def test_unknown_jobs_and_those_of_others_are_not_found(self):
        theirs = THEIRS.submit(tarpon.probe("say hi"))
        THEIRS.finish(theirs)
        for job in (UNKNOWN, "unknown", hex_id(theirs)):
            error = self.refused(404, "IMG.0023", lambda: self.show(job))
            self.assertIn(job, error.error_msg)
        client = signing_client(THEIRS.key, THEIRS.secret, THEIRS.id)
        self.assertEqual(self.show(theirs, client).status, "SUCCESS")

    def test_a_wrong_key_secret_or_project_is_refused(self):
        for status, code, client in (
            (401, "APIGW.0301", signing_client(secret="wrong")),
            (401, "APIGW.0301", signing_client(key="AKIDEXAMPLE")),
            (401, "APIGW.0301", signing_client(key=THEIRS.key)),
            (400, "IMG.0030", signing_client(project=THEIRS.id)),
            (400, "IMG.0067", signing_client(project="project")),
        ):
            self.refused(status, code, lambda: self.show(UNKNOWN, client))

    def test_a_clock_that_is_far_off_is_refused(self):
        def at(minutes):
            class Clock(datetime.datetime):
                @classmethod
                def utcnow(cls):
                    now = datetime.datetime.now(datetime.timezone.utc)
                    return now + datetime.timedelta(minutes=minutes)

            return mock.patch.object(signer, "datetime", Clock)

        for minutes in (-14, 14):
            with at(minutes):
                self.refused(404, "IMG.0023", lambda: self.show(UNKNOWN))
        for minutes in (-16, 16):
            with at(minutes):
                error = self.refused(401, "APIGW.0301", lambda: self.show(UNKNOWN))
                self.assertIn("15 minutes", error.error_msg)

    def test_a_key_for_other_apis_is_refused(self):
        key = OURS.request("POST", "/v1/keys", {"apis": ["native"]}).expect(201).json()
        client = signing_client(key["access_key_id"], key["secret_access_key"])
        self.refused(403, "IMG.0026", lambda: self.show(UNKNOWN, client))

    def test_the_client_finds_its_project_by_its_region(self):
        job = OURS.submit(tarpon.probe("say hi"))
        OURS.finish(job)
        credentials = BasicCredentials(OURS.key, OURS.secret).with_iam_endpoint(URL)
        builder = ImsClient.new_builder().with_credentials(credentials)
        client = builder.with_region(Region("cn-north-4", URL)).build()
        self.assertEqual(self.show(job, client).status, "SUCCESS")

    def test_what_makes_images_is_refused(self):
        server = CreateImageRequestBody(name="img1", instance_id="877a2cda-ba63-4e1e-b95f-e67e48b6129a")
        file = ExportImageRequestBody(bucket_url="bucket:file", file_format="zvhd")
        for call in (
            lambda: self.client.create_image(CreateImageRequest(body=server)),
            lambda: self.client.export_image(ExportImageRequest(image_id="i", body=file)),
        ):
            self.refused(400, "IMG.0105", call)
