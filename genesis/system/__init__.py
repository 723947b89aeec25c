"""The machine around a study: workspace, clock, health checks, and how the parts are put together."""
