"""Sofia Streams: live market data on a Kafka-compatible log, replayable to the last digit."""
