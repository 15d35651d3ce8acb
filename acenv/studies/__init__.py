"""Studies: one model, many compressed versions of it, all of which act in the same tasks; a bench, or a sweep."""
