"""What the shippers say they sent, held against what Elasticsearch and the dead letters have."""
