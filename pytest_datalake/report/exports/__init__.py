"""The report for other machines: Prometheus, and collectors of JSON documents."""
