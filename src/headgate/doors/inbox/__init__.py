"""This folder is where a folder stands for a bucket: `files` looks, `etags` remembers, `watch` makes the events."""

from headgate.doors.inbox.watch import BATCH, Inbox

__all__ = ["BATCH", "Inbox"]
