"""This folder is where the product decides, in plain Python that knows no SDK, no SQL and no HTTP.

In the order things happen:
    resolve      which job refreshes a dataset
    match        whether an object is what a trigger waits for
    cron         when a schedule ticks
    accept       what an event does at every trigger
    (the ledger writes it down)
    dispatch     a claimed run is handed to its engine
    watch        what an engine tells becomes the run's state; time limits, stops, takeovers
    ending       whether an ended attempt is tried again
    timeouts     what time limit a job's past suggests
    conditional  what a run's end does at the triggers that watch it
    announce     who is told
"""
