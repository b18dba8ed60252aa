"""Put a scientific data lake under test: matrix, embedded lake, drivers, fixtures and report."""

__version__ = "0.1.0"
