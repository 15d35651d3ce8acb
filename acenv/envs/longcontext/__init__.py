"""Long-context retrieval: what a long text says, asked for turn by turn."""
