"""Each vendor's own client against a function's URL: one job, from its
submission to what it said, or as far as that API goes.

On AWS, and on its stand-in, a dialect has a host of its own. Where the stand-in
is, is told by `TARPON_STAND_IN`: names of AWS lead there.
"""

import base64
import io
import os
import socket
import tarfile
import unittest

import openstack
from alibabacloud_ehpc20180412 import models as ehpc
from alibabacloud_ehpc20180412.client import Client as EhpcClient
from alibabacloud_tea_openapi import utils_models
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkims.v2 import ImsClient, ShowJobRequest
from otcextensions import sdk as otc
from qcloud_cos import CosConfig, CosS3Client
from tencentcloud.batch.v20170312 import models as batch
from tencentcloud.batch.v20170312.batch_client import BatchClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from ucloud.client import Client as UCloudClient
from ucloud.core.transport import Request, RequestsTransport
from ucloud.core.typesystem import encoder

import tarpon
from tarpon import OURS, until

STAND_IN = os.environ.get("TARPON_STAND_IN")
IMAGE = tarpon.PROBE["image"]


def setUpModule():
    if not STAND_IN:
        return
    known = socket.getaddrinfo
    host, port = STAND_IN.rsplit(":", 1)

    def look_up(name, *rest, **more):
        if str(name).endswith(".on.aws"):
            return known(host, int(port), *rest[1:], **more)
        return known(name, *rest, **more)

    socket.getaddrinfo = look_up


def url_of(api):
    """Where the dialect is, without a slash at the end."""
    name = api.upper().replace("-", "_")
    return os.environ[f"TARPON_{name}_URL"].replace("https://", "http://").rstrip("/")


def address_of(api):
    return url_of(api).removeprefix("http://")


class ByUrl(unittest.TestCase):
    def test_ucloud_ugc(self):
        config = {"region": "cn-bj2", "public_key": OURS.key, "private_key": OURS.secret}
        client = UCloudClient({**config, "base_url": url_of("ucloud-ugc")})
        token = client.invoke("GetAccessToken")["AccessToken"]

        def post(action, body=b"", **args):
            # Who shows a token need not sign; and the stand-in takes a signature
            # in a query for one of AWS.
            args = {"Action": action, "Region": "cn-bj2", "AccessToken": token, **args}
            payload = encoder.encode(args)
            headers = {"Content-Type": "application/octet-stream"}
            request = Request(
                url=url_of("ucloud-ugc"), method="post", params=payload, data=body, headers=headers
            )
            return RequestsTransport().send(request, max_retries=0)

        said = post("SubmitTask", b"some", ImageName=IMAGE, Cmd="cat", TaskType="Async").json()
        self.assertEqual(said["RetCode"], 0, said)

        def tar():
            answer = post("GetTaskResult", TaskId=said["TaskId"])
            whole = answer.headers["Content-Type"] == "application/octet-stream"
            return answer.content if whole else self.assertEqual(answer.json()["State"], "Running")

        with tarfile.open(fileobj=io.BytesIO(until("the tar", tar))) as archive:
            self.assertEqual(archive.extractfile("Stdout").read(), b"some")

    def test_tencent_batch(self):
        http = HttpProfile(protocol="http", endpoint=address_of("tencent-batch"))
        profile = ClientProfile(httpProfile=http, language="en-US")
        client = BatchClient(Credential(OURS.key, OURS.secret), "ap-guangzhou", profile)
        asked = batch.DescribeJobRequest()
        asked.JobId = OURS.submit(tarpon.probe("say hi"))
        states = ("SUCCEED", "FAILED")

        def state():
            seen = client.DescribeJob(asked).JobState
            return seen if seen in states else None

        self.assertEqual(until("it is over", state), "SUCCEED")
        asked = batch.DescribeTaskLogsRequest()
        asked.JobId, asked.TaskName = OURS.jobs()[0]["id"], "main"
        logs = client.DescribeTaskLogs(asked).TaskInstanceLogSet
        start, text = logs[0].StdoutLog.split(",")
        self.assertEqual((start[:5], base64.b64decode(text)), ("data:", b"hi\n"))

    def test_tencent_ci(self):
        # The host is the function's, so that a bucket is none of it.
        config = CosConfig(
            Region="ap-chongqing",
            SecretId=OURS.key,
            SecretKey=OURS.secret,
            Scheme="http",
            Domain=address_of("tencent-ci"),
        )
        client = CosS3Client(config, retry=0)
        queues = client.ci_get_media_pic_queue(Bucket="test-1234567890")
        self.assertEqual(queues["TotalCount"], "1", queues)
        found = client.ci_list_media_jobs(
            Bucket="test-1234567890", Tag="PicProcess", ContentType="application/xml"
        )
        self.assertIn("NextToken", found)

    def test_alibaba_ehpc(self):
        config = utils_models.Config(
            access_key_id=OURS.key,
            access_key_secret=OURS.secret,
            endpoint=address_of("alibaba-ehpc"),
            protocol="http",
            region_id="cn-hangzhou",
        )
        client = EhpcClient(config)
        container = ehpc.SubmitServerlessJobRequestContainer(
            image=IMAGE, arg=["say", "hi"], command=tarpon.PROBE.get("entrypoint")
        )
        made = client.submit_serverless_job(
            ehpc.SubmitServerlessJobRequest(
                cluster_id="default", job_name="by-url", container=container
            )
        )
        asked = ehpc.DescribeServerlessJobsRequest(
            cluster_id="default", job_ids=[made.body.job_id]
        )

        def state():
            seen = client.describe_serverless_jobs(asked).body.job_infos[0].state
            return seen if seen in ("Succeeded", "Failed", "Canceled") else None

        self.assertEqual(until("it is over", state), "Succeeded")

    def test_huawei_ims_by_signature(self):
        job = OURS.submit(tarpon.probe("say hi"))
        OURS.finish(job)
        credentials = BasicCredentials(OURS.key, OURS.secret, OURS.id)
        builder = ImsClient.new_builder().with_credentials(credentials)
        client = builder.with_endpoints([url_of("huawei-ims")]).build()
        asked = ShowJobRequest(job_id=job.removeprefix("job-"))
        self.assertEqual(client.show_job(asked).status, "SUCCESS")

    def test_huawei_ims_by_token(self):
        job = OURS.submit(tarpon.probe("say hi"))
        connection = openstack.connect(
            load_yaml_config=False,
            load_envvars=False,
            auth_url=f"{url_of('huawei-ims')}/v3",
            username=OURS.key,
            password=OURS.secret,
            user_domain_name="OTC00000000001000000000",
            project_name="eu-de",
            project_domain_name="OTC00000000001000000000",
            region_name="eu-de",
        )
        otc.register_otc_extensions(connection)
        ended = connection.imsv1.wait_for_async_job(job.removeprefix("job-"), wait=0.5)
        self.assertEqual(ended.status, "SUCCESS")


if __name__ == "__main__":
    unittest.main()
