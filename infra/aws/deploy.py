#!/usr/bin/env python3
"""Deploys what `make package` has built, or removes it.

    deploy.py [--stack tarpon] [--zips FOLDER] [NAME=VALUE …]     parameters of the template
    deploy.py --destroy [--stack tarpon] [--with-data]

Asks for nothing: the account and region are those of the AWS command line's
environment or profile. Needs boto3, which `make` installs under target/.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import sys
import tarfile
import urllib.error
import urllib.request
import uuid
import zipfile

import boto3
import botocore.exceptions

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LAMBDA = ROOT / "target" / "lambda"
TEMPLATE = ROOT / "infra" / "aws" / "template.yaml"
# Where the template has a function's zip.
CODE = re.compile(r"CodeUri: \.\./\.\./target/lambda/(\S+)")
# The images that are pushed, by the parameter that names one: the repository and
# the program. The agent is where `shared::agent::IN_IMAGE` has it.
IMAGES = {
    "AgentImage": ("agent", "tarpon-agent"),
    "PicProcessImage": ("pic-process", "pic-process"),
}
# What images call what Lambda calls its architectures.
ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}
# And what the head of a program calls them.
MACHINES = {62: "x86_64", 183: "arm64"}
# What stays when the stack goes, and the tag by which it is found then.
KEPT = {
    "AWS::DynamoDB::Table": "table",
    "AWS::S3::Bucket": "bucket",
    "AWS::SecretsManager::Secret": "master key",
}
TAG = "tarpon:stack"
# What is said of a function, a table, a bucket, a repository or a cluster that is not there.
GONE = (
    "ResourceNotFoundException",
    "NoSuchBucket",
    "RepositoryNotFoundException",
    "ClusterNotFoundException",
)
# A stack that never was: nothing can be made of it, and nothing is lost with it.
STILLBORN = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED")


def say(text):
    print(text, file=sys.stderr, flush=True)


def account(session):
    return session.client("sts").get_caller_identity()["Account"]


def artifacts_name(session, stack):
    return f"{stack}-deploy-{account(session)}-{session.region_name}".lower()


def has_bucket(session, bucket):
    try:
        session.client("s3").head_bucket(Bucket=bucket)
        return True
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
        return False


def artifacts(session, stack):
    """The bucket for zips, made if it is not there. They are gone after a month: Lambda has its own copies."""
    s3, region = session.client("s3"), session.region_name
    bucket = artifacts_name(session, stack)
    if has_bucket(session, bucket):
        return bucket
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=bucket, **where)
    closed = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"]
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(closed, True)
    )
    rule = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}
    s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": [rule]}
    )
    return bucket


def upload(session, bucket, name, body):
    """Under a name that tells the content: what has not changed is not replaced."""
    stem, dot, ending = name.rpartition(".")
    key = f"{stem}-{hashlib.sha256(body).hexdigest()[:32]}{dot}{ending}"
    session.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    return key


def packaged(session, bucket, zips):
    """The template, its zips in the bucket."""

    def stored(found):
        path = zips / found.group(1)
        return f"CodeUri: s3://{bucket}/{upload(session, bucket, path.name, path.read_bytes())}"

    return CODE.sub(stored, TEMPLATE.read_text())


def head(path):
    """How a program begins, in a zip or not."""
    if not path.exists():
        sys.exit(f"deploy.py: {path} is not there: run `make package`")
    if path.suffix != ".zip":
        with path.open("rb") as file:
            return file.read(20)
    with zipfile.ZipFile(path) as file, file.open("bootstrap") as program:
        return program.read(20)


def built_for(paths):
    """The architecture that all of these programs are for."""
    found = {}
    for path in paths:
        start = head(path)
        machine = MACHINES.get(int.from_bytes(start[18:20], "little"))
        if start[:4] != b"\x7fELF" or machine is None:
            sys.exit(f"deploy.py: {path} has no program for Linux on {' or '.join(ARCHITECTURES)}")
        found.setdefault(machine, path)
    if len(found) > 1:
        mixed = " and ".join(f"{path} is for {machine}" for machine, path in found.items())
        sys.exit(f"deploy.py: {mixed}: run `make package`")
    return next(iter(found))


class Registry:
    """Pushes to a repository of ECR, made if it is not there. No engine takes part."""

    def __init__(self, session, repository):
        ecr = session.client("ecr")
        try:
            ecr.create_repository(repositoryName=repository)
        except ecr.exceptions.RepositoryAlreadyExistsException:
            pass
        grant = ecr.get_authorization_token()["authorizationData"][0]
        self.address, self.repository = grant["proxyEndpoint"], repository
        self.authorization = f"Basic {grant['authorizationToken']}"
        self.host = self.address.removeprefix("https://").removeprefix("http://")

    def ask(self, method, path, body=None, headers=None):
        url = path if path.startswith("http") else f"{self.address}/v2/{self.repository}/{path}"
        request = urllib.request.Request(url, data=body, method=method)
        for name, value in {"Authorization": self.authorization, **(headers or {})}.items():
            request.add_header(name, value)
        return urllib.request.urlopen(request, timeout=120)

    def blob(self, body):
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        try:
            self.ask("HEAD", f"blobs/{digest}")
            return digest
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
        place = self.ask("POST", "blobs/uploads/", b"").headers["Location"]
        place = place if place.startswith("http") else f"{self.address}{place}"
        join = "&" if "?" in place else "?"
        octets = {"Content-Type": "application/octet-stream"}
        self.ask("PUT", f"{place}{join}digest={digest}", body, octets)
        return digest

    def image(self, program, name, architecture):
        """An image of one static program. Returns its name by digest."""
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(program), 0o755
            tar.addfile(entry, io.BytesIO(program))
        layer = gzip.compress(plain.getvalue(), mtime=0)
        config = json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {"Entrypoint": [f"/{name}"]},
                "rootfs": {
                    "type": "layers",
                    "diff_ids": [f"sha256:{hashlib.sha256(plain.getvalue()).hexdigest()}"],
                },
            }
        ).encode()
        oci = "application/vnd.oci.image"
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": f"{oci}.manifest.v1+json",
                "config": {
                    "mediaType": f"{oci}.config.v1+json",
                    "digest": self.blob(config),
                    "size": len(config),
                },
                "layers": [
                    {
                        "mediaType": f"{oci}.layer.v1.tar+gzip",
                        "digest": self.blob(layer),
                        "size": len(layer),
                    }
                ],
            }
        ).encode()
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        tag = digest.removeprefix("sha256:")[:12]
        self.ask("PUT", f"manifests/{tag}", manifest, {"Content-Type": f"{oci}.manifest.v1+json"})
        return f"{self.host}/{self.repository}@{digest}"


def images(session, stack, parameters):
    """Pushes the images that no parameter names, and names them."""
    architecture = ARCHITECTURES[parameters["Architecture"]]
    for parameter, (repository, file) in IMAGES.items():
        if parameter in parameters:
            continue
        registry = Registry(session, f"{stack}/{repository}")
        program = (LAMBDA / file).read_bytes()
        parameters[parameter] = registry.image(program, file, architecture)
        say(f"pushed {parameters[parameter]}")


def change(session, stack, url, parameters):
    """Makes or updates the stack, and waits for it."""
    cloudformation = session.client("cloudformation")
    before = describe(cloudformation, stack)
    if before and before["StackStatus"] in STILLBORN:
        say(f"the stack {stack} was never complete, and is made anew")
        delete(cloudformation, before)
        before = None
    is_new = before is None or before["StackStatus"] == "REVIEW_IN_PROGRESS"
    known = {} if is_new else {p["ParameterKey"] for p in before.get("Parameters", [])}
    said = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    kept = [
        {"ParameterKey": name, "UsePreviousValue": True} for name in known if name not in parameters
    ]
    name = f"tarpon-{uuid.uuid4().hex}"
    made = cloudformation.create_change_set(
        StackName=stack,
        ChangeSetName=name,
        ChangeSetType="CREATE" if is_new else "UPDATE",
        TemplateURL=url,
        Parameters=said + kept,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    wanted = {"ChangeSetName": made["Id"], "StackName": stack}
    try:
        cloudformation.get_waiter("change_set_create_complete").wait(
            **wanted, WaiterConfig={"Delay": 2, "MaxAttempts": 150}
        )
    except botocore.exceptions.WaiterError:
        seen = cloudformation.describe_change_set(**wanted)
        cloudformation.delete_change_set(**wanted)
        if "didn't contain changes" in seen["StatusReason"] or "No updates" in seen["StatusReason"]:
            say("nothing has changed")
            return
        sys.exit(f"deploy.py: {seen['StatusReason']}")
    say("deploying; the first time, this takes about three minutes")
    cloudformation.execute_change_set(**wanted)
    waiter = "stack_create_complete" if is_new else "stack_update_complete"
    try:
        cloudformation.get_waiter(waiter).wait(
            StackName=stack, WaiterConfig={"Delay": 5, "MaxAttempts": 360}
        )
    except botocore.exceptions.WaiterError:
        sys.exit(f"deploy.py: the stack was not deployed:{failures(cloudformation, stack)}")


def failures(cloudformation, stack):
    """What failed in what was last done with a stack, a line each, the first one first."""
    lines = []
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack):
        for event in page["StackEvents"]:
            status, what = event["ResourceStatus"], event["LogicalResourceId"]
            is_begin = status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
            if is_begin and event["PhysicalResourceId"] == event["StackId"]:
                return "".join(reversed(lines))
            if status.endswith("FAILED"):
                lines.append(f"\n  {what}: {event.get('ResourceStatusReason', '')}")
    return "".join(reversed(lines))


def describe(cloudformation, stack):
    try:
        return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except botocore.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def deploy(session, stack, zips, parameters):
    programs = [zips / name for name in CODE.findall(TEMPLATE.read_text())]
    programs += [LAMBDA / file for name, (_, file) in IMAGES.items() if name not in parameters]
    built = built_for(programs)
    if parameters.setdefault("Architecture", built) != built:
        asked = parameters["Architecture"]
        sys.exit(f"deploy.py: Architecture={asked}, but the programs are built for {built}")
    bucket = artifacts(session, stack)
    images(session, stack, parameters)
    template = packaged(session, bucket, zips)
    key = upload(session, bucket, "template.yaml", template.encode())
    url = f"{session.client('s3').meta.endpoint_url}/{bucket}/{key}"
    change(session, stack, url, parameters)
    outputs = describe(session.client("cloudformation"), stack).get("Outputs", [])
    for output in sorted(outputs, key=lambda output: output["OutputKey"]):
        print(f"{output['OutputKey']}\t{output['OutputValue']}")


def resources(cloudformation, stack):
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    every = [r for page in pages for r in page["StackResourceSummaries"]]
    return [r for r in every if "PhysicalResourceId" in r and r["ResourceStatus"] != "DELETE_COMPLETE"]


def of_type(its, kind):
    return [r["PhysicalResourceId"] for r in its if r["ResourceType"] == kind]


def delete(cloudformation, stack):
    """Deletes a stack, and waits until it is gone."""
    id = stack["StackId"]
    cloudformation.delete_stack(StackName=id)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=id, WaiterConfig={"Delay": 5, "MaxAttempts": 360}
        )
    except botocore.exceptions.WaiterError:
        sys.exit(f"deploy.py: the stack was not deleted:{failures(cloudformation, id)}")


def halt(session, its):
    """Ends all tasks, and before that what would start others: a cluster that has any is not deleted."""
    functions = session.client("lambda")
    for name in of_type(its, "AWS::Lambda::Function"):
        unless_gone(
            functions.put_function_concurrency, FunctionName=name, ReservedConcurrentExecutions=0
        )
    for cluster in of_type(its, "AWS::ECS::Cluster"):
        # An invocation that had begun may have started some more.
        while unless_gone(stop_tasks, session.client("ecs"), cluster):
            pass


def stop_tasks(ecs, cluster):
    """Stops what runs in a cluster and waits until nothing does. Returns whether anything did."""

    def listed(status):
        pages = ecs.get_paginator("list_tasks").paginate(cluster=cluster, desiredStatus=status)
        return [page["taskArns"] for page in pages if page["taskArns"]]

    running = [task for page in listed("RUNNING") for task in page]
    if running:
        say(f"stopping {len(running)} tasks")
    for task in running:
        ecs.stop_task(cluster=cluster, task=task, reason="its deployment is destroyed")
    for stopping in listed("STOPPED"):
        ecs.get_waiter("tasks_stopped").wait(cluster=cluster, tasks=stopping)
    return bool(running)


def tagged(session, stack):
    """What is there of stacks of this name, be they gone or not."""
    tags = session.client("resourcegroupstaggingapi").get_paginator("get_resources")
    types = ["dynamodb:table", "s3"]
    pages = tags.paginate(
        TagFilters=[{"Key": TAG, "Values": [stack]}], ResourceTypeFilters=types
    )
    arns = [r["ResourceARN"] for page in pages for r in page["ResourceTagMappingList"]]
    stores = [
        ("table", arn.split("/")[-1]) if ":dynamodb:" in arn else ("bucket", arn.split(":")[-1])
        for arn in arns
    ]
    tag = {"Key": TAG, "Value": stack}
    keys = secrets(session, "tag-value", stack, lambda secret: tag in secret.get("Tags", []))
    return stores + [("master key", arn) for arn in keys]


def passwords(session, stack):
    """What opens private registries, where the functions put it."""
    ours = f"{stack}/pull/"
    arns = secrets(session, "name", ours, lambda secret: secret["Name"].startswith(ours))
    return [("registry password", arn) for arn in arns]


def secrets(session, filter, value, is_meant):
    """The ARNs of secrets: a filter lets all pass that begins with its value. None that is to be gone soon."""
    pages = session.client("secretsmanager").get_paginator("list_secrets").paginate(
        Filters=[{"Key": filter, "Values": [value]}]
    )
    return [secret["ARN"] for page in pages for secret in page["SecretList"] if is_meant(secret)]


def remove_images(session, stack):
    ecr = session.client("ecr")
    for repository, _ in IMAGES.values():
        unless_gone(ecr.delete_repository, repositoryName=f"{stack}/{repository}", force=True)


def unless_gone(act, *what, **named):
    """Does something to what may no longer be there."""
    try:
        return act(*what, **named)
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise
        return None


def remove_kept(session, what, name):
    if what == "table":
        session.client("dynamodb").delete_table(TableName=name)
    elif what in ("bucket", "zips"):
        bucket = session.resource("s3").Bucket(name)
        bucket.object_versions.all().delete()
        bucket.delete()
    elif what == "master key":
        session.client("secretsmanager").delete_secret(SecretId=name, RecoveryWindowInDays=7)
    else:
        session.client("secretsmanager").delete_secret(
            SecretId=name, ForceDeleteWithoutRecovery=True
        )


def destroy(session, stack, with_data):
    cloudformation = session.client("cloudformation")
    found = describe(cloudformation, stack)
    own = []
    if found:
        its = resources(cloudformation, found["StackId"])
        own = [(what, name) for type, what in KEPT.items() for name in of_type(its, type)]
        halt(session, its)
        delete(cloudformation, found)
    remove_images(session, stack)
    # What an earlier stack of that name has left goes only if none was there. A
    # secret goes by its name or by its ARN, which has the name in it.
    ours = [name for _, name in own]
    older = [store for store in tagged(session, stack) if not any(name in store[1] for name in ours)]
    goes, stays = (own, older) if found else (older, [])
    goes += passwords(session, stack)
    zips = artifacts_name(session, stack)
    if has_bucket(session, zips):
        goes.append(("zips", zips))
    if not (found or goes):
        sys.exit(f"deploy.py: there is no stack {stack}, and nothing is left of one")
    if not with_data:
        goes, stays = [], goes + stays
    for what, name in goes:
        unless_gone(remove_kept, session, what, name)
        print(f"removed\t{what}\t{name}")
    for what, name in stays:
        print(f"kept\t{what}\t{name}")
    if stays:
        say("what is kept costs what it holds; `make destroy WITH_DATA=1` removes it, at any time")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", default="tarpon")
    parser.add_argument("--destroy", action="store_true")
    parser.add_argument("--with-data", action="store_true")
    parser.add_argument("--zips", type=pathlib.Path, default=LAMBDA, metavar="FOLDER")
    parser.add_argument("parameters", nargs="*", metavar="NAME=VALUE")
    options = parser.parse_args()
    wrong = [text for text in options.parameters if "=" not in text]
    if wrong or (options.destroy and options.parameters):
        parser.error("a parameter is NAME=VALUE, and there are none to destroy with")
    # boto3 by itself looks for AWS_DEFAULT_REGION alone.
    session = boto3.session.Session(region_name=os.environ.get("AWS_REGION") or None)
    if session.region_name is None:
        sys.exit("deploy.py: no region is set: AWS_REGION, or the profile's")
    try:
        if options.destroy:
            destroy(session, options.stack, options.with_data)
        else:
            parameters = dict(text.split("=", 1) for text in options.parameters)
            deploy(session, options.stack, options.zips, parameters)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError) as error:
        sys.exit(f"deploy.py: {' '.join(str(error).split())}")


main()
