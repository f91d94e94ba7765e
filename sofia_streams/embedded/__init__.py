"""Kafka, QuestDB and a Redis-protocol server as child processes of `sofia up`. Knows nothing of topics or tables."""
