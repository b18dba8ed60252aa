"""Verbs over drivers and clients that return facts. They never assert and know no pytest."""
