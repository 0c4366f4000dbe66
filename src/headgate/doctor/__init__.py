"""This folder is where it is found out why something did not run: findings, ranked, each with what mends it.

`finding` is what is found; `records` what the doctor asks of Headgate; `trigger`, `s3`, `aws` and `datahub` each look
at one thing, `done` goes through the page's list. `ingestions` is where all is found that ingests: with `files`,
`log_groups` and `containers` (where a person points at), and `unmanaged` (what nobody has a record of). The checks are
plain functions over what was read, and what could not be read is a finding itself.
"""

from headgate.doctor.finding import Finding, Rank, ranked

__all__ = ["Finding", "Rank", "ranked"]
