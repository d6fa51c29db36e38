#!/usr/bin/env python3
"""Puts the functions behind `platform.yaml` and writes `template.yaml`.

    functions.py           writes it
    functions.py --check   fails if it is not what would be written

Where a function is found is told by its own `ROUTE`; what it may do, by the
table below: the one place to look for that. Needs nothing but Python.
"""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
FOLDERS = HERE.parent.parent / "functions"

# The attributes and indexes of the table, as `shared::aws::table` has them.
NAMES = {
    "PARTITION": "p",
    "SORT": "s",
    "EXPIRY": "t",
    "DUE": "due",
    "DUE_PARTITION": "dp",
    "DUE_SORT": "ds",
    "QUEUE": "queue",
    "QUEUE_PARTITION": "qp",
    "QUEUE_SORT": "qs",
    "OPEN": "open",
    "OPEN_PARTITION": "op",
    "OPEN_SORT": "os",
    # Rows that are due, or wait in a queue; slots that somebody wants; a queue's
    # settings. Of all other changes nobody need be told.
    "FILTER_DUE": """'{"dynamodb": {"NewImage": {"c": {"N": [{"exists": true}]}}}}'""",
    "FILTER_TELL": """'{"dynamodb": {"NewImage": {"c": {"N": [{"exists": true}]}, "dp": {"S": [{"prefix": "tell#"}]}}}}'""",
    "FILTER_QUEUE": """'{"dynamodb": {"NewImage": {"qp": {"S": [{"exists": true}]}}}}'""",
    "FILTER_SLOTS": """'{"dynamodb": {"Keys": {"p": {"S": [{"prefix": "slots#"}]}}, "OldImage": {"r": {"N": [{"exists": true}]}}}}'""",
    "FILTER_SETTINGS": """'{"dynamodb": {"Keys": {"s": {"S": [{"prefix": "queue#"}]}}}}'""",
}

TABLE = "!GetAtt Table.Arn"
INDEXES = '!Sub "${Table.Arn}/index/*"'
BUCKET = "!GetAtt Bucket.Arn"
ARN = "arn:${AWS::Partition}"
OURS = "${AWS::Region}:${AWS::AccountId}"
IN_CLUSTER = "Condition: { ArnEquals: { ecs:cluster: !GetAtt Cluster.Arn } }"


def objects(kind):
    """The objects of a kind: `user`, `upload` or `job`, of any project."""
    return f'!Sub "${{Bucket.Arn}}/*/{kind}/*"'


def allow(actions, resource, condition=""):
    actions = ", ".join(actions.split())
    condition = f", {condition}" if condition else ""
    return f"{{ Effect: Allow, Action: [{actions}], Resource: {resource}{condition} }}"


# What every function does.
LOG = [allow("logs:CreateLogStream logs:PutLogEvents", "!GetAtt FunctionLogs.Arn")]

# What the host asks for at every cold start, but for a function that tells
# everybody the same, and is granted nothing.
KEY = [allow("secretsmanager:GetSecretValue", "!GetAtt MasterKey.Id")]

GRANTS = {
    # The table.
    "get": [allow("dynamodb:GetItem dynamodb:BatchGetItem", TABLE)],
    "query": [allow("dynamodb:Query", TABLE)],
    "index": [allow("dynamodb:Query", INDEXES)],
    "write": [
        allow("dynamodb:ConditionCheckItem dynamodb:DeleteItem dynamodb:UpdateItem", TABLE)
    ],
    "stream": [
        allow(
            "dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator dynamodb:ListStreams",
            "!GetAtt Table.StreamArn",
        )
    ],
    # The bucket. Who may read is told what is not there only if it may list.
    "list": [allow("s3:ListBucket", BUCKET)],
    "read user": [allow("s3:GetObject", objects("user"))],
    "read upload": [allow("s3:GetObject", objects("upload"))],
    "read job": [allow("s3:GetObject", objects("job"))],
    "write user": [allow("s3:PutObject s3:AbortMultipartUpload", objects("user"))],
    "write upload": [allow("s3:PutObject s3:AbortMultipartUpload", objects("upload"))],
    "write job": [allow("s3:PutObject s3:AbortMultipartUpload", objects("job"))],
    "delete user": [allow("s3:DeleteObject", objects("user"))],
    "delete job": [allow("s3:DeleteObject", objects("job"))],
    # Answers that are too large to be sent.
    "passing": [
        allow(
            "s3:AbortMultipartUpload s3:GetObject s3:PutObject", '!Sub "${Bucket.Arn}/passing/*"'
        )
    ],
    # Tasks. What has no resource of its own is narrowed by its cluster, where
    # AWS lets it be.
    "tasks": [
        allow(
            "ecs:RunTask",
            f'!Sub "{ARN}:ecs:{OURS}:task-definition/tarpon-*:*"',
            IN_CLUSTER,
        ),
        allow("ecs:ListTasks", '"*"', IN_CLUSTER),
        allow(
            "ecs:DescribeTasks ecs:StopTask",
            f'!Sub "{ARN}:ecs:{OURS}:task/${{Cluster}}/*"',
            IN_CLUSTER,
        ),
        allow(
            "ecs:TagResource",
            f'!Sub "{ARN}:ecs:{OURS}:task/${{Cluster}}/*"',
            "Condition: { StringEquals: { ecs:CreateAction: RunTask } }",
        ),
        allow("ecs:DescribeTaskDefinition ecs:RegisterTaskDefinition", '"*"'),
        allow(
            "iam:PassRole",
            "!GetAtt ExecutionRole.Arn",
            "Condition: { StringEquals: { iam:PassedToService: ecs-tasks.amazonaws.com } }",
        ),
    ],
    # What images are in the account's own registry; and what opens others, kept
    # where Fargate finds it.
    "images": [
        allow("ecr:GetAuthorizationToken", '"*"'),
        allow(
            "ecr:BatchGetImage ecr:GetDownloadUrlForLayer",
            f'!Sub "{ARN}:ecr:{OURS}:repository/*"',
        ),
        allow(
            "secretsmanager:CreateSecret secretsmanager:GetSecretValue",
            f'!Sub "{ARN}:secretsmanager:{OURS}:secret:${{AWS::StackName}}/pull/*"',
        ),
    ],
    # Objects that were written.
    "object events": [
        allow(
            "sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
            "!GetAtt ObjectEvents.Arn",
        )
    ],
    # What comes due soon.
    "reminds": [allow("sqs:SendMessage", "!GetAtt Reminders.Arn")],
    "is reminded": [
        allow(
            "sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage", "!GetAtt Reminders.Arn"
        )
    ],
    # Events that could not be taken.
    "dead letters": [allow("sqs:SendMessage", "!GetAtt DeadLetters.Arn")],
}

SEES_ARCHIVES = ["list", "read job", "passing"]
# What tells equal attempts, and what one of them brought home.
READS_INPUTS = ["read user", "read upload", "read job"]
SUBMITS = ["get", "query", "index", "write", "list", "write job", "delete job"]
REACTS = ["get", "query", "index", "write", "tasks", "reminds"]
# A dialect has all verbs of its API in one function; its answers are streamed.
SPEAKS = [*SUBMITS, "read job", "reminds"]

# What each function may do; every folder has its line.
FUNCTIONS = {
    "submit-job": [
        "get",
        "query",
        "index",
        "write",
        "write job",
        "delete job",
        "reminds",
        *SEES_ARCHIVES,
    ],
    "try-job": ["get", "query", "index", "images"],
    "get-job": ["get", "query", "index"],
    "list-jobs": ["get", "query", "index"],
    "cancel-job": ["get", "query", "index", "write"],
    "retry-job": ["get", "query", "index", "write"],
    "change-jobs": ["get", "query", "index", "write"],
    "delete-job": ["get", "write"],
    "get-output": ["get", *SEES_ARCHIVES],
    "list-attempts": ["get", "query"],
    "read-logs": ["get", "query", *SEES_ARCHIVES],
    "create-upload": ["get", "write", "write user", "write upload"],
    "get-object": ["get", "list", "read user", "passing"],
    "list-objects": ["get", "list"],
    "delete-object": ["get", "delete user"],
    "put-queue": ["get", "query", "index", "write"],
    "list-queues": ["get", "query", "index"],
    "delete-queue": ["get", "query", "index", "write"],
    "put-image": ["get", "write"],
    "list-images": ["get", "query"],
    "delete-image": ["get", "write"],
    "put-template": ["get", "write"],
    "get-template": ["get"],
    "list-templates": ["get", "query"],
    "delete-template": ["get", "write"],
    "put-trigger": ["get", "write"],
    "get-trigger": ["get"],
    "list-triggers": ["get", "query"],
    "delete-trigger": ["get", "write"],
    "post-event": SUBMITS,
    "issue-token": ["get"],
    "create-key": ["get", "write"],
    "list-keys": ["get", "query"],
    "disable-key": ["get", "write"],
    "create-project": ["get", "write"],
    "describe-api": [],
    "get-health": [],
    "read-plan": [
        "get",
        "query",
        "write",
        "list",
        "read user",
        "read upload",
        "read job",
        "write job",
    ],
    "append-logs": ["get", "write"],
    "grant-upload": ["get", "write", "write job", "write user"],
    "report-attempt": ["get", "query", "write", "list", *READS_INPUTS, "reminds"],
    "list-callbacks": ["get", "query"],
    "redeliver-callback": ["get", "query", "write"],
    # What a dialect tells of a job may be in its archive.
    "deliver-callback": [
        "get",
        "query",
        "index",
        "write",
        "list",
        "read job",
        "stream",
        "dead letters",
    ],
    "dispatch-jobs": [
        *REACTS,
        "images",
        "list",
        *READS_INPUTS,
        "write job",
        "delete job",
        "stream",
        "is reminded",
        "dead letters",
    ],
    "observe-attempt": REACTS,
    "submit-from-event": [*SUBMITS, "object events"],
    "sweep-jobs": [*REACTS, "images", "list", *READS_INPUTS, "write job", "delete job"],
    "dialect-alibaba-ehpc": SPEAKS,
    "dialect-huawei-ims": ["get"],
    "dialect-tencent-batch": SPEAKS,
    "dialect-tencent-ci": SPEAKS,
    "dialect-ucloud-ugc": SPEAKS,
}

# Images are looked up by who runs them, and by who tells what would be run.
LOOKS_UP = {"try-job"}
# By an invocation that IAM permits, and by nothing else.
OPERATORS = {"create-project"}
# Who waits at the API is sent off after half a minute. These have a URL of
# their own as well, where waiting takes as long as a function may run.
PATIENT = {"submit-job", "get-job", "cancel-job", "get-output", "read-logs"}
# What tells callers, and starts no container.
TELLS = {"deliver-callback"}
# Callers that wait must not keep agents from reporting.
AGENTS = {"read-plan", "append-logs", "grant-upload", "report-attempt"}
# An image may be slow to look up, and there may be many jobs.
SECONDS = {"deliver-callback": 120, "dispatch-jobs": 300, "sweep-jobs": 300, "observe-attempt": 60}
# Objects and archives can be asked about without being fetched.
HEADS = {"get-object", "get-output"}

VARIABLES = """      Environment:
        Variables:
"""
REMINDS = """          TARPON_REMINDERS: !Ref Reminders
"""
TASKS = """          TARPON_CLUSTER: !Ref Cluster
          TARPON_AGENT_IMAGE: !Ref AgentImage
          TARPON_EXECUTION_ROLE: !GetAtt ExecutionRole.Arn
          TARPON_SUBNETS: !If [OwnNetwork, !Sub "${SubnetA},${SubnetB}", !Join [",", !Ref SubnetIds]]
          TARPON_SECURITY_GROUP: !GetAtt TaskSecurity.GroupId
          TARPON_PUBLIC_IP: !If [OwnNetwork, ENABLED, !Ref AssignPublicIp]
          TARPON_ARCHITECTURE: !Ref Architecture
          TARPON_SPOT: !Ref Spot
          TARPON_TASK_LOGS: !Ref TaskLogs
          TARPON_ALLOW_REGISTRY_AT: !Join [",", !Ref AllowRegistryAt]
          TARPON_PULL_SECRETS: !Sub ${AWS::StackName}/pull
          TARPON_SERVICE: !If [OtherService, !Ref ServiceUrl, !Sub "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"]
          AWS_ENDPOINT_URL_ECS: !If [OtherEcs, !Ref EcsEndpoint, !Ref AWS::NoValue]
"""

CALLBACKS = """      Environment:
        Variables:
          TARPON_ALLOW_CALLBACK_TO: !Join [",", !Ref AllowCallbackTo]
"""

FUNCTION = """  {id}:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub ${{AWS::StackName}}-{name}
      Description: "{description}"
      CodeUri: ../../target/lambda/{name}.zip
      Role: !GetAtt {id}Role.Arn
{more}  {id}Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{{ Effect: Allow, Principal: {{ Service: lambda.amazonaws.com }}, Action: sts:AssumeRole }}]
      Policies:
        - PolicyName: {name}
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
{statements}"""

INTEGRATION = """  {id}Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties: {{ ApiId: !Ref Api, IntegrationType: AWS_PROXY, PayloadFormatVersion: "2.0", IntegrationUri: !GetAtt {id}.Arn }}
  {id}Permission:
    Type: AWS::Lambda::Permission
    Properties:
      FunctionName: !Ref {id}
      Action: lambda:InvokeFunction
      Principal: apigateway.amazonaws.com
      SourceArn: !Sub arn:${{AWS::Partition}}:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{Api}}/*
"""

ROUTE = """  {id}{route}:
    Type: AWS::ApiGatewayV2::Route
    Properties: {{ ApiId: !Ref Api, RouteKey: "{method} {path}", Target: !Sub "integrations/${{{id}Integration}}" }}
"""

# Both permissions: to use the URL, and to invoke the function by way of it.
URL = """  {id}Url:
    Type: AWS::Lambda::Url
    Properties: {{ TargetFunctionArn: !Ref {id}, AuthType: NONE{mode} }}
  {id}UrlPermission:
    Type: AWS::Lambda::Permission
    Properties: {{ FunctionName: !Ref {id}, Action: lambda:InvokeFunctionUrl, Principal: "*", FunctionUrlAuthType: NONE }}
  {id}UrlInvokePermission:
    Type: AWS::Lambda::Permission
    Properties: {{ FunctionName: !Ref {id}, Action: lambda:InvokeFunction, Principal: "*", InvokedViaFunctionUrl: true }}
"""

# Nobody else hears of it.
FAILS = """  {id}Fails:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmDescription: {name} crashes, is not given the time or memory, or does not start. What it was to see to is late.
      Namespace: AWS/Lambda
      MetricName: Errors
      Dimensions: [{{ Name: FunctionName, Value: !Ref {id} }}]
      Statistic: Sum
      Period: 300
      EvaluationPeriods: 1
      Threshold: 2
      ComparisonOperator: GreaterThanOrEqualToThreshold
      TreatMissingData: notBreaching
      AlarmActions: !If [ToldByEmail, [!Ref Alarms], []]
"""

OUTPUT = """  {id}Url:
    Description: {name} by its own URL, {why}.
    Value: !GetAtt {id}Url.FunctionUrl
"""
WAITS = "for callers that wait longer than the API lets them"
SPEAKS = "the endpoint that its clients are given"

# What no route is for is answered in our words, too.
UNKNOWN = """  # What no other route is for: every function answers that there is no such path.
  UnknownRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties: { ApiId: !Ref Api, RouteKey: $default, Target: !Sub "integrations/${IssueTokenIntegration}" }
"""


def identifier(name):
    return "".join(word.capitalize() for word in name.split("-"))


def described(name):
    text = (FOLDERS / name / "Cargo.toml").read_text()
    return re.search(r'^description = "(.*)"$', text, re.MULTILINE).group(1)


def route(name):
    """The method and path of an action; `None` of a reaction."""
    text = (FOLDERS / name / "src" / "lib.rs").read_text()
    found = re.search(r'const ROUTE: Route = Route::(\w+)\("(.*)"\);', text)
    return found and (found.group(1).upper(), re.sub(r"\{\*(\w+)\}", r"{\1+}", found.group(2)))


def is_dialect(name):
    """Whether it speaks a foreign API: at a URL of its own, and nowhere else."""
    return name.startswith("dialect-")


def has_url(name):
    return name in PATIENT or is_dialect(name)


def function(name):
    id, grants = identifier(name), FUNCTIONS[name]
    granted = [statement for grant in grants for statement in GRANTS[grant]]
    statements = LOG + (KEY + granted if granted else [])
    timeout = 900 if has_url(name) else SECONDS.get(name)
    more = f"      Timeout: {timeout}\n" if timeout else ""
    if name in AGENTS:
        more += (
            "      ReservedConcurrentExecutions: "
            "!If [ReservedAgents, !Ref AgentConcurrency, !Ref AWS::NoValue]\n"
        )
    found = route(name)
    if name in TELLS:
        more += CALLBACKS
    reacts = not found and not is_dialect(name)
    runs = (reacts and name not in TELLS) or name in LOOKS_UP
    if runs or "reminds" in grants:
        more += VARIABLES
    if "reminds" in grants:
        more += REMINDS
    if runs:
        more += TASKS
    lines = "".join(f"              - {statement}\n" for statement in statements)
    text = FUNCTION.format(
        id=id, name=name, description=described(name), more=more, statements=lines
    )
    if is_dialect(name):
        # Its clients know nothing of redirects to where a large answer is.
        return text + URL.format(id=id, mode=", InvokeMode: RESPONSE_STREAM")
    if reacts:
        return text + FAILS.format(id=id, name=name)
    if name in OPERATORS:
        return text
    method, path = found
    text += INTEGRATION.format(id=id) + ROUTE.format(id=id, route="Route", method=method, path=path)
    if name in HEADS:
        text += ROUTE.format(id=id, route="HeadRoute", method="HEAD", path=path)
    return text + (URL.format(id=id, mode="") if name in PATIENT else "")


def hosts_objects(name):
    """Whether the program is linked with what its rights are for."""
    return "serve_with_objects" in (FOLDERS / name / "src" / "main.rs").read_text()


def may_see_objects(name):
    return any("s3:" in statement for grant in FUNCTIONS[name] for statement in GRANTS[grant])


def template():
    folders = sorted(path.name for path in FOLDERS.iterdir() if (path / "Cargo.toml").exists())
    if sorted(FUNCTIONS) != folders:
        sys.exit(f"functions.py: its table and the folders differ: {set(folders) ^ set(FUNCTIONS)}")
    wrong = [n for n in FUNCTIONS if route(n) and hosts_objects(n) != may_see_objects(n)]
    if wrong:
        sys.exit(f"functions.py: objects, or none, in main.rs and not in the table: {wrong}")
    functions = "\n".join(function(name) for name in FUNCTIONS)
    urls = sorted(name for name in FUNCTIONS if has_url(name))
    outputs = "".join(
        OUTPUT.format(id=identifier(name), name=name, why=SPEAKS if is_dialect(name) else WAITS)
        for name in urls
    )
    text = (HERE / "platform.yaml").read_text()
    text = text.replace("@FUNCTIONS@\n", f"{functions}\n{UNKNOWN}\n")
    text = text.replace("@OUTPUTS@\n", outputs)
    text = re.sub(r"@(\w+)@", lambda found: NAMES[found.group(1)], text)
    head, rest = text.split("AWSTemplateFormatVersion", 1)
    del head
    return f"# Written by functions.py from platform.yaml: change those.\nAWSTemplateFormatVersion{rest}"


def main():
    path, text = HERE / "template.yaml", template()
    if sys.argv[1:] == ["--check"]:
        if not path.exists() or path.read_text() != text:
            sys.exit("template.yaml is not what functions.py writes: run infra/aws/functions.py")
    elif not sys.argv[1:]:
        path.write_text(text)
    else:
        sys.exit(__doc__)


main()
