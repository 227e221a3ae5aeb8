"""The exit statuses of the command that are not click's."""

#: What a shell reports for a command that Ctrl-C ended: 128 + SIGINT.
INTERRUPTED = 130
