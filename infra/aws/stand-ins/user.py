"""Waits until the stand-in answers, makes a user in it who may do anything, and
prints the user's credentials as a shell's variables.

The stand-in does not check the signatures of its built-in user, but checks
those of the ones that were made.
"""

import json
import os
import sys
import time

import botocore.session
from botocore.exceptions import BotoCoreError

PATIENCE = 60.0


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def make_user(iam) -> dict:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iam.create_user(UserName="tests")
    iam.put_user_policy(UserName="tests", PolicyName="everything", PolicyDocument=policy)
    return iam.create_access_key(UserName="tests")["AccessKey"]


def main() -> None:
    server = int(sys.argv[1])
    iam = botocore.session.get_session().create_client(
        "iam", aws_access_key_id="test", aws_secret_access_key="test"
    )
    until = time.monotonic() + PATIENCE
    while True:
        try:
            key = make_user(iam)
            break
        except BotoCoreError as error:
            if not alive(server) or time.monotonic() > until:
                sys.exit(f"the stand-in does not answer: {error}")
            time.sleep(0.2)
    print(f"export AWS_ACCESS_KEY_ID={key['AccessKeyId']}")
    print(f"export AWS_SECRET_ACCESS_KEY={key['SecretAccessKey']}")


main()
