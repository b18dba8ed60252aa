"""Earlier runs: kept beside the reports, and what they say about this one."""
