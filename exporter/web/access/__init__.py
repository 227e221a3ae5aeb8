"""The web configuration file: TLS, passwords, headers, rate limit."""
