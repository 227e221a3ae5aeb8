"""Decides what to scan and when: by events, by comparison of signatures, and by audits of growing trees."""
