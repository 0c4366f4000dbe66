"""This folder is where the clockwork is: the threads that keep a running Headgate going.

sweep     due runs, time limits, stops, takeovers, schedules, retention
deliver   the outbox
home      the lock on HEADGATE_HOME, and how commands find a running server
"""
