"""Files in, Kafka out."""
