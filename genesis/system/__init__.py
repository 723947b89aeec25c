"""The machine around a study: workspace, clock, health checks, and the composition of parts."""
