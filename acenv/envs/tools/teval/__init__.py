"""T-Eval: six single skills of using tools, each in two formats."""
