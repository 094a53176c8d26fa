"""Kafka in, Elasticsearch out."""
