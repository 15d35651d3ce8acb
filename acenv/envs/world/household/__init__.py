"""A home of rooms and receptacles on the STRIPS engine."""
