"""What keeps a snapshot fresh: events, a look at what moved, and audits of what grows unseen."""
