"""This folder is where the record is kept: the one source of truth of jobs, triggers, events, decisions and runs.

store      the ledger as everyone sees it
writer     one thread that commits in groups
accepting  events become decisions and runs
running    runs are claimed, started, ended, stopped, taken over
catalogs   jobs and triggers, and what would change in them
reading    what can be looked up
housekeeping  leases, the outbox, retention
schema     the tables; migrations/ made them
dialects   the little that SQLite and PostgreSQL do not share
"""
