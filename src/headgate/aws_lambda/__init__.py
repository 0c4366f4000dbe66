"""This package is the Lambda function that stands between a bucket and the jobs: `headgate.aws_lambda.handler`.

It is deployed with this folder and `headgate/__init__.py` alone, on Lambda's own Python and boto3: it imports nothing
else. messages reads what AWS sends; objects tells events apart; handling decides what becomes of each message;
starting starts.
"""

from headgate.aws_lambda.handling import handler

__all__ = ["handler"]
