"""Tests of what is adopted from AWS Glue, and made there."""
