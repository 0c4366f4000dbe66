"""This file is where Glue-style scripts find `awsglue` on a machine without Glue: options, a Job, a context."""
