"""QuestDB, PostgreSQL and Redis: schema, write and read."""
