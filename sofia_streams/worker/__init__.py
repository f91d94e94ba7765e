"""What a worker is made of beside its agent: reading, acknowledging, writing. Knows no agent."""
