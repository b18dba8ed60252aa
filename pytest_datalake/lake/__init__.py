"""The embedded lake: real daemons under a keeper. Of ours it imports only ``matrix`` and ``credentials``."""
