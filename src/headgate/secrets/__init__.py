"""This package is where secrets come from: who is asked for a recipe's `${NAME}`, and how what we keep is sealed.

`resolving` (all providers, in order), `plain` (environment, files), `store` (our own), `aws` (Secrets Manager, SSM),
`datahub` (DataHub's), `sealing` (the key, and what is sealed with it; cryptography takes a while to load, so only who
seals imports it), `known` (what our log masks).
A value is never in a message, a log line, the audit or anything's repr.
"""

from headgate.secrets.resolving import Provider, Secrets, Values

__all__ = ["Provider", "Secrets", "Values"]
