"""Function calling in the categories of the Berkeley Function Calling Leaderboard."""
