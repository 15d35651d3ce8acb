"""RULER: retrieval, tracing, counting and question answering in texts of any length."""
