"""One protocol each. Drivers do what they are told and report facts; they never assert."""
