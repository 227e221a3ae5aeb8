"""When to scan what: events, a comparison of signatures, and repeated measuring of what grows unseen."""
