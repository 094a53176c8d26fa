"""Log files, rotated by logrotate under load, and an agent that is killed again and again, to a count of every line."""
