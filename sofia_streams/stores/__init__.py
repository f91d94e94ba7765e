"""QuestDB and Redis: schema, write and read."""
