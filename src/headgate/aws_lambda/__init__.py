"""This package is the Lambda function that stands between a bucket and the jobs: deployed alone, boto3 only."""
