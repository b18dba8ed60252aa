"""Clients of central services: they speak to one each, return facts, and never assert."""
