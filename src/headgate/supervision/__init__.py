"""This file is where the words of supervision are: processes that outlive whoever started them, with a true exit code.

Three kinds of process, all of them plain Python:

* the *supervisor* (our server, threads and all) never forks a job: it writes a run directory and asks a launcher;
* a *launcher* is single-threaded and forks one shim per run. The light one imports next to nothing and is for
  commands, a warm one has a Python job's modules imported. It holds no state that matters and may be killed;
* a *shim* is parent and subreaper of its run's processes and the only writer of the run's exit record. It survives
  supervisor and launcher.

What to run, with the values of its environment (they may be secret), goes over sockets and never to disk. The rest is
in one run directory (mode 0700, named by the attempt's id), every file a JSON object unless said otherwise:

=============  =====================================================================================================
lock           empty; the living shim holds a POSIX lock on it
shim           who the shim is. Once it exists the run never starts again
job            who the job's main process is
log            what the job wrote, bytes, appended by the job itself
stop           a stop was asked, and how long the grace is
cut            its log has become longer than its limit: what of it may be read
main-exit      the main process is gone (others of its tree may not be)
exit           the tree is empty: the run is over. STOPPED means that this exists
progress.json  what the job says about how far it is; result.json and error.json: what it says about its end
=============  =====================================================================================================
"""
