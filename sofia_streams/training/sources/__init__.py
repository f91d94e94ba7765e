"""Bars to train on, from where they are: files, QuestDB, or made up."""
