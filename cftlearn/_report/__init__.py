"""``report_`` of an estimator: names of its columns, and what a notebook shows."""
