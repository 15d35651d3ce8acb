"""A web shop: generated products, a full-text search, options to choose, and a purchase that cannot be undone."""
