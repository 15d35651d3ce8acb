"""Tool calling: stateful tools that are described by JSON Schemas and scored on what the calls changed."""
