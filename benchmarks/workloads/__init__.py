"""Programs that are measured. ``skipped_*``: nothing of them is kept. ``kept_*``: all.

Each module has ``run(turns)``. A kept one also says what one turn leaves in the trace
(``RECORDS``, by kind of record) and how many frames it enters (``ENTRIES``: calls and
resumes, each with the return or yield that belongs to it).
"""
