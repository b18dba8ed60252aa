"""Whose fault it is: from the pattern of failures to the few faults behind it."""
